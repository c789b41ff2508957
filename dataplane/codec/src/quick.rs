//! The fast first parser of heads. It takes what is right and whole, and leaves everything else to the slow one, [`walk`](crate::walk),
//! which says what is wrong: so it need not tell one fault from another, and whatever it is unsure of it refuses.
//!
//! A proxy spends more on the bytes of heads than on anything else of its own. So values and targets are read eight bytes at a time,
//! and each line is classified while it is at hand.

use crate::{fields::Fields, grammar, message::Version, span::Span};

/// A 1 in each byte of a word.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
/// The high bit of each.
const HIGH: u64 = ONES << 7;

/// A request line.
pub(crate) struct RequestLine {
    /// The method, a token.
    pub(crate) method: Span,
    /// The target, of bytes from `!` on without DEL: perhaps with `#` and bytes above 127.
    pub(crate) target: Span,
    /// The version.
    pub(crate) version: Version,
    /// Where the next line begins.
    pub(crate) end: usize,
}

/// A status line.
pub(crate) struct StatusLine {
    /// The status: three digits.
    pub(crate) status: u16,
    /// The reason phrase, maybe empty.
    pub(crate) reason: Span,
    /// The version.
    pub(crate) version: Version,
    /// Where the next line begins.
    pub(crate) end: usize,
}

/// Reads the request line that begins at `at`.
#[inline]
pub(crate) fn request_line(head: &[u8], at: usize) -> Option<RequestLine> {
    let method = Span::new(at, at + token_len(&head[at..])?);
    if method.is_empty() || head[method.end as usize] != b' ' {
        return None;
    }
    let start = method.end as usize + 1;
    let target = Span::new(start, start + plain_len::<b'!'>(&head[start..]));
    let rest = &head[target.end as usize..];
    let version = match rest.first_chunk()? {
        b" HTTP/1.1\r\n" => Version::Http11,
        b" HTTP/1.0\r\n" => Version::Http10,
        _ => return None,
    };
    (!target.is_empty()).then_some(RequestLine { method, target, version, end: target.end as usize + 11 })
}

/// Reads the status line with which `head` begins.
#[inline]
pub(crate) fn status_line(head: &[u8]) -> Option<StatusLine> {
    let version = match head.first_chunk()? {
        b"HTTP/1.1 " => Version::Http11,
        b"HTTP/1.0 " => Version::Http10,
        _ => return None,
    };
    let digits: &[u8; 3] = head[9..].first_chunk()?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    let start = if head.get(12)? == &b' ' { 13 } else { 12 };
    let end = line_end(head, start)?;
    // Nothing but the line break may follow the digits without a space between.
    (start == 13 || end == start).then_some(StatusLine { status, reason: Span::new(start, end), version, end: end + 2 })
}

/// Reads header lines from `at` on, at most so many, up to and with the empty line, into `fields`; where the body begins.
#[inline]
pub(crate) fn lines(head: &[u8], mut at: usize, most: u16, fields: &mut Fields) -> Option<usize> {
    fields.clear();
    loop {
        let line = &head[at..];
        let length = token_len(line)?;
        if length == 0 {
            fields.ends(at);
            return line.starts_with(b"\r\n").then_some(at + 2);
        }
        if line[length] != b':' || fields.lines().len() == usize::from(most) {
            return None;
        }
        let mut start = at + length + 1;
        while is_space(*head.get(start)?) {
            start += 1;
        }
        let break_at = line_end(head, start)?;
        let mut end = break_at;
        while end > start && is_space(head[end - 1]) {
            end -= 1;
        }
        fields.add(Span::new(at, at + length), Span::new(start, end), &line[..length]);
        at = break_at + 2;
    }
}

/// Where the line break stands that ends the value which begins at `at`; none if another byte ends it.
#[inline]
fn line_end(head: &[u8], at: usize) -> Option<usize> {
    let mut end = at + plain_len::<b' '>(&head[at..]);
    while head.get(end) == Some(&b'\t') {
        end += 1 + plain_len::<b' '>(&head[end + 1..]);
    }
    (head.get(end..end + 2)? == b"\r\n").then_some(end)
}

