//! In which format a client wants to be told what is wrong (RFC 9110 §12.5.1).

use std::cmp::Reverse;

use http1::Fields;
use shared::config::ErrorFormat;

/// What the `Accept` of a request says of each format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accept {
    /// By format; none if there is no such field.
    likes: Option<[Liking; FORMATS]>,
}

/// How much a client likes a format, by the range of the field that fits it best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Liking {
    /// In thousandths; 0 is not at all.
    quality: u16,
    /// 0 no range fits, 1 `*/*`, 2 `type/*`, 3 `type/subtype`, 4 the same with parameters.
    precision: u8,
    /// Which of the ranges it is.
    position: u16,
}

const FORMATS: usize = ErrorFormat::ALL.len();

impl Accept {
    /// Of a request whose fields are places in `bytes`.
    pub(crate) fn of(fields: &Fields, bytes: &[u8]) -> Self {
        let lines = fields.lines().iter().filter(|line| line.name.of(bytes).eq_ignore_ascii_case(b"accept"));
        Self::read(lines.map(|line| line.value.of(bytes)))
    }

    /// Of a request whose whole head for a backend is `head`: what the client sent lies there when it is gone elsewhere.
    pub(crate) fn of_head(head: &[u8]) -> Self {
        let lines = head.split(|byte| *byte == b'\n').skip(1);
        Self::read(lines.filter_map(|line| {
            let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
            name.eq_ignore_ascii_case(b"accept").then(|| value[1..].trim_ascii())
        }))
    }

    fn read<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut accept = Self::default();
        let mut position = 0;
        for value in values {
            let likes = accept.likes.get_or_insert_default();
            for element in split(value, b',') {
                let Some((range, quality)) = Range::read(element) else { continue };
                for (liking, format) in likes.iter_mut().zip(ErrorFormat::ALL) {
                    let precision = range.precision(format);
                    if precision > liking.precision {
                        *liking = Liking { quality, precision, position };
                    }
                }
                position += 1;
            }
        }
        accept
    }

    /// The format that the client likes best: of those that it likes alike the one that it names most precisely, then the one
    /// that it names first, then `default`. A client that likes none gets `default`, too.
    pub(crate) fn choose(&self, default: ErrorFormat) -> ErrorFormat {
        let Some(likes) = &self.likes else { return default };
        let likes = likes.iter().zip(ErrorFormat::ALL).filter(|(liking, _)| liking.quality > 0);
        let best = likes.max_by_key(|(liking, format)| {
            let Liking { quality, precision, position } = **liking;
            (quality, precision, Reverse(position), *format == default, Reverse(*format as u8))
        });
        best.map_or(default, |(_, format)| format)
    }
}

/// A media range without its weight.
struct Range<'a> {
    kind: &'a [u8],
    subtype: &'a [u8],
    /// Names and values.
    parameters: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Range<'a> {
    /// One element of the field and its weight in thousandths; none if it is none.
    fn read(element: &'a [u8]) -> Option<(Self, u16)> {
        let mut parts = split(element, b';');
        let mut pair = parts.next()?.splitn(2, |byte| *byte == b'/');
        let (kind, subtype) = (pair.next()?.trim_ascii(), pair.next()?.trim_ascii());
        let mut range = Self { kind, subtype, parameters: Vec::new() };
        for part in parts {
            let mut pair = part.splitn(2, |byte| *byte == b'=');
            let (name, value) = (pair.next()?.trim_ascii(), pair.next().unwrap_or_default().trim_ascii());
            if name.eq_ignore_ascii_case(b"q") {
                // What follows the weight was never used for anything.
                return Some((range, weight(value)?));
            }
            if !name.is_empty() {
                range.parameters.push((name, value));
            }
        }
        Some((range, 1000))
    }

    /// How precisely it names `format`; 0 if it does not.
    fn precision(&self, format: ErrorFormat) -> u8 {
        let (kind, subtype, charset) = match format {
            ErrorFormat::Text => ("text", "plain", Some("utf-8")),
            ErrorFormat::Html => ("text", "html", Some("utf-8")),
            ErrorFormat::Json => ("application", "json", None),
            ErrorFormat::Problem => ("application", "problem+json", None),
        };
        let is = |text: &[u8], word: &str| text.eq_ignore_ascii_case(word.as_bytes());
        let fits = |(name, value): &(&[u8], &[u8])| {
            let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
            is(name, "charset") && charset.is_some_and(|charset| is(value, charset))
        };
        match (self.kind, self.subtype) {
            _ if !self.parameters.iter().all(fits) => 0,
            (b"*", b"*") => 1,
            (own, b"*") if is(own, kind) => 2,
            (own, sub) if is(own, kind) && is(sub, subtype) => 3 + u8::from(!self.parameters.is_empty()),
            _ => 0,
        }
    }
}

