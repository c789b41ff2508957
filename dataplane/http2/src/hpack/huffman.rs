//! The Huffman code of strings (RFC 7541 §5.2, appendix B).

use super::Malformed;

/// Bits of the string that [`PAIRS`] is indexed by.
const WINDOW: u32 = 12;

/// Bits of the longest code.
const LONGEST: usize = 30;

/// The symbol that no string may have (RFC 7541 §5.2).
const END: usize = 256;

/// Bytes that are written at once, some of which mean nothing.
const CHUNK: usize = 24;

/// How many bytes [`decode`] must have for a coded string of `length` bytes.
pub(super) const fn room(length: usize) -> usize {
    // No code is shorter than five bits. The last chunk may begin behind what ones after the end of a bad string stand for.
    length * 8 / 5 + 2 * CHUNK
}

/// Writes what `coded` stands for to the front of `out`, and some more bytes behind it. Returns how many bytes it stands for.
///
/// # Errors
/// It has a code for the end of the string, or ends with something else than less than a byte of ones (RFC 7541 §5.2);
/// or there is less [`room`].
pub(super) fn decode(coded: &[u8], out: &mut [u8]) -> Result<usize, Malformed> {
    let (mut bit, mut written) = (0, 0);
    loop {
        let chunk = out.get_mut(written..).and_then(|rest| rest.first_chunk_mut()).ok_or(Malformed)?;
        // At least 57 bits of the string. The lowest one is set: it counts the others that go, and comes into no window.
        let mut turn = Turn { word: load(coded, bit / 8) << (bit % 8) | 1, length: 0, chunk };
        let mut pair = 0;
        for _ in 0..4 {
            pair = turn.next();
        }
        // As a rule there is enough for two more.
        if turn.has_window() {
            pair = turn.next();
            if turn.has_window() {
                pair = turn.next();
            }
        }
        written += turn.length;
        bit += turn.word.trailing_zeros() as usize;
        if pair != 0 {
            continue;
        }

        // The window begins with ten ones, as all codes do that are longer: either the string ends, or such a code follows.
        let left = (8 * coded.len()).checked_sub(bit).ok_or(Malformed)?;
        if left < 8 {
            return Ok(written);
        }
        let (symbol, length) = long(load(coded, bit / 8) << (bit % 8));
        if symbol == END {
            return Err(Malformed);
        }
        // If it goes beyond the end, the next turn finds nothing left.
        *out.get_mut(written).ok_or(Malformed)? = symbol as u8;
        written += 1;
        bit += length;
    }
}

/// What is done with the bits of one [`load`].
struct Turn<'a> {
    /// The bits to come, and behind them a one and as many zeros as bits are gone.
    word: u64,
    /// How many bytes of the chunk are written.
    length: usize,
    chunk: &'a mut [u8; CHUNK],
}

impl Turn<'_> {
    /// Writes what the next window stands for, which is nothing if its code is a long one. Returns what the table says of it.
    #[inline]
    fn next(&mut self) -> u32 {
        let pair = PAIRS[(self.word >> (u64::BITS - WINDOW)) as usize];
        self.chunk[self.length] = (pair >> 8) as u8;
        self.chunk[self.length + 1] = (pair >> 16) as u8;
        self.length += (pair >> 30) as usize;
        // By the low six bits of it.
        self.word = self.word.wrapping_shl(pair);
        pair
    }

    /// Whether there are bits for another window, before the one behind them.
    #[inline]
    const fn has_window(&self) -> bool {
        self.word << (WINDOW + 7) != 0
    }
}

/// The eight bytes of `coded` from `at` on. Behind its end are ones, as in its last byte.
#[inline]
fn load(coded: &[u8], at: usize) -> u64 {
    match coded.get(at..at + 8).and_then(|bytes| bytes.first_chunk()) {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => load_last(coded, at),
    }
}

