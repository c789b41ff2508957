//! The header lines of a message.

use std::ops::Range;

use crate::{
    field::{Field, KINDS, Known},
    grammar,
    span::Span,
};

/// One header line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The name as spelled.
    pub name: Span,
    /// The value without the white space around it.
    pub value: Span,
    /// What the name says; [`Field::Other`] for a name that is only like a known one.
    pub field: Field,
    /// The known field that the name resembles: `X_Forwarded_For` and its like, which some software takes for the real
    /// one. To be dropped where the real one would not be believed.
    pub resembles: Option<Field>,
    /// Whether the line is left out when the head is written anew. Set for hop-by-hop fields, for those that `Connection`
    /// names, and for look-alikes of fields that frame the message, such as `Content_Length`. Others may be added with
    /// [`Fields::remove`].
    pub removed: bool,
}

impl Line {
    /// Sets what the name says.
    fn classify(&mut self, name: &[u8]) {
        match Field::classify(name) {
            (field, false) => {
                self.field = field;
                self.resembles = None;
                self.removed = field.is_hop_by_hop();
            }
            (field, true) => {
                self.field = Field::Other;
                self.resembles = Some(field);
                self.removed = field.is_hop_by_hop() || field == Field::ContentLength;
            }
        }
    }
}

/// The header lines of a message in their order, as places in the buffer that was parsed.
#[derive(Clone, Debug)]
pub struct Fields {
    /// The first `count` are the lines; those behind are left from an earlier head, so that their room need not be made anew.
    room: Vec<Line>,
    count: usize,
    /// One bit for each known field that is there.
    seen: u64,
    /// One bit for each known field that is there more than once.
    repeated: u64,
    /// The index of the first line of each field that was seen.
    first: [u16; KINDS],
    /// Where the empty line that ends the head begins.
    end: u32,
}

impl Default for Fields {
    fn default() -> Self {
        Self { room: Vec::new(), count: 0, seen: 0, repeated: 0, first: [0; KINDS], end: 0 }
    }
}

