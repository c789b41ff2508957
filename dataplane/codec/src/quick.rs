//! The fast first parser of heads. It takes what is right and whole, and leaves everything else to the slow one, [`walk`](crate::walk),
//! which says what is wrong: so it need not tell one fault from another, and whatever it is unsure of it refuses.
//!
//! A proxy spends more on the bytes of heads than on anything else of its own. So values and targets are read eight bytes at a time,
//! and each line is classified while it is at hand.

use crate::{
    field::{Field, Known},
    fields::Fields,
    grammar,
    message::Version,
    method::Method,
    span::Span,
};

/// A 1 in each byte of a word.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
/// The high bit of each.
const HIGH: u64 = ONES << 7;
const DEL: u8 = 0x7f;

/// A request line.
pub(crate) struct RequestLine {
    /// The method.
    pub(crate) method: Method,
    /// The same as sent: a token.
    pub(crate) method_name: Span,
    /// The target: visible ASCII but `#`.
    pub(crate) target: Span,
    /// Where its first `?` stands.
    pub(crate) question: Option<u32>,
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

/// What stands behind a target.
const REST_OF_LINE: usize = " HTTP/1.1\r\n".len();

/// Reads the request line that begins at `at`.
#[inline(never)]
pub(crate) fn request_line(head: &[u8], at: usize) -> Option<RequestLine> {
    let line = head.get(at..)?;
    let (method, length) = method(line)?;
    let target = line.get(length + 1..)?;
    let path_len = target_len::<true>(target);
    // Some bytes may stand in a query that end a path here.
    let (target_len, question) = match target.get(path_len)? {
        b'?' => (path_len + 1 + target_len::<false>(&target[path_len + 1..]), Some(path_len)),
        _ => (path_len, None),
    };
    let rest = target.get(target_len..)?;
    let (name, rest) = rest.split_first_chunk()?;
    let (minor, rest) = rest.split_first()?;
    let version = match minor {
        _ if name != b" HTTP/1." || !rest.starts_with(b"\r\n") => return None,
        b'1' => Version::Http11,
        b'0' => Version::Http10,
        _ => return None,
    };
    let start = at + length + 1;
    (target_len > 0).then(|| RequestLine {
        method,
        method_name: Span::new(at, at + length),
        target: Span::new(start, start + target_len),
        question: question.map(|path_len| (start + path_len) as u32),
        version,
        end: start + target_len + REST_OF_LINE,
    })
}

/// The method with which `line` begins, and how long it is. A space follows it.
#[inline(always)]
fn method(line: &[u8]) -> Option<(Method, usize)> {
    match line.first_chunk()? {
        b"GET " => return Some((Method::Get, 3)),
        b"POST" if line.get(4) == Some(&b' ') => return Some((Method::Post, 4)),
        _ => {}
    }
    let length = token_len(line)?;
    (length > 0 && line[length] == b' ').then(|| (Method::of(&line[..length]), length))
}

/// Reads the status line with which `head` begins.
#[inline(never)]
pub(crate) fn status_line(head: &[u8]) -> Option<StatusLine> {
    let (name, rest) = head.split_first_chunk()?;
    let ([minor, b' ', digits @ .., after], _) = rest.split_first_chunk::<6>()? else { return None };
    let version = match minor {
        _ if name != b"HTTP/1." => return None,
        b'1' => Version::Http11,
        b'0' => Version::Http10,
        _ => return None,
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    let start = if *after == b' ' { 13 } else { 12 };
    let end = start + line_end(head.get(start..)?)?;
    // Nothing but the line break may follow the digits without a space between.
    (start == 13 || end == start).then_some(StatusLine { status, reason: Span::new(start, end), version, end: end + 2 })
}

/// Reads header lines from `start` on, at most so many, up to and with the empty line, into `fields`; where the body begins.
// A function of its own: what it works on all fits in registers.
#[inline(never)]
pub(crate) fn lines(head: &[u8], start: usize, most: u16, fields: &mut Fields) -> Option<usize> {
    fields.clear(most);
    let mut rest = head.get(start..)?;
    while rest.first()? != &b'\r' {
        rest = match usual_line(head, rest, most, fields) {
            Some(behind) => behind,
            None => line(head, rest, most, fields)?,
        };
    }
    let at = head.len() - rest.len();
    fields.ends(at);
    rest.starts_with(b"\r\n").then_some(at + 2)
}

/// Reads a line as most are, with which `rest` of `head` begins: a name that is short and no look-alike, one space, and a value without
/// tabs. What comes behind it.
#[inline(always)]
fn usual_line<'a>(head: &[u8], rest: &'a [u8], most: u16, fields: &mut Fields) -> Option<&'a [u8]> {
    let block = rest.first_chunk()?;
    let length = colon(block)?;
    let name = match Field::in_front(block, length) {
        Some(known) => known,
        None if is_unknown(block, length) => &Known::OTHER,
        None => return None,
    };
    let (value_len, behind) = usual_value(rest.get(length + 1..)?)?;
    let at = head.len() - rest.len();
    let value_at = at + length + 2;
    let value = Span::new(value_at, value_at + value_len);
    fields.add_known(Span::new(at, at + length), value, name, most)?;
    Some(behind)
}