fn load_last(coded: &[u8], at: usize) -> u64 {
    let rest = coded.get(at..).unwrap_or_default();
    if rest.is_empty() {
        return u64::MAX;
    }
    let ones = u64::MAX >> (8 * rest.len());
    if let Some(bytes) = coded.last_chunk() {
        return u64::from_be_bytes(*bytes) << (8 * (8 - rest.len())) | ones;
    }
    let word = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    word << (8 * (8 - rest.len())) | ones
}

/// The symbol that `bits` begin with, whose code is longer than the window, and how long that is.
fn long(bits: u64) -> (usize, usize) {
    let bits = (bits >> (64 - LONGEST)) as u32;
    let mut length = WINDOW as usize + 1;
    // All codes of a length are smaller than every longer one.
    while length < LONGEST && bits >> (LONGEST - length) >= CODE.end[length] {
        length += 1;
    }
    let place = CODE.before[length] + (bits >> (LONGEST - length)).wrapping_sub(CODE.first[length]);
    (usize::from(CODE.sorted[place as usize % SYMBOLS]), length)
}

/// How many bytes `string` has if it is coded; if `LOWER`, with its letters in lower case.
pub(super) fn coded_len<const LOWER: bool>(string: &[u8]) -> usize {
    let bits = string.iter().map(|byte| usize::from(LENGTHS[symbol::<LOWER>(*byte)])).sum::<usize>();
    bits.div_ceil(8)
}

/// Appends `string` to `out`, coded; if `LOWER`, with its letters in lower case.
pub(super) fn encode<const LOWER: bool>(string: &[u8], out: &mut Vec<u8>) {
    let (mut word, mut bits) = (0_u64, 0);
    for byte in string {
        let symbol = symbol::<LOWER>(*byte);
        let length = u32::from(LENGTHS[symbol]);
        word = word << length | u64::from(CODE.codes[symbol]);
        bits += length;
        if bits >= 32 {
            bits -= 32;
            out.extend_from_slice(&((word >> bits) as u32).to_be_bytes());
        }
    }
    // The rest, and ones up to a whole byte.
    let padding = bits.wrapping_neg() % 8;
    word = word << padding | ((1 << padding) - 1);
    bits += padding;
    while bits > 0 {
        bits -= 8;
        out.push((word >> bits) as u8);
    }
}

const fn symbol<const LOWER: bool>(byte: u8) -> usize {
    if LOWER { byte.to_ascii_lowercase() as usize } else { byte as usize }
}

const SYMBOLS: usize = 257;

/// The code itself. It is a canonical one: shorter codes come before longer ones, and among equals that of the smaller symbol is
/// the first, so that the lengths say all.
struct Code {
    codes: [u32; SYMBOLS],
    /// The symbols in the order of their codes.
    sorted: [u16; SYMBOLS],
    /// By length, how many codes are shorter.
    before: [u32; LONGEST + 1],
    /// By length, the first code.
    first: [u32; LONGEST + 1],
    /// By length, what is larger by one than the last code.
    end: [u32; LONGEST + 1],
}

static CODE: Code = code();

const fn code() -> Code {
    let mut code = Code {
        codes: [0; SYMBOLS],
        sorted: [0; SYMBOLS],
        before: [0; LONGEST + 1],
        first: [0; LONGEST + 1],
        end: [0; LONGEST + 1],
    };
    let (mut next, mut count, mut length) = (0, 0, 1);
    while length <= LONGEST {
        next <<= 1;
        code.before[length] = count;
        code.first[length] = next;
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                code.codes[symbol] = next;
                code.sorted[count as usize] = symbol as u16;
                next += 1;
                count += 1;
            }
            symbol += 1;
        }
        code.end[length] = next;
        length += 1;
    }
    code
}

