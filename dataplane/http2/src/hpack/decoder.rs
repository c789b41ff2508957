//! Header blocks of a peer (RFC 7541 §3, §6).

use std::ops::Range;

use super::{Malformed, huffman, integer, static_table, table::Table};

/// Scratch space that is kept for the next block; a larger one is given back.
const SCRATCH: usize = 4096;

/// Decodes the header blocks of one peer; has the dynamic table of its encoder.
pub struct Decoder {
    table: Table,
    /// What the peer may resize the table to.
    limit: u32,
    /// Strings of a literal that are not in the block as they are.
    scratch: Vec<u8>,
}

/// A literal field.
struct Literal<'a> {
    name: Text<'a>,
    value: Text<'a>,
}

/// A string of a literal field.
enum Text<'a> {
    At(&'a [u8]),
    Scratch(Range<usize>),
}

impl Text<'_> {
    fn resolve<'a>(&'a self, scratch: &'a [u8]) -> &'a [u8] {
        match self {
            Self::At(bytes) => bytes,
            Self::Scratch(range) => &scratch[range.clone()],
        }
    }
}

impl Decoder {
    /// For a peer that was told (or need not be) that the `SETTINGS_HEADER_TABLE_SIZE` is `max`.
    pub const fn new(max: u32) -> Self {
        Self { table: Table::new(max), limit: max, scratch: Vec::new() }
    }

    /// Decodes one whole header block, joined from HEADERS and CONTINUATION, and calls `field(name, value)` for each field
    /// in order. Names and values may have any bytes, and may be empty.
    ///
    /// # Errors
    /// The block is malformed, perhaps after some fields; then the table is of no use any more, and so is the connection.
    pub fn decode(&mut self, block: &[u8], mut field: impl FnMut(&[u8], &[u8])) -> Result<(), Malformed> {
        let mut rest = block;
        // Size updates are at the start and nowhere else (RFC 7541 §4.2).
        while let Some((&first @ 0x20..=0x3f, after)) = rest.split_first() {
            rest = after;
            let size = integer::read(first, 5, &mut rest)?;
            if size > self.limit as usize {
                return Err(Malformed);
            }
            self.table.resize(size);
        }
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            if first >= 0x80 {
                let index = integer::read(first, 7, &mut rest)?;
                let (name, value) = lookup(&self.table, index)?;
                field(name, value);
                continue;
            }
            let literal = self.literal(first, &mut rest)?;
            let (name, value) = (literal.name.resolve(&self.scratch), literal.value.resolve(&self.scratch));
            field(name, value);
            if first >= 0x40 {
                self.table.insert(name, value);
            }
        }
        if self.scratch.capacity() > SCRATCH {
            self.scratch = Vec::new();
        }
        Ok(())
    }

    /// The literal field whose first byte is `first`, and whose other bytes are at the front of `rest` (RFC 7541 §6.2).
    fn literal<'a>(&mut self, first: u8, rest: &mut &'a [u8]) -> Result<Literal<'a>, Malformed> {
        let bits = match first {
            0x40.. => 6,
            // A size update behind a field.
            0x20.. => return Err(Malformed),
            _ => 4,
        };
        self.scratch.clear();
        let index = integer::read(first, bits, rest)?;
        let name = if index == 0 {
            self.string(rest)?
        } else if let Some((name, _)) = static_table::get(index) {
            Text::At(name)
        } else {
            // The field that it is the name of may be evicted for this one.
            self.scratch.extend_from_slice(lookup(&self.table, index)?.0);
            Text::Scratch(0..self.scratch.len())
        };
        Ok(Literal { name, value: self.string(rest)? })
    }

    /// The string at the front of `rest` (RFC 7541 §5.2).
    fn string<'a>(&mut self, rest: &mut &'a [u8]) -> Result<Text<'a>, Malformed> {
        let (&first, after) = rest.split_first().ok_or(Malformed)?;
        *rest = after;
        let length = integer::read(first, 7, rest)?;
        let (string, after) = rest.split_at_checked(length).ok_or(Malformed)?;
        *rest = after;
        if first < 0x80 {
            return Ok(Text::At(string));
        }
        let start = self.scratch.len();
        huffman::decode(string, &mut self.scratch)?;
        Ok(Text::Scratch(start..self.scratch.len()))
    }
}

/// The field of number `index`, from 1 on, in both tables (RFC 7541 §2.3.3).
#[inline]
fn lookup(table: &Table, index: usize) -> Result<(&[u8], &[u8]), Malformed> {
    match static_table::get(index) {
        Some(field) => Ok(field),
        // There is no number 0: then this is larger than any.
        None => table.get(index.wrapping_sub(static_table::LEN + 1)).ok_or(Malformed),
    }
}
