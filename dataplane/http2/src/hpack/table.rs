//! The dynamic table (RFC 7541 §2.3.2, §4), of a decoder and of an encoder.

use std::collections::VecDeque;

/// What an entry counts beside its bytes (RFC 7541 §4.1).
pub(super) const OVERHEAD: usize = 32;

/// The largest table there can be, so that places in it fit into a `u32`.
const LARGEST: u32 = 1 << 30;

/// The bytes of all entries are in one buffer, the oldest ones first. What is evicted stays in front until a quarter of the
/// buffer is such waste and room is needed; then the rest moves up. So the buffer is at most half larger than the table.
pub(super) struct Table {
    /// The newest first, as they are numbered.
    entries: VecDeque<Entry>,
    bytes: Vec<u8>,
    /// The size of the entries as RFC 7541 §4.1 counts it.
    size: usize,
    max: usize,
}

/// Where the name and value of a field are: side by side.
#[derive(Clone, Copy)]
struct Entry {
    start: u32,
    end: u32,
    /// Bytes of the name.
    name: u32,
}

impl Table {
    /// An empty one for at most `max` bytes, or 2³⁰.
    pub(super) const fn new(max: u32) -> Self {
        let max = if max < LARGEST { max } else { LARGEST };
        Self { entries: VecDeque::new(), bytes: Vec::new(), size: 0, max: max as usize }
    }

    /// How large it may be.
    pub(super) const fn max(&self) -> usize {
        self.max
    }

    /// The field that was put in as the last but `age` of those that are there.
    #[inline]
    pub(super) fn get(&self, age: usize) -> Option<(&[u8], &[u8])> {
        let entry = self.entries.get(age)?;
        self.bytes.get(entry.start as usize..entry.end as usize)?.split_at_checked(entry.name as usize)
    }

    /// Changes how large it may be, at most 2³⁰; evicts what no longer fits (RFC 7541 §4.3).
    pub(super) fn resize(&mut self, max: usize) {
        self.max = max.min(LARGEST as usize);
        self.evict(self.max);
    }

    /// Puts a field in, and evicts others for it; one that is larger than the table empties it (RFC 7541 §4.4).
    ///
    /// Returns the name as it is kept, whose case the caller may change; nothing, if the field is not kept.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) -> &mut [u8] {
        let size = name.len() + value.len() + OVERHEAD;
        if size > self.max {
            self.evict(0);
            return &mut [];
        }
        self.evict(self.max - size);
        self.make_room(name.len() + value.len());
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.entries.push_front(Entry { start: start as u32, end: self.bytes.len() as u32, name: name.len() as u32 });
        self.size += size;
        &mut self.bytes[start..start + name.len()]
    }

    /// Drops the oldest entries until the others have at most `size`.
    fn evict(&mut self, size: usize) {
        while self.size > size
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= (entry.end - entry.start) as usize + OVERHEAD;
        }
        if self.entries.is_empty() {
            self.bytes.clear();
        }
    }

    /// Sees to it that `count` more bytes fit into the buffer.
    fn make_room(&mut self, count: usize) {
        let capacity = self.bytes.capacity();
        if self.bytes.len() + count <= capacity {
            return;
        }
        let waste = self.entries.back().map_or(0, |oldest| oldest.start);
        if waste as usize >= capacity / 4 {
            self.bytes.drain(..waste as usize);
            for entry in &mut self.entries {
                entry.start -= waste;
                entry.end -= waste;
            }
        }
        let needed = self.bytes.len() + count;
        if needed > capacity {
            let grown = (2 * capacity).min(self.max + self.max / 2).max(needed);
            self.bytes.reserve_exact(grown - self.bytes.len());
        }
    }
}