/// What the next bits of a string stand for: the first symbol in bits 8 to 15 and, if the second fits into the window too, that in
/// bits 16 to 23; how many these are in bits 30 and 31, and the length of their codes in the lowest bits. Zero, if not even the first fits.
static PAIRS: [u32; 1 << WINDOW] = {
    let code = code();
    let mut pairs = [0; 1 << WINDOW];
    let mut first = 0;
    while first < END {
        let first_length = LENGTHS[first] as u32;
        if first_length <= WINDOW {
            let left = WINDOW - first_length;
            let start = code.codes[first] << left;
            fill(&mut pairs, start, left, 1 << 30 | (first as u32) << 8 | first_length);
            let mut second = 0;
            while second < END {
                let length = LENGTHS[second] as u32;
                if length <= left {
                    let start = start | code.codes[second] << (left - length);
                    let symbols = (second as u32) << 16 | (first as u32) << 8;
                    fill(&mut pairs, start, left - length, 2 << 30 | symbols | (first_length + length));
                }
                second += 1;
            }
        }
        first += 1;
    }
    pairs
};

/// Puts `pair` wherever the window begins as `start` does but for its lowest `bits` bits.
const fn fill(pairs: &mut [u32; 1 << WINDOW], start: u32, bits: u32, pair: u32) {
    let mut at = 0;
    while at < 1 << bits {
        pairs[start as usize + at] = pair;
        at += 1;
    }
}

/// By symbol, the bits of its code (RFC 7541 appendix B).
#[rustfmt::skip]
static LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,];

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = vec![0; room(coded.len())];
        let length = decode(coded, &mut out)?;
        out.truncate(length);
        Ok(out)
    }

    #[test]
    fn every_symbol_is_read_back_alone_and_among_others() {
        for symbol in 0..=u8::MAX {
            for string in
                [vec![symbol], vec![symbol; 9], vec![b'a', symbol, b'0', symbol, b'Z'], vec![symbol, 0xff, 10]]
            {
                let mut coded = Vec::new();
                encode::<false>(&string, &mut coded);
                assert_eq!(coded.len(), coded_len::<false>(&string));
                assert_eq!(decoded(&coded), Ok(string));
            }
        }
    }

    #[test]
    fn letters_are_coded_in_lower_case_if_that_is_wanted() {
        let (mut coded, mut lower) = (Vec::new(), Vec::new());
        encode::<true>(b"X-Request-ID", &mut coded);
        encode::<false>(b"x-request-id", &mut lower);
        assert_eq!(coded, lower);
        assert_eq!(coded.len(), coded_len::<true>(b"X-Request-ID"));
    }

    #[test]
    fn only_less_than_a_byte_of_ones_ends_a_string() {
        // `0` is 00000, `a` 00011, `&` 11111000.
        for (coded, expected) in [
            (&[][..], Ok(&b""[..])),
            (&[0b0000_0111], Ok(b"0")),
            (&[0b0000_0110], Err(Malformed)),
            (&[0b0000_0000], Err(Malformed)),
            (&[0b0000_0111, 0xff], Err(Malformed)),
            (&[0b1111_1000], Ok(b"&")),
            (&[0b1111_1000, 0xff], Err(Malformed)),
            (&[0xff], Err(Malformed)),
            (&[0b0001_1000, 0b0011_1111], Ok(b"a0")),
            // Nothing but the end of the string, and that within it.
            (&[0xff, 0xff, 0xff, 0xff], Err(Malformed)),
            (&[0xff, 0xff, 0xff, 0xfc], Err(Malformed)),
            (&[0b0000_0111, 0xff, 0xff, 0xff, 0xff, 0b0000_0111], Err(Malformed)),
            // A long code that is cut: `\` is 19 bits, 0x7fff0.
            (&[0xff, 0xfe, 0b0001_1111], Ok(b"\\")),
            (&[0xff, 0xfe], Err(Malformed)),
        ] {
            assert_eq!(decoded(coded).as_deref(), expected.as_deref(), "{coded:x?}");
        }
    }

    #[test]
    fn a_string_that_is_cut_is_malformed_or_a_beginning() {
        let string = b"/some/path?with=query&and#more~stuff\x80\xffpadded|with{braces}";
        let mut coded = Vec::new();
        encode::<false>(string, &mut coded);
        for length in 0..coded.len() {
            if let Ok(beginning) = decoded(&coded[..length]) {
                assert!(string.starts_with(&beginning) && beginning.len() < string.len());
            }
        }
    }
}
