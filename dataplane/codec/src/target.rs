//! The four forms of a request target (RFC 9112 §3.2).

use crate::{fault::Fault, grammar, method::Method, span::Span};

/// A request target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// All of it.
    pub whole: Span,
    /// Its form.
    pub form: Form,
    /// Host and port of the absolute and authority forms; empty in the others. Its bytes are checked, its meaning is not.
    pub authority: Span,
    /// The path as sent, from the slash on. Empty in the authority form, in the asterisk form, and in an absolute form
    /// without path, which means `/` (or `*` with OPTIONS).
    pub path: Span,
    /// What follows the first `?`, if there is one.
    pub query: Option<Span>,
}

/// The form of a request target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute(Scheme),
    /// `host:port`, with CONNECT and only there.
    Authority,
    /// `*`, with OPTIONS and only there.
    Asterisk,
}

/// The scheme of an absolute target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Target {
    /// Reads the target that stands at `whole`.
    ///
    /// `None` if a byte must not stand in it or it is longer than `limit`.
    #[inline]
    pub(crate) fn read(buffer: &[u8], whole: Span, method: Method, limit: u32) -> Option<Result<Self, Fault>> {
        let bytes = whole.of(buffer);
        if bytes.len() > limit as usize {
            return None;
        }
        // The parser before has let no ASCII pass but visible bytes: `#` and higher bytes are all that can be wrong.
        let path_len = plain_len(bytes);
        let question = match bytes.get(path_len) {
            None => None,
            Some(b'?') if bytes[path_len..].is_ascii() && !bytes[path_len..].contains(&b'#') => Some(path_len),
            Some(_) => return None,
        };
        let at_query = whole.start as usize + question.unwrap_or(bytes.len());
        let query = question.map(|_| Span { start: at_query as u32 + 1, end: whole.end });
        if method != Method::Connect && bytes.first() == Some(&b'/') {
            let path = Span { start: whole.start, end: at_query as u32 };
            return Some(Ok(Self { whole, form: Form::Origin, authority: Span::default(), path, query }));
        }
        Some(Self::read_rare(buffer, whole, method, at_query, query))
    }

    fn read_rare(
        buffer: &[u8],
        whole: Span,
        method: Method,
        at_query: usize,
        query: Option<Span>,
    ) -> Result<Self, Fault> {
        let bytes = whole.of(buffer);
        let none = Span { start: whole.end, end: whole.end };
        if method == Method::Connect {
            let is_authority = bytes.contains(&b':') && grammar::is_host(bytes);
            let target = Self { whole, form: Form::Authority, authority: whole, path: none, query: None };
            return if is_authority { Ok(target) } else { Err(Fault::BadTarget) };
        }
        if bytes == b"*" && method == Method::Options {
            return Ok(Self { whole, form: Form::Asterisk, authority: none, path: none, query: None });
        }
        let starts_with = |prefix: &[u8]| bytes.get(..prefix.len()).is_some_and(|b| b.eq_ignore_ascii_case(prefix));
        let (scheme, length) = if starts_with(b"http://") {
            (Scheme::Http, 7)
        } else if starts_with(b"https://") {
            (Scheme::Https, 8)
        } else {
            return Err(Fault::BadTarget);
        };
        let start = whole.start as usize + length;
        // `http://?x` has its `?` no earlier than here, so the range is in order.
        let before_query = buffer.get(start..at_query).ok_or(Fault::BadTarget)?;
        let at_path = start + before_query.iter().position(|byte| *byte == b'/').unwrap_or(before_query.len());
        let authority = Span::new(start, at_path);
        if authority.is_empty() || !grammar::is_host(authority.of(buffer)) {
            return Err(Fault::BadTarget);
        }
        Ok(Self { whole, form: Form::Absolute(scheme), authority, path: Span::new(at_path, at_query), query })
    }

    /// Whether `host`, the value of the `Host` field, names another authority than an absolute target does: not the same
    /// text but for case and the scheme's own port.
    pub(crate) fn contradicts(&self, host: &[u8], buffer: &[u8]) -> bool {
        let port: &[u8] = match self.form {
            Form::Absolute(Scheme::Http) => b":80",
            Form::Absolute(Scheme::Https) => b":443",
            Form::Origin | Form::Authority | Form::Asterisk => return false,
        };
        let authority = self.authority.of(buffer);
        let authority = authority.strip_suffix(port).unwrap_or(authority);
        !host.strip_suffix(port).unwrap_or(host).eq_ignore_ascii_case(authority)
    }
}

/// How many bytes stand in front of the first `?`, `#` or byte above 127.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // Sets the high bit of the first zero byte, and of none before it.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;

    let first_special = |word: [u8; 8]| {
        let word = u64::from_le_bytes(word);
        let special = word & HIGH | zeros(word ^ (ONES * u64::from(b'?'))) | zeros(word ^ (ONES * u64::from(b'#')));
        (special != 0).then(|| special.trailing_zeros() as usize / 8)
    };

    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().position(|byte| matches!(byte, b'?' | b'#' | 0x80..)).unwrap_or(bytes.len());
    };
    for (index, word) in bytes.as_chunks().0.iter().enumerate() {
        if let Some(at) = first_special(*word) {
            return index * 8 + at;
        }
    }
    // What is left of the last word was looked at before, so it is plain.
    first_special(*last).map_or(bytes.len(), |at| bytes.len() - 8 + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_found_wherever_they_stand() {
        for length in 0..40 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(plain_len(&bytes), length);
            for at in (0..length).rev() {
                for special in [b'?', b'#', 0x80, 0xff, b'?'] {
                    bytes[at] = special;
                    assert_eq!(plain_len(&bytes), at);
                    for plain in *b"/>@\x22$\x7f_" {
                        bytes[at] = plain;
                        assert!(plain_len(&bytes) > at);
                    }
                }
                bytes[at] = b'#';
            }
        }
    }
}