/// How many bytes of a token `bytes` begin with; none if nothing follows them.
#[inline]
fn token_len(bytes: &[u8]) -> Option<usize> {
    // Exact for every byte of the word: in none does the sum overflow.
    let from = |word: u64, least: u8| (word & !HIGH) + ONES * u64::from(0x80 - least);
    let mut at = 0;
    // Names are almost always of letters and hyphens.
    while let Some(word) = bytes[at..].first_chunk() {
        let word = u64::from_le_bytes(*word);
        let lower = word | (ONES * 0x20);
        let letters = from(lower, b'a') & !from(lower, b'z' + 1);
        let hyphens = !from(word ^ (ONES * u64::from(b'-')), 1);
        let others = HIGH & !((letters | hyphens) & !word);
        if others == 0 {
            at += 8;
            continue;
        }
        at += others.trailing_zeros() as usize / 8;
        if !grammar::is_token_byte(bytes[at]) {
            return Some(at);
        }
        at += 1;
    }
    bytes[at..].iter().position(|byte| !grammar::is_token_byte(*byte)).map(|length| at + length)
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// How many bytes from `LEAST` on, DEL left out, `bytes` begin with.
#[inline]
fn plain_len<const LEAST: u8>(bytes: &[u8]) -> usize {
    const DEL: u8 = 0x7f;
    // Both set the high bit of the first byte that they look for; behind that they may err.
    let lower = |word: u64| word.wrapping_sub(ONES * u64::from(LEAST)) & !word & HIGH;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;

    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk() {
        let word = u64::from_le_bytes(*word);
        let found = lower(word) | zeros(word ^ (ONES * u64::from(DEL)));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    at + rest.iter().position(|byte| *byte < LEAST || *byte == DEL).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::generate;

    fn config() -> ProptestConfig {
        let usual = ProptestConfig::default();
        ProptestConfig { cases: usual.cases.max(4000), failure_persistence: None, ..usual }
    }

    #[test]
    fn every_byte_is_found_at_every_place() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    for around in [b'x', 0xff, 0x80] {
                        let mut bytes = vec![around; length];
                        bytes[at] = byte;
                        let expected = |is_plain: fn(u8) -> bool| if is_plain(byte) { length } else { at };
                        assert_eq!(plain_len::<b' '>(&bytes), expected(|b| b >= b' ' && b != 0x7f), "{bytes:?}");
                        assert_eq!(plain_len::<b'!'>(&bytes), expected(|b| b > b' ' && b != 0x7f), "{bytes:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_byte_of_a_token_is_known_at_every_place() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    for around in *b"x-_9" {
                        let mut bytes = vec![around; length];
                        bytes[at] = byte;
                        let expected = (!grammar::is_token_byte(byte)).then_some(at);
                        assert_eq!(token_len(&bytes), expected, "{bytes:?}");
                    }
                }
            }
        }
    }

    /// Name and value.
    type Text = (Vec<u8>, Vec<u8>);

    /// The lines of a head whose first line ends at `at`, if it is whole and right.
    fn texts(bytes: &[u8], at: usize) -> Option<(usize, Vec<Text>)> {
        let mut fields = Fields::default();
        let end = lines(bytes, at, 100, &mut fields)?;
        let text = |span: Span| span.of(bytes).to_vec();
        Some((end, fields.lines().iter().map(|line| (text(line.name), text(line.value))).collect()))
    }

    fn of_httparse(headers: &[httparse::Header<'_>]) -> Vec<Text> {
        headers.iter().map(|header| (header.name.as_bytes().to_vec(), header.value.to_vec())).collect()
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn another_parser_reads_the_same_requests(
            bytes in prop_oneof![4 => generate::request().boxed(), 1 => generate::noise().boxed()]
        ) {
            if let Some(line) = request_line(&bytes, 0)
                && let Some((end, lines)) = texts(&bytes, line.end)
                && line.target.of(&bytes).is_ascii()
            {
                let mut headers = [httparse::EMPTY_HEADER; 100];
                let mut other = httparse::Request::new(&mut headers);
                prop_assert_eq!(other.parse(&bytes), Ok(httparse::Status::Complete(end)));
                prop_assert_eq!(other.method.map(str::as_bytes), Some(line.method.of(&bytes)));
                prop_assert_eq!(other.path.map(str::as_bytes), Some(line.target.of(&bytes)));
                prop_assert_eq!(other.version, Some(u8::from(line.version == Version::Http11)));
                prop_assert_eq!(of_httparse(other.headers), lines);
            }
        }

        #[test]
        fn another_parser_reads_the_same_responses(
            bytes in prop_oneof![4 => generate::response().boxed(), 1 => generate::noise().boxed()]
        ) {
            if let Some(line) = status_line(&bytes)
                && let Some((end, lines)) = texts(&bytes, line.end)
            {
                let mut headers = [httparse::EMPTY_HEADER; 100];
                let mut other = httparse::Response::new(&mut headers);
                prop_assert_eq!(other.parse(&bytes), Ok(httparse::Status::Complete(end)));
                prop_assert_eq!(other.code, Some(line.status));
                prop_assert_eq!(other.version, Some(u8::from(line.version == Version::Http11)));
                let reason = line.reason.of(&bytes);
                prop_assert!(!reason.is_ascii() || other.reason.map(str::as_bytes) == Some(reason));
                prop_assert_eq!(of_httparse(other.headers), lines);
            }
        }
    }
}