impl Fields {
    /// All lines.
    #[inline]
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.room[..self.count]
    }

    fn lines_mut(&mut self) -> &mut [Line] {
        &mut self.room[..self.count]
    }

    /// Whether there is a line with this field; always false for [`Field::Other`].
    #[inline]
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        self.seen & field.bit() != 0
    }

    /// The first line with a known field.
    #[inline]
    #[must_use]
    pub fn first(&self, field: Field) -> Option<&Line> {
        if self.has(field) { self.room.get(usize::from(self.first[field as usize])) } else { None }
    }

    /// Whether there is more than one line with a known field.
    #[inline]
    #[must_use]
    pub fn is_repeated(&self, field: Field) -> bool {
        self.repeated & field.bit() != 0
    }

    /// The lines with a known field, in order.
    #[inline]
    pub fn all(&self, field: Field) -> impl DoubleEndedIterator<Item = &Line> {
        let first = usize::from(self.first[field as usize]);
        let lines = match (self.has(field), self.is_repeated(field)) {
            (false, _) => &[],
            (true, false) => &self.lines()[first..=first],
            (true, true) => &self.lines()[first..],
        };
        lines.iter().filter(move |line| line.field == field)
    }

    /// The value of the first line with a known field.
    #[inline]
    #[must_use]
    pub fn value<'a>(&self, field: Field, buffer: &'a [u8]) -> Option<&'a [u8]> {
        self.first(field).map(|line| line.value.of(buffer))
    }

    /// The value of the first line called `name`, in any case.
    #[must_use]
    pub fn named<'a>(&self, name: &[u8], buffer: &'a [u8]) -> Option<&'a [u8]> {
        let is_it = |line: &&Line| line.name.len() == name.len() && line.name.of(buffer).eq_ignore_ascii_case(name);
        self.lines().iter().find(is_it).map(|line| line.value.of(buffer))
    }

    /// Leaves out line `index` when the head is written anew.
    ///
    /// # Panics
    /// If there is no such line.
    pub fn remove(&mut self, index: usize) {
        self.lines_mut()[index].removed = true;
    }

    /// Leaves out the lines for which `is_removed` says so, besides those that are left out already.
    pub fn remove_where(&mut self, mut is_removed: impl FnMut(&Line) -> bool) {
        for line in self.lines_mut() {
            line.removed = line.removed || is_removed(line);
        }
    }

    /// The stretches of the buffer that hold kept lines, line breaks included, in order.
    #[inline]
    pub fn kept(&self) -> impl Iterator<Item = Range<usize>> {
        let mut lines = self.lines().iter();
        std::iter::from_fn(move || {
            let first = lines.find(|line| !line.removed)?;
            let end = lines.find(|line| line.removed).map_or(self.end, |line| line.name.start);
            Some(first.name.start as usize..end as usize)
        })
    }

    /// How many bytes [`kept`](Self::kept) yields in all.
    #[must_use]
    pub fn kept_len(&self) -> usize {
        let (mut length, mut end) = (0, self.end);
        for line in self.lines().iter().rev() {
            if !line.removed {
                length += end - line.name.start;
            }
            end = line.name.start;
        }
        length as usize
    }

    /// Makes room for at most so many lines, of which there are none yet.
    #[inline]
    pub(crate) fn clear(&mut self, most: u16) {
        self.room.truncate(usize::from(most));
        self.count = 0;
        self.seen = 0;
        self.repeated = 0;
        self.end = 0;
    }

    /// Takes one more line with a known name, or [`Known::OTHER`], unless there are `most`.
    #[inline(always)]
    pub(crate) fn add_known(&mut self, name: Span, value: Span, known: &Known, most: u16) -> Option<()> {
        let index = self.count;
        let room = self.next(most)?;
        let Known { field, bit, is_hop_by_hop, .. } = *known;
        *room = Line { name, value, field, resembles: None, removed: is_hop_by_hop };
        if self.seen & bit == 0 {
            self.seen |= bit;
            self.first[field as usize % KINDS] = index as u16;
        } else {
            self.repeated |= bit;
        }
        Some(())
    }

    /// Takes one more line, whose name is `text`, unless there are `most`.
    pub(crate) fn add(&mut self, name: Span, value: Span, text: &[u8], most: u16) -> Option<()> {
        let index = self.count;
        let line = self.next(most)?;
        (line.name, line.value) = (name, value);
        line.classify(text);
        let field = line.field;
        if field != Field::Other {
            let bit = field.bit();
            if self.seen & bit == 0 {
                self.first[field as usize] = index as u16;
            }
            self.repeated |= self.seen & bit;
            self.seen |= bit;
        }
        Some(())
    }

    /// The room for the next line; none if there are `most`.
    #[inline(always)]
    fn next(&mut self, most: u16) -> Option<&mut Line> {
        let index = self.count;
        if index >= self.room.len() {
            self.grow(most)?;
        }
        self.count += 1;
        self.room.get_mut(index)
    }

    #[cold]
    fn grow(&mut self, most: u16) -> Option<()> {
        let most = usize::from(most);
        let room = (2 * self.room.len()).max(8).min(most);
        if room <= self.count {
            return None;
        }
        self.room.resize(room, Line::default());
        Some(())
    }

    /// Notes where the empty line that ends the head begins.
    #[inline]
    pub(crate) fn ends(&mut self, at: usize) {
        self.end = at as u32;
    }

    /// Leaves out every line called `name`, but never `Host` and `Content-Length`: without these the
    /// message would mean something else. Nor `Expect`: who waits for 100 would wait in vain.
    pub(crate) fn remove_named(&mut self, name: &[u8], buffer: &[u8]) {
        for line in self.lines_mut() {
            let is_kept = matches!(line.field, Field::Host | Field::ContentLength | Field::Expect);
            if !is_kept && line.name.len() == name.len() && line.name.of(buffer).eq_ignore_ascii_case(name) {
                line.removed = true;
            }
        }
    }

    /// The members of all lines with `field`, which must be a plain comma-separated list.
    pub(crate) fn members<'a>(&self, field: Field, buffer: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.all(field).flat_map(|line| grammar::list(line.value.of(buffer)))
    }
}