/// Whether the first `length` bytes of `line` are letters and hyphens, a colon follows, and they neither are a known name nor look like
/// one.
#[inline(always)]
fn is_unknown(line: &[u8; 16], length: usize) -> bool {
    let words = u128::from_le_bytes(*line);
    let token_len = match others(words as u64) {
        0 => 8 + others((words >> 64) as u64).trailing_zeros() as usize / 8,
        found => found.trailing_zeros() as usize / 8,
    };
    length > 0 && length == token_len && line.get(length) == Some(&b':') && Field::is_surely_unknown(line, length)
}

/// How long the value is in `text`, which stands behind a colon: behind one space, without tabs and other white space around it; and what
/// stands behind the line break.
#[inline(always)]
fn usual_value(text: &[u8]) -> Option<(usize, &[u8])> {
    let (b' ', value) = text.split_first()? else { return None };
    if *value.first()? <= b' ' {
        return None;
    }
    let value_len = plain_len(value);
    // The last byte of the value, the line break, and a byte behind it.
    let [last, b'\r', b'\n', _] = *text.get(value_len..)?.first_chunk()? else { return None };
    if last == b' ' { None } else { Some((value_len, text.get(value_len + 3..)?)) }
}

/// Reads any line.
#[inline(never)]
fn line<'a>(head: &[u8], rest: &'a [u8], most: u16, fields: &mut Fields) -> Option<&'a [u8]> {
    let length = token_len(rest)?;
    if length == 0 || rest[length] != b':' {
        return None;
    }
    let (name, text) = (&rest[..length], &rest[length + 1..]);
    let blanks = text.iter().take_while(|byte| is_space(**byte)).count();
    let text = &text[blanks..];
    let end = line_end(text)?;
    let at = head.len() - rest.len();
    let value_at = at + length + 1 + blanks;
    let value = Span::new(value_at, value_at + trimmed_len(&text[..end]));
    fields.add(Span::new(at, at + length), value, name, most)?;
    text.get(end + 2..)
}

/// Where the first colon is, if only ASCII is in front of it; else anything.
#[inline(always)]
fn colon(block: &[u8; 16]) -> Option<usize> {
    // A zero byte becomes one with its high bit set. So may those behind it, but none of ASCII in front.
    let colons = |word: u64| (word ^ (ONES * u64::from(b':'))).wrapping_sub(ONES) & HIGH;
    let block = u128::from_le_bytes(*block);
    let found = colons(block as u64);
    if found != 0 {
        return Some(found.trailing_zeros() as usize / 8);
    }
    let found = colons((block >> 64) as u64);
    (found != 0).then(|| 8 + found.trailing_zeros() as usize / 8)
}

/// Where the line break stands that ends the value with which `bytes` begin; none if another byte ends it.
#[inline(always)]
fn line_end(bytes: &[u8]) -> Option<usize> {
    let end = plain_len(bytes);
    match bytes.get(end..)? {
        [b'\r', b'\n', ..] => Some(end),
        _ => line_end_behind_tabs(bytes, end),
    }
}

