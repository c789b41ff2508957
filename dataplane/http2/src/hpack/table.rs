//! The dynamic table (RFC 7541 §2.3.2, §4), of a decoder and of an encoder.

/// What an entry counts beside its bytes (RFC 7541 §4.1).
pub(super) const OVERHEAD: usize = 32;

/// The largest table there can be, so that places in it fit into a `u32`.
const LARGEST: usize = 1 << 30;

/// The bytes of all entries are in one buffer, the oldest ones first. What is evicted stays in front until a quarter of the
/// buffer is such waste and room is needed; then the rest moves up. So the buffer is at most half larger than the table.
pub(super) struct Table {
    /// A ring, as long as a power of two: by the low bits of an entry's number. Numbers count the entries ever put in, from 1 on.
    entries: Vec<Entry>,
    /// How many entries there are.
    len: usize,
    /// The number of the last one.
    newest: usize,
    bytes: Vec<u8>,
    /// The size of the entries as RFC 7541 §4.1 counts it.
    size: usize,
    max: usize,
}

/// Where the name of a field is, and how long it and the value behind it are.
#[derive(Clone, Copy, Default)]
struct Entry {
    start: u32,
    name: u32,
    value: u32,
}

impl Table {
    /// An empty one for at most `max` bytes, or 2³⁰.
    pub(super) const fn new(max: u32) -> Self {
        let max = if (max as usize) < LARGEST { max as usize } else { LARGEST };
        Self { entries: Vec::new(), len: 0, newest: 0, bytes: Vec::new(), size: 0, max }
    }

    /// How large it may be.
    pub(super) const fn max(&self) -> usize {
        self.max
    }

    /// How many fields are in it.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many fields were ever put in and kept, which is the number of the newest one.
    pub(super) const fn newest(&self) -> usize {
        self.newest
    }

    /// The field that was put in as the last but `age` of those that are there.
    #[inline]
    pub(super) fn get(&self, age: usize) -> Option<(&[u8], &[u8])> {
        if age >= self.len {
            return None;
        }
        let entry = self.entries.get(place(self.newest.wrapping_sub(age), &self.entries))?;
        let (name, value) = (entry.name as usize, entry.value as usize);
        self.bytes.get(entry.start as usize..)?.get(..name + value)?.split_at_checked(name)
    }

    /// Changes how large it may be, at most 2³⁰; evicts what no longer fits (RFC 7541 §4.3).
    pub(super) fn resize(&mut self, max: usize) {
        self.max = max.min(LARGEST);
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
        if self.len == self.entries.len() {
            self.grow();
        }
        self.newest = self.newest.wrapping_add(1);
        self.len += 1;
        self.size += size;
        let place = place(self.newest, &self.entries);
        self.entries[place] = Entry { start: start as u32, name: name.len() as u32, value: value.len() as u32 };
        &mut self.bytes[start..start + name.len()]
    }

    /// The numbers of the entries, the oldest first.
    fn numbers(&self) -> impl Iterator<Item = usize> + use<> {
        let newest = self.newest;
        (0..self.len).rev().map(move |age| newest.wrapping_sub(age))
    }

    /// Drops the oldest entries until the others have at most `size`.
    fn evict(&mut self, size: usize) {
        for number in self.numbers() {
            if self.size <= size {
                return;
            }
            let entry = self.entries[place(number, &self.entries)];
            self.size -= entry.name as usize + entry.value as usize + OVERHEAD;
            self.len -= 1;
        }
        self.bytes.clear();
    }

    /// Sees to it that `count` more bytes fit into the buffer.
    fn make_room(&mut self, count: usize) {
        let capacity = self.bytes.capacity();
        if self.bytes.len() + count <= capacity {
            return;
        }
        let waste = self.numbers().next().map_or(0, |oldest| self.entries[place(oldest, &self.entries)].start);
        if waste as usize >= capacity / 4 {
            self.bytes.drain(..waste as usize);
            for number in self.numbers() {
                let place = place(number, &self.entries);
                self.entries[place].start -= waste;
            }
        }
        let needed = self.bytes.len() + count;
        if needed > capacity {
            let grown = (2 * capacity).min(self.max + self.max / 2).max(needed);
            self.bytes.reserve_exact(grown - self.bytes.len());
        }
    }

    /// Doubles the ring.
    fn grow(&mut self) {
        let mut entries = vec![Entry::default(); (2 * self.entries.len()).max(8)];
        for number in self.numbers() {
            let place_in_new = place(number, &entries);
            entries[place_in_new] = self.entries[place(number, &self.entries)];
        }
        self.entries = entries;
    }
}

/// Where in the ring the entry of this number is.
#[inline]
const fn place(number: usize, ring: &[Entry]) -> usize {
    number & ring.len().wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn entries_are_evicted_in_order_and_the_buffers_stay_small() {
        for max in [0, 40, 100, 1000, 4096] {
            let mut table = Table::new(max);
            let mut model = VecDeque::<(Vec<u8>, Vec<u8>)>::new();
            let size = |model: &VecDeque<(Vec<u8>, Vec<u8>)>| -> usize {
                model.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD).sum()
            };
            for number in 0..3000_usize {
                let name = vec![number as u8; number * 7 % 23];
                let value = vec![!number as u8; if number % 500 == 499 { 5000 } else { number * number % 311 % 97 }];
                let kept = table.insert(&name, &value);
                let fits = name.len() + value.len() + OVERHEAD <= max as usize;
                assert_eq!(kept, if fits { &name[..] } else { &[] });
                model.push_front((name, value));
                while size(&model) > max as usize {
                    model.pop_back();
                }
                if number % 700 == 300 {
                    table.resize(max as usize / 3);
                    while size(&model) > max as usize / 3 {
                        model.pop_back();
                    }
                    table.resize(max as usize);
                }
                assert_eq!(table.len(), model.len());
                for (age, (name, value)) in model.iter().enumerate() {
                    assert_eq!(table.get(age), Some((&name[..], &value[..])));
                }
                assert_eq!(table.get(model.len()), None);
                assert!(table.bytes.capacity() <= (max + max / 2) as usize);
                assert!(table.entries.len() <= (max as usize / OVERHEAD).next_power_of_two().max(8));
            }
        }
    }
}
