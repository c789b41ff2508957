//! Header blocks for a peer (RFC 7541 §3, §6).

use super::{
    huffman, integer,
    key::{Name, Pair},
    slots::{self, Slots},
    static_table,
    table::{OVERHEAD, Table},
};

/// The largest dynamic table that is used, which is also what a peer allows that says nothing (RFC 9113 §6.5.2).
const MAX: u32 = 4096;

const _: () = assert!(MAX as usize / OVERHEAD == slots::FIELDS);

/// What the first byte of a representation begins with (RFC 7541 §6).
const INDEXED: u8 = 0x80;
const INCREMENTAL: u8 = 0x40;
const SIZE_UPDATE: u8 = 0x20;
const NEVER: u8 = 0x10;
const WITHOUT: u8 = 0x00;

/// How a field is represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// It comes again: into the table (RFC 7541 §6.2.1).
    Yes,
    /// It is new each time, or in the static table: a literal without indexing (RFC 7541 §6.2.2), or a number.
    No,
    /// It is secret: a literal that nobody may index on the way (RFC 7541 §6.2.3).
    Never,
}

/// Encodes the header blocks for one peer; has the dynamic table of its decoder.
pub struct Encoder {
    table: Table,
    /// There with the first field of the table.
    slots: Option<Box<Slots>>,
    /// The smallest size since the last block, if the size changed.
    resized: Option<usize>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// For a peer that has not said yet how large the table may be: 4096 bytes.
    pub const fn new() -> Self {
        Self { table: Table::new(MAX), slots: None, resized: None }
    }

    /// The peer's `SETTINGS_HEADER_TABLE_SIZE`, of which at most 4096 bytes are used. The next block says so (RFC 7541 §4.2).
    pub fn set_max_size(&mut self, size: u32) {
        let size = size.min(MAX) as usize;
        if size != self.table.max() {
            self.resized = Some(self.resized.unwrap_or(usize::MAX).min(size));
            self.table.resize(size);
        }
    }

    /// Begins a block; called before its first field.
    #[inline]
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(smallest) = self.resized.take() {
            // The smallest one too, since it evicted something (RFC 7541 §4.2).
            if smallest < self.table.max() {
                integer::write(smallest, SIZE_UPDATE, 5, out);
            }
            integer::write(self.table.max(), SIZE_UPDATE, 5, out);
        }
    }

    /// `:status`, of three digits.
    #[inline]
    pub fn status(&mut self, status: u16, out: &mut Vec<u8>) {
        let index = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                let digits = [100, 10, 1].map(|unit| b'0' + (status / unit % 10) as u8);
                return self.field(b":status", &digits, Indexing::Yes, out);
            }
        };
        out.push(INDEXED | index);
    }

    /// A field. The name may have upper-case letters; it is written in lower case (RFC 9113 §8.2.1).
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8], indexing: Indexing, out: &mut Vec<u8>) {
        match indexing {
            Indexing::Yes => self.indexed(name, value, out),
            Indexing::No => self.literal(name, value, WITHOUT, out),
            Indexing::Never => self.literal(name, value, NEVER, out),
        }
    }

    /// A field that comes again. As a rule it is in the table; all else is kept out of the way of that.
    fn indexed(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        if let Some(slots) = &self.slots
            && let Some(age) = slots.find_newest(&Pair::new(name, value), &self.table)
        {
            return integer::write(static_table::LEN + 1 + age, INDEXED, 7, out);
        }
        self.add(name, value, out);
    }

    /// A field that comes again, perhaps for the first time.
    #[inline(never)]
    fn add(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let pair = &Pair::new(name, value);
        let known = static_table::find(&pair.name);
        if let Some(index) = known.and_then(|first| static_table::find_value(first, value)) {
            return out.push(INDEXED | index as u8);
        }
        if let Some(age) = self.slots.as_ref().and_then(|slots| slots.find(pair, &self.table)) {
            return integer::write(static_table::LEN + 1 + age, INDEXED, 7, out);
        }
        if name.len() + value.len() + OVERHEAD > self.table.max() / 2 {
            // It would evict too much.
            return self.literal(name, value, WITHOUT, out);
        }
        match known.or_else(|| self.find_name(&pair.name)) {
            Some(index) => integer::write(index, INCREMENTAL, 6, out),
            None => {
                out.push(INCREMENTAL);
                shorter::<true>(name, out);
            }
        }
        shorter::<false>(value, out);
        self.table.insert(name, value).make_ascii_lowercase();
        self.slots.get_or_insert_with(Slots::boxed).note(pair, &self.table);
    }

    /// A literal field that is not put into the table; `first` says in which way.
    fn literal(&mut self, name: &[u8], value: &[u8], first: u8, out: &mut Vec<u8>) {
        let key = &Name::new(name);
        if let Some(index) = static_table::find(key) {
            if first == WITHOUT
                && let Some(index) = static_table::find_value(index, value)
            {
                return out.push(INDEXED | index as u8);
            }
            integer::write(index, first, 4, out);
        } else if let Some(index) = self.find_name(key) {
            integer::write(index, first, 4, out);
        } else {
            out.push(first);
            raw(name, out);
            let start = out.len() - name.len();
            out[start..].make_ascii_lowercase();
        }
        raw(value, out);
    }

    /// The number of a field in the dynamic table with this name.
    fn find_name(&self, name: &Name<'_>) -> Option<usize> {
        let age = self.slots.as_ref()?.find_name(name, &self.table)?;
        Some(static_table::LEN + 1 + age)
    }
}

/// A string as it is (RFC 7541 §5.2).
#[inline]
fn raw(string: &[u8], out: &mut Vec<u8>) {
    integer::write(string.len(), 0, 7, out);
    out.extend_from_slice(string);
}

/// A string, Huffman coded if that is shorter; if `LOWER`, with its letters in lower case.
fn shorter<const LOWER: bool>(string: &[u8], out: &mut Vec<u8>) {
    let coded = huffman::coded_len::<LOWER>(string);
    if coded < string.len() {
        integer::write(coded, 0x80, 7, out);
        return huffman::encode::<LOWER>(string, out);
    }
    raw(string, out);
    if LOWER {
        let start = out.len() - string.len();
        out[start..].make_ascii_lowercase();
    }
}
