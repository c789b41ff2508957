//! HPACK (RFC 7541): writes literals only, reads everything.

use std::collections::VecDeque;

/// Name and value of a field.
pub type Field = (String, String);

/// Appends a header block of these fields, each as a literal that nobody remembers, without Huffman coding.
pub fn encode(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, 7, 0, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// Appends an integer with a prefix of `bits` bits, whose byte has `flags` besides (RFC 7541 §5.1).
pub fn integer(block: &mut Vec<u8>, bits: u8, flags: u8, mut number: usize) {
    let most = (1 << bits) - 1;
    if number < most {
        block.push(flags | number as u8);
        return;
    }
    block.push(flags | most as u8);
    number -= most;
    while number >= 128 {
        block.push(number as u8 | 128);
        number >>= 7;
    }
    block.push(number as u8);
}

/// The reading side of one connection.
#[derive(Default)]
pub(super) struct Decoder {
    /// The newest first.
    table: VecDeque<Field>,
    limit: Option<usize>,
}

const DEFAULT_LIMIT: usize = 4096;

impl Decoder {
    /// The fields of a whole header block; none if it is broken.
    pub(super) fn decode(&mut self, mut block: &[u8]) -> Option<Vec<Field>> {
        let mut fields = Vec::new();
        while let Some(first) = block.first().copied() {
            let rest = &mut block;
            if first & 0x80 != 0 {
                let index = read_integer(rest, 7)?;
                fields.push(self.at(index)?);
            } else if first & 0x40 != 0 {
                let field = self.literal(rest, 6)?;
                self.table.push_front(field.clone());
                self.evict();
                fields.push(field);
            } else if first & 0x20 != 0 {
                self.limit = Some(read_integer(rest, 5)?);
                self.evict();
            } else {
                fields.push(self.literal(rest, 4)?);
            }
        }
        Some(fields)
    }

    fn literal(&self, block: &mut &[u8], bits: u8) -> Option<Field> {
        let name = match read_integer(block, bits)? {
            0 => read_string(block)?,
            index => self.at(index)?.0,
        };
        Some((name, read_string(block)?))
    }

    fn at(&self, index: usize) -> Option<Field> {
        let index = index.checked_sub(1)?;
        match STATIC.get(index) {
            Some((name, value)) => Some(((*name).to_owned(), (*value).to_owned())),
            None => self.table.get(index - STATIC.len()).cloned(),
        }
    }

    fn evict(&mut self) {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        while self.table.iter().map(|(name, value)| name.len() + value.len() + 32).sum::<usize>() > limit {
            self.table.pop_back();
        }
    }
}

fn read_integer(block: &mut &[u8], bits: u8) -> Option<usize> {
    let most = (1 << bits) - 1;
    let (first, mut rest) = block.split_first()?;
    let mut number = usize::from(*first) & most;
    let mut shift = 0;
    while number >= most {
        let (byte, further) = rest.split_first()?;
        rest = further;
        number += (usize::from(*byte) & 127) << shift;
        shift += 7;
        if *byte < 128 || shift > 28 {
            break;
        }
    }
    *block = rest;
    Some(number)
}

fn read_string(block: &mut &[u8]) -> Option<String> {
    let is_huffman = block.first()? & 0x80 != 0;
    let length = read_integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length)?;
    *block = rest;
    let text = if is_huffman { unhuffman(text)? } else { text.to_vec() };
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Bit by bit: the code is canonical, so the lengths alone say what each code means.
fn unhuffman(text: &[u8]) -> Option<Vec<u8>> {
    let mut symbols: Vec<usize> = (0..LENGTHS.len()).collect();
    symbols.sort_by_key(|symbol| LENGTHS[*symbol]);
    let mut bits = text.iter().flat_map(|byte| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1)));
    let mut out = Vec::new();
    'symbol: loop {
        // `first` is the first code of `length`, `at` its place among the symbols.
        let (mut code, mut first, mut at) = (0, 0, 0);
        for length in 1..=30 {
            let Some(bit) = bits.next() else { return Some(out) };
            code = code << 1 | bit;
            let count = LENGTHS.iter().filter(|of| **of == length).count();
            if code - first < count as u32 {
                out.push(u8::try_from(symbols[at + (code - first) as usize]).ok()?);
                continue 'symbol;
            }
            at += count;
            first = (first + count as u32) << 1;
        }
        return None;
    }
}

/// Lengths of the codes of all bytes and of the end (RFC 7541 appendix B).
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28,
    28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6,
    12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15,
    5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20,
    22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22,
    23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26,
    27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// RFC 7541 appendix A.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"), (":scheme",
    "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"), (":status", "304"),
    (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""), ("accept-encoding", "gzip,
    deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""), ("access-control-allow-origin", ""),
    ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""), ("content-disposition", ""),
    ("content-encoding", ""), ("content-language", ""), ("content-length", ""), ("content-location", ""),
    ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""),
    ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""),
    ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""),
    ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""), ("referer", ""),
    ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""),
    ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> Field {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn literals_survive_and_the_examples_of_the_rfc_are_read() {
        let fields = [("x", "1"), ("long", &*"y".repeat(300))];
        let read = Decoder::default().decode(&encode(&fields)).unwrap();
        assert_eq!(read, fields.map(|(name, value)| field(name, value)));
        // RFC 7541 C.4: requests with Huffman coding, on one connection.
        let mut decoder = Decoder::default();
        let bytes = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let first = decoder.decode(&bytes("828684418cf1e3c2e5f23a6ba0ab90f4ff")).unwrap();
        assert_eq!(first[3], field(":authority", "www.example.com"));
        let second = decoder.decode(&bytes("828684be5886a8eb10649cbf")).unwrap();
        assert_eq!(second[3..], [field(":authority", "www.example.com"), field("cache-control", "no-cache")]);
    }
}
