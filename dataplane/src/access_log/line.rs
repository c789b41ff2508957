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
    pub(crate) fn plain(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.text.extend_from_slice(name.as_bytes());
        self.text.push(b'"');
        self.text.extend_from_slice(value.as_ref());
        self.text.push(b'"');
    }

    /// Text of ours, or null.
    pub(crate) fn plain_or_null(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.plain(name, value),
            None => {
                self.text.extend_from_slice(name.as_bytes());
                self.text.extend_from_slice(b"null");
            }
        }
    }

    /// Text from outside.
    pub(crate) fn escaped(&mut self, name: &str, value: &str) {
        self.text.extend_from_slice(name.as_bytes());
        self.text.push(b'"');
        let mut rest = value.as_bytes();
        while let Some(at) = rest.iter().position(|byte| matches!(byte, ..b' ' | b'"' | b'\\')) {
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
    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.text.extend_from_slice(name.as_bytes());
        push_number(self.text, value);
    }

    /// A duration in milliseconds, to the microsecond.
    pub(crate) fn millis(&mut self, name: &str, value: Duration) {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        self.number(name, micros / 1000);
        let fraction = (micros % 1000) as u16;
        self.text.push(b'.');
        for digit in [fraction / 100, fraction / 10 % 10, fraction % 10] {
            self.text.push(b'0' + digit as u8);
        }
    }

    /// A duration in milliseconds, or null.
    pub(crate) fn millis_or_null(&mut self, name: &str, value: Option<Duration>) {
        match value {
            Some(value) => self.millis(name, value),
            None => {
                self.text.extend_from_slice(name.as_bytes());
                self.text.extend_from_slice(b"null");
            }
        }
    }
}

fn push_number(text: &mut Vec<u8>, mut value: u64) {
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