/// The parts of `text` between `separator`s that stand outside of quotes.
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |byte| {
        let was_escaped = is_escaped;
        is_escaped = is_quoted && *byte == b'\\' && !was_escaped;
        is_quoted ^= *byte == b'"' && !was_escaped;
        *byte == separator && !is_quoted
    })
}

/// A weight in thousandths (RFC 9110 §12.4.2).
fn weight(text: &[u8]) -> Option<u16> {
    let (whole, rest) = text.split_first()?;
    let decimals = match rest {
        [] => rest,
        [b'.', decimals @ ..] => decimals,
        _ => return None,
    };
    if decimals.len() > 3 || !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let thousandths = (0..3).fold(0, |sum, at| sum * 10 + u16::from(decimals.get(at).map_or(0, |digit| digit - b'0')));
    match whole {
        b'0' => Some(thousandths),
        b'1' if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorFormat::{Html, Json, Problem, Text};

    #[test]
    fn the_client_chooses() {
        for (accept, with_text, with_problem) in [
            ("*/*", Text, Problem),
            ("", Text, Problem),
            ("image/png", Text, Problem),
            ("text/html", Html, Html),
            ("TEXT/HTML", Html, Html),
            ("application/json", Json, Json),
            ("application/problem+json, application/json;q=0.9", Problem, Problem),
            ("application/json, application/problem+json", Json, Json),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", Html, Html),
            ("application/json, text/plain, */*", Json, Json),
            ("application/json, text/javascript, */*; q=0.01", Json, Json),
            ("*/*, application/json", Json, Json),
            ("application/*", Json, Problem),
            ("text/*", Text, Text),
            ("text/*, text/plain;q=0.5", Html, Html),
            ("text/*;q=0.3, text/html;q=0.7, application/json;q=0.5", Html, Html),
            ("text/html;q=0, */*", Text, Problem),
            ("text/plain;q=0, application/problem+json;q=0, */*;q=0.1", Html, Html),
            ("*/*;q=0", Text, Problem),
            ("application/json;q=0.001, text/html;q=0.002", Html, Html),
            ("application/json;q=1.000, text/html;q=0.999", Json, Json),
            ("text/html;charset=utf-8, application/json", Html, Html),
            ("text/html;charset=\"UTF-8\"", Html, Html),
            ("text/html;charset=latin1, application/json;q=0.1", Json, Json),
            ("text/html;level=1, application/json;q=0.1", Json, Json),
            ("text/html;a=\"b,c;q=0\\\",d\";q=0.4, application/json;q=0.3", Json, Json),
            ("application/json;q=0.5;ext=1, text/html;q=0.4", Json, Json),
            // What is malformed says nothing.
            ("application/json;q=2, text/html;q=0.1", Html, Html),
            ("application/json;q=1.001, text/html;q=0.1", Html, Html),
            ("application/json;q=0.1234, text/html;q=0.1", Html, Html),
            ("application/json;q=, text/html;q=.1, text/plain;q=0.1", Text, Text),
            ("json, text/html;q=0.1,,;", Html, Html),
            ("application/json ; q=0.2 , text/html ; q=0.1", Json, Json),
        ] {
            let read = Accept::read([accept.as_bytes()].into_iter());
            assert_eq!((read.choose(Text), read.choose(Problem)), (with_text, with_problem), "{accept}");
        }
        assert_eq!(Accept::default().choose(Html), Html);
        let lines = Accept::read([&b"text/html;q=0.5"[..], b"application/json"].into_iter());
        assert_eq!(lines.choose(Text), Json);
    }

    #[test]
    fn it_is_found_in_a_head() {
        let head = b"GET /accept: text/html HTTP/1.1\r\nHost: h\r\naccept:application/json \r\nX: y\r\n\r\n";
        assert_eq!(Accept::of_head(head).choose(Text), Json);
        assert_eq!(Accept::of_head(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), Accept::default());
    }
}
