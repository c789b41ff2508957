//! The text of one line: a JSON object, written field by field into a buffer that holds many.
//!
//! By hand, because a line is written for every request and its shape never changes: a general serializer takes five times
//! the instructions.

use std::{io::Write, time::Duration};

/// A line that is being written. Names of fields are given with their punctuation (`,"status":`), so that each is one copy.
pub(crate) struct Line<'a> {
    text: &'a mut Vec<u8>,
}

impl<'a> Line<'a> {
    /// A line behind what `text` holds already.
    pub(super) fn new(text: &'a mut Vec<u8>) -> Self {
        Self { text }
    }

    /// The last of it.
    pub(super) fn end(self) {
        self.text.extend_from_slice(b"}\n");
    }

    /// Text of ours, which has nothing in it that JSON escapes.
    // The name stands in the code: so it is written by a few moves.
    #[inline(always)]
    pub(crate) fn plain(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.name(name);
        self.text.push(b'"');
        self.text.extend_from_slice(value.as_ref());
        self.text.push(b'"');
    }

    /// Text of ours, or null.
    #[inline]
    pub(crate) fn plain_or_null(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.plain(name, value),
            None => self.null(name),
        }
    }

    /// Text from outside.
    #[inline(always)]
    pub(crate) fn escaped(&mut self, name: &str, value: &str) {
        if is_plain(value.as_bytes()) {
            return self.plain(name, value);
        }
        self.name(name);
        self.write_escaped(value);
    }

    fn write_escaped(&mut self, value: &str) {
        self.text.push(b'"');
        let mut rest = value.as_bytes();
        while let Some(at) = rest.iter().position(|byte| is_escaped(*byte)) {
            self.text.extend_from_slice(&rest[..at]);
            match rest[at] {
                byte @ (b'"' | b'\\') => self.text.extend_from_slice(&[b'\\', byte]),
                byte => drop(write!(self.text, "\\u{byte:04x}")),
            }
            rest = &rest[at + 1..];
        }
        self.text.extend_from_slice(rest);
        self.text.push(b'"');
    }

    /// A whole number.
    #[inline(always)]
    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        push_number(self.text, value);
    }

    /// A duration in milliseconds, to the microsecond.
    pub(crate) fn millis(&mut self, name: &str, value: Duration) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.number(name, micros / 1000);
        let fraction = (micros % 1000) as u16;
        let [hundreds, tens, ones] =
            [fraction / 100, fraction / 10 % 10, fraction % 10].map(|digit| b'0' + digit as u8);
        self.text.extend_from_slice(&[b'.', hundreds, tens, ones]);
    }

    /// A duration in milliseconds, or null.
    #[inline]
    pub(crate) fn millis_or_null(&mut self, name: &str, value: Option<Duration>) {
        match value {
            Some(value) => self.millis(name, value),
            None => self.null(name),
        }
    }

    fn null(&mut self, name: &str) {
        self.name(name);
        self.text.extend_from_slice(b"null");
    }

    #[inline(always)]
    fn name(&mut self, name: &str) {
        self.text.extend_from_slice(name.as_bytes());
    }
}

fn push_number(text: &mut Vec<u8>, mut value: u64) {
    // As most of these are.
    if value < 10 {
        return text.push(b'0' + value as u8);
    }
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[start..]);
}

const fn is_escaped(byte: u8) -> bool {
    matches!(byte, ..b' ' | b'"' | b'\\')
}

/// Whether JSON escapes nothing in `text`, as mostly: eight bytes at a time.
fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let (words, rest) = text.as_chunks();
    let is_plain_word = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        // Sets the high bit of a zero byte, and maybe of one behind it.
        let zeros = |byte: u8| (word ^ (ONES * u64::from(byte))).wrapping_sub(ONES);
        let found = word.wrapping_sub(ONES * u64::from(b' ')) | zeros(b'"') | zeros(b'\\');
        found & !word & HIGH == 0
    };
    words.iter().all(is_plain_word) && !rest.iter().any(|byte| is_escaped(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn written(write: impl FnOnce(&mut Line<'_>)) -> String {
        let mut text = b"before\n".to_vec();
        let mut line = Line::new(&mut text);
        write(&mut line);
        line.end();
        String::from_utf8(text.split_off("before\n".len())).unwrap()
    }

    #[test]
    fn a_line_is_one_json_object() {
        let text = written(|line| {
            line.plain(r#"{"id":"#, "a-1");
            line.plain_or_null(r#","reason":"#, None);
            line.escaped(r#","path":"#, "/\"a\\b\"\u{1}\n/é");
            line.number(r#","bytes":"#, u64::MAX);
            line.number(r#","tries":"#, 0);
            line.millis(r#","ms":"#, Duration::from_micros(12_034));
            line.millis_or_null(r#","first":"#, None);
        });
        let value: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "id": "a-1", "reason": null, "path": "/\"a\\b\"\u{1}\n/é", "bytes": u64::MAX, "tries": 0, "ms": 12.034, "first": null,
        });
        assert_eq!(value, expected);
        assert_eq!(text.find('\n'), Some(text.len() - 1));
    }

    #[test]
    fn every_byte_that_is_escaped_is_found_at_every_place() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    for around in [b'x', b'!', b'#', b'[', b']', 0x80, 0xa2, 0xff] {
                        let mut text = vec![around; length];
                        text[at] = byte;
                        assert_eq!(is_plain(&text), !is_escaped(byte), "{}", text.escape_ascii());
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_and_number_survive(path in any::<String>(), number in any::<u64>(), micros in 0u64..1 << 40) {
            let text = written(|line| {
                line.escaped(r#"{"path":"#, &path);
                line.number(r#","number":"#, number);
                line.millis(r#","ms":"#, Duration::from_micros(micros));
            });
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&value, &json!({ "path": path, "number": number, "ms": micros as f64 / 1000.0 }));
        }
    }
}