#[cold]
fn line_end_behind_tabs(bytes: &[u8], mut end: usize) -> Option<usize> {
    while bytes.get(end) == Some(&b'\t') {
        end += 1 + plain_len(&bytes[end + 1..]);
    }
    bytes[end..].starts_with(b"\r\n").then_some(end)
}

/// How long `value` is without the white space behind it.
#[inline(always)]
fn trimmed_len(value: &[u8]) -> usize {
    match value {
        [.., b' ' | b'\t'] => value.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1),
        _ => value.len(),
    }
}

/// How many bytes of a token `bytes` begin with; none if nothing follows them.
#[inline]
fn token_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // Names are almost always of letters and hyphens.
    while let Some(word) = bytes[at..].first_chunk() {
        let others = others(u64::from_le_bytes(*word));
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

/// Sets the high bit of each byte that is neither a letter nor a hyphen.
#[inline(always)]
const fn others(word: u64) -> u64 {
    /// Exact for every byte of the word: in none does the sum overflow.
    const fn from(word: u64, least: u8) -> u64 {
        (word & !HIGH) + ONES * (0x80 - least as u64)
    }
    let lower = word | (ONES * 0x20);
    let letters = from(lower, b'a') & !from(lower, b'z' + 1);
    let hyphens = !from(word ^ (ONES * b'-' as u64), 1);
    HIGH & !((letters | hyphens) & !word)
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// How many bytes of a value `bytes` begin with, tabs aside: from the space on, without DEL.
#[inline(never)]
fn plain_len(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    // Most values end here.
    for _ in 0..4 {
        let Some((word, behind)) = rest.split_first_chunk() else { break };
        let found = controls(u64::from_le_bytes(*word));
        if found != 0 {
            return bytes.len() - rest.len() + found.trailing_zeros() as usize / 8;
        }
        rest = behind;
    }
    bytes.len() - rest.len() + long_plain_len(rest)
}

/// The same for what may be long.
#[inline(never)]
fn long_plain_len(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    // The compiler makes a few vector instructions of this.
    while let Some((block, behind)) = rest.split_first_chunk::<16>() {
        if block.iter().fold(false, |found, byte| found | is_control(*byte)) {
            break;
        }
        rest = behind;
    }
    while let Some((word, behind)) = rest.split_first_chunk() {
        let found = controls(u64::from_le_bytes(*word));
        if found != 0 {
            return bytes.len() - rest.len() + found.trailing_zeros() as usize / 8;
        }
        rest = behind;
    }
    bytes.len() - rest.len() + rest.iter().position(|byte| is_control(*byte)).unwrap_or(rest.len())
}

const fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == DEL
}

/// Sets the high bit of each byte that is one.
#[inline(always)]
const fn controls(word: u64) -> u64 {
    // With the high bits aside and 1 added, DEL is the least of all; no sum overflows.
    let next = ((word & !HIGH) + ONES) & !HIGH;
    !((next + ONES * (0x7f - b' ' as u64)) | word) & HIGH
}

/// How many bytes of a target `bytes` begin with: visible ASCII but `#`, and but `?` if it `IS_PATH`.
#[inline(always)]
fn target_len<const IS_PATH: bool>(bytes: &[u8]) -> usize {
    // Sets the high bit of each byte above 127, of the first that looked for, and of none in front of that: behind it a sum may
    // overflow.
    let found = |word: u64| {
        let zeros = |byte: u8| (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES);
        let question = if IS_PATH { zeros(b'?') } else { 0 };
        (word | word.wrapping_sub(ONES * u64::from(b'!')) | zeros(b'#') | zeros(DEL) | question) & HIGH
    };
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk() {
        let found = found(u64::from_le_bytes(*word));
        if found != 0 {
            return bytes.len() - rest.len() + found.trailing_zeros() as usize / 8;
        }
        rest = behind;
    }
    let is_part = |byte: u8| grammar::is_target_byte(byte) && !(IS_PATH && byte == b'?');
    bytes.len() - rest.len() + rest.iter().take_while(|byte| is_part(**byte)).count()
}

#[cfg(test)]
mod tests;
