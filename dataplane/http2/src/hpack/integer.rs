//! Integers with a prefix of some bits (RFC 7541 §5.1).

use super::Malformed;

/// Continuation bytes of an integer that is read. Five carry 35 bits, so that every `u32` fits, and a longer one is a waste
/// that only a hostile encoder makes.
const MAX_CONTINUATION: usize = 5;

/// The integer whose first byte is `first`, with a prefix of `bits` bits, and whose other bytes are at the front of `rest`;
/// and what is behind it.
///
/// # Errors
/// It ends too soon, or does not fit into a `u32`.
#[inline]
pub(super) fn read(first: u8, bits: u32, rest: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let full = 0xff >> (8 - bits);
    let prefix = first & full;
    if prefix < full { Ok((usize::from(prefix), rest)) } else { continued(full, rest) }
}

fn continued(full: u8, rest: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let mut value = u64::from(full);
    for (at, byte) in rest.iter().take(MAX_CONTINUATION).enumerate() {
        value += u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            let value = u32::try_from(value).map_err(|_| Malformed)?;
            return Ok((value as usize, &rest[at + 1..]));
        }
    }
    Err(Malformed)
}

/// Writes `value` with a prefix of `bits` bits; the bits above it are those of `first`.
#[inline]
pub(super) fn write(value: usize, first: u8, bits: u32, out: &mut Vec<u8>) {
    let full = 0xff_usize >> (8 - bits);
    if value < full {
        out.push(first | value as u8);
        return;
    }
    out.push(first | full as u8);
    let mut value = value - full;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 7541 C.1.
        for (bits, value, bytes) in
            [(5, 10, &[0x0a][..]), (5, 1337, &[0x1f, 0x9a, 0x0a]), (8, 42, &[0x2a]), (7, 127, &[0x7f, 0x00])]
        {
            let mut out = Vec::new();
            write(value, 0, bits, &mut out);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(read(bytes[0], bits, &bytes[1..]), Ok((value, &[][..])));
        }
    }

    #[test]
    fn every_prefix_reads_back_what_it_wrote() {
        for bits in 1..=8 {
            let edge = 0xff_usize >> (8 - bits);
            for value in [0, 1, edge - 1, edge, edge + 1, edge + 127, edge + 128, 16_511, u32::MAX as usize] {
                let mut out = Vec::new();
                write(value, 0, bits, &mut out);
                out.push(0xaa);
                assert_eq!(read(out[0], bits, &out[1..]), Ok((value, &[0xaa][..])), "{value} in {bits}");
            }
        }
    }

    #[test]
    fn what_is_too_large_or_too_short_is_malformed() {
        for bytes in [
            &[0x7f][..],
            &[0x7f, 0xff],
            &[0x7f, 0xff, 0xff, 0xff, 0xff],
            &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            // 2³², and the zeros behind a number that would be small.
            &[0x7f, 0x81, 0xff, 0xff, 0xff, 0x0f],
            &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
        ] {
            assert_eq!(read(bytes[0], 7, &bytes[1..]), Err(Malformed), "{bytes:x?}");
        }
        // The largest one.
        assert_eq!(read(0x7f, 7, &[0x80, 0xff, 0xff, 0xff, 0x0f]), Ok((u32::MAX as usize, &[][..])));
    }
}
