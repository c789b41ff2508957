//! Hosts and paths as almost all are, known as such eight bytes at a time.

/// A 1 in each byte of a word.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
/// The high bit of each.
const HIGH: u64 = ONES << 7;
/// What fills up the last word: it may stand anywhere.
const FILLING: u64 = ONES * b'a' as u64;

/// Whether `host` has only lower-case letters, digits, hyphens and dots, a dot neither first nor last nor behind another.
pub(super) fn is_host(host: &[u8]) -> bool {
    let holds = |word, before| {
        let letters = from(word, b'a') & !from(word, b'z' + 1);
        let others = from(word, b'-') & !from(word, b'9' + 1) & !are(word, b'/');
        (letters | others) & !(are(word, b'.') & are(before, b'.'))
    };
    host.last().is_some_and(|last| *last != b'.') && all(host, b'.', holds)
}

/// Whether `path` has only letters, digits, `-`, `_`, slashes and dots, behind no slash another one or a dot.
pub(super) fn is_path(path: &[u8]) -> bool {
    let holds = |word, before| {
        let lower = word | (ONES * 0x20);
        let letters = from(lower, b'a') & !from(lower, b'z' + 1);
        let others = from(word, b'-') & !from(word, b'9' + 1);
        let slashes_and_dots = are(word, b'/') | are(word, b'.');
        (letters | others | are(word, b'_')) & !(slashes_and_dots & are(before, b'/'))
    };
    all(path, b'a', holds)
}

/// Whether `holds` sets the high bit for each byte of `bytes`, all of which are ASCII. It gets eight of them, and the byte in front of
/// each, which is `first` for the first.
#[inline(always)]
fn all(bytes: &[u8], first: u8, holds: impl Fn(u64, u64) -> u64) -> bool {
    let mut last = u64::from(first) << 56;
    let mut holds_next = |word: u64| {
        let held = holds(word, (word << 8) | (last >> 56)) & !word & HIGH == HIGH;
        last = word;
        held
    };
    let (words, rest) = bytes.as_chunks();
    words.iter().all(|word| holds_next(u64::from_le_bytes(*word)))
        && (rest.is_empty() || holds_next(rest.iter().rev().fold(FILLING, |word, byte| (word << 8) | u64::from(*byte))))
}

/// Sets the high bit of each byte that is at least `least`, its own high bit aside.
const fn from(word: u64, least: u8) -> u64 {
    // In no byte does the sum overflow.
    (word & !HIGH) + ONES * (0x80 - least as u64)
}

/// Sets the high bit of each byte that is `byte`, its own high bit aside; the other bits mean nothing.
const fn are(word: u64, byte: u8) -> u64 {
    !(((word ^ (ONES * byte as u64)) & !HIGH) + !HIGH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same byte by byte.
    fn is_plain(bytes: &[u8], is_host: bool) -> bool {
        let may_stand = |byte: u8| match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' => true,
            b'A'..=b'Z' | b'_' | b'/' => !is_host,
            _ => false,
        };
        let follows = |pair: &[u8]| match is_host {
            true => pair != b"..",
            false => pair != b"//" && pair != b"/.",
        };
        let ends_well = !is_host || !(bytes.is_empty() || bytes.starts_with(b".") || bytes.ends_with(b"."));
        bytes.iter().all(|byte| may_stand(*byte)) && bytes.windows(2).all(follows) && ends_well
    }

    #[test]
    fn every_byte_and_pair_is_known_at_every_place() {
        for length in 0..20 {
            let check = |bytes: &[u8]| {
                assert_eq!(is_host(bytes), is_plain(bytes, true), "{}", bytes.escape_ascii());
                assert_eq!(is_path(bytes), is_plain(bytes, false), "{}", bytes.escape_ascii());
            };
            for around in *b"a9-/." {
                let mut bytes = vec![around; length];
                check(&bytes);
                for at in 0..length {
                    for byte in 0..=u8::MAX {
                        bytes[at] = byte;
                        check(&bytes);
                        for next in *b"./" {
                            let Some(place) = bytes.get_mut(at + 1) else { break };
                            *place = next;
                            check(&bytes);
                            bytes[at + 1] = around;
                        }
                    }
                    bytes[at] = around;
                }
            }
        }
    }
}
