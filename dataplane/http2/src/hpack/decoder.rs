//! Header blocks of a peer (RFC 7541 §3, §6).

use super::{Malformed, huffman, integer, static_table, table::Table};

/// Bytes of scratch space that are kept for the next block; more are given back.
const SCRATCH: usize = 4096;

/// Decodes the header blocks of one peer; has the dynamic table of its encoder.
pub struct Decoder {
    table: Table,
    /// What the peer may resize the table to.
    limit: u32,
    scratch: Scratch,
}

/// Where the strings of a literal are that are not in the block as they are. What is in it between two literals means nothing; it
/// is kept so that bytes are rarely set to zero.
#[derive(Default)]
struct Scratch {
    name: Vec<u8>,
    value: Vec<u8>,
}

/// A literal field.
struct Literal<'s, 'b> {
    name: &'s [u8],
    value: &'s [u8],
    /// What is behind it in the block.
    rest: &'b [u8],
}

impl Decoder {
    /// For a peer that was told (or need not be) that the `SETTINGS_HEADER_TABLE_SIZE` is `max`.
    pub const fn new(max: u32) -> Self {
        Self { table: Table::new(max), limit: max, scratch: Scratch { name: Vec::new(), value: Vec::new() } }
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
            let size;
            (size, rest) = integer::read(first, 5, after)?;
            if size > self.limit as usize {
                return Err(Malformed);
            }
            self.table.resize(size);
        }
        while let Some((&first, after)) = rest.split_first() {
            if first >= 0x80 {
                let index;
                (index, rest) = integer::read(first, 7, after)?;
                let (name, value) = lookup(&self.table, index)?;
                field(name, value);
                continue;
            }
            let literal = literal(first, after, &self.table, &mut self.scratch)?;
            field(literal.name, literal.value);
            if first >= 0x40 {
                self.table.insert(literal.name, literal.value);
            }
            rest = literal.rest;
        }
        if self.scratch.name.len() + self.scratch.value.len() > SCRATCH {
            self.scratch = Scratch::default();
        }
        Ok(())
    }
}

/// The literal field whose first byte is `first`, and whose other bytes are at the front of `rest` (RFC 7541 §6.2).
fn literal<'s, 'b: 's>(
    first: u8,
    rest: &'b [u8],
    table: &Table,
    scratch: &'s mut Scratch,
) -> Result<Literal<'s, 'b>, Malformed> {
    let (index, rest) = match first {
        0x40.. => integer::read(first, 6, rest)?,
        // A size update behind a field.
        0x20.. => return Err(Malformed),
        _ => integer::read(first, 4, rest)?,
    };
    let (name, rest) = if index == 0 {
        string(rest, &mut scratch.name)?
    } else {
        (indexed_name(index, table, &mut scratch.name)?, rest)
    };
    let (value, rest) = string(rest, &mut scratch.value)?;
    Ok(Literal { name, value, rest })
}

/// The name of the field of number `index`.
#[inline]
fn indexed_name<'s>(index: usize, table: &Table, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Malformed> {
    if let Some((name, _)) = static_table::get(index) {
        return Ok(name);
    }
    // A copy: the field that it is the name of may be evicted for this one.
    let (name, _) = lookup(table, index)?;
    scratch.clear();
    scratch.extend_from_slice(name);
    Ok(scratch)
}

/// The string at the front of `rest`, perhaps in `scratch`, and what is behind it (RFC 7541 §5.2).
#[inline]
fn string<'s, 'b: 's>(rest: &'b [u8], scratch: &'s mut Vec<u8>) -> Result<(&'s [u8], &'b [u8]), Malformed> {
    let (&first, rest) = rest.split_first().ok_or(Malformed)?;
    let (length, rest) = integer::read(first, 7, rest)?;
    let (string, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
    if first < 0x80 {
        return Ok((string, rest));
    }
    let room = huffman::room(length);
    if scratch.len() < room {
        scratch.resize(room, 0);
    }
    let length = huffman::decode(string, scratch)?;
    Ok((scratch.get(..length).ok_or(Malformed)?, rest))
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
