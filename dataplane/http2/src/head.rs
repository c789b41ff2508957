//! Field sections as lines of text: what HPACK gives becomes the bytes of an HTTP/1.1 head, which one parser then judges for both
//! versions.
//!
//! Here is looked at what has no counterpart in those bytes (RFC 9113 §8.1 to §8.3, §8.5), and at what would make of one line two.

use std::ops::Range;

/// What a field section belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// The head of a request that has a body or has none.
    Request { has_body: bool },
    /// The head of a response.
    Response,
    /// Trailers.
    Trailers,
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is malformed (RFC 9113 §8.1.1): its stream is reset.
    Malformed,
    /// Its head is larger than allowed: 431.
    TooLarge,
}

/// What a request that is not served asked for, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `:method`.
    pub method: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
}

/// A section that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// Its lines: with the first line and the empty one of an HTTP/1.1 message, unless they are trailers.
    pub(crate) bytes: Vec<u8>,
    /// `Content-Length`.
    pub(crate) length: Option<u64>,
    /// `:status`.
    pub(crate) status: u16,
}

/// Reads one section after the other.
pub(crate) struct Reader {
    section: Section,
    /// Bytes that a list may have, with 32 more for each field (RFC 9113 §6.5.2).
    limit: usize,
    size: usize,
    is_malformed: bool,
    /// Whether the pseudo-fields are over and the first line was written.
    is_begun: bool,
    /// The values of pseudo-fields, and of what is written last.
    kept: Vec<u8>,
    pseudo: [Option<Range<usize>>; PSEUDO],
    host: Option<Range<usize>>,
    length: Option<(u64, Range<usize>)>,
    announces_trailers: bool,
    cookies: Vec<u8>,
    out: Vec<u8>,
}

/// Bytes of memory that each buffer keeps for the next section.
const KEPT: usize = 1024;

const METHOD: usize = 0;
const SCHEME: usize = 1;
const AUTHORITY: usize = 2;
const PATH: usize = 3;
const STATUS: usize = 4;
const PSEUDO: usize = 5;

impl Reader {
    /// A reader of lists with at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            section: Section::Trailers,
            limit,
            size: 0,
            is_malformed: false,
            is_begun: false,
            kept: Vec::new(),
            pseudo: Default::default(),
            host: None,
            length: None,
            announces_trailers: false,
            cookies: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Begins a section, which is written into `out`.
    pub(crate) fn begin(&mut self, section: Section, out: Vec<u8>) {
        self.section = section;
        (self.size, self.is_malformed, self.is_begun) = (0, false, false);
        self.kept.clear();
        self.pseudo = Default::default();
        (self.host, self.length, self.announces_trailers) = (None, None, false);
        self.cookies.clear();
        self.out = out;
    }

    /// Whether the list is larger than anybody sends by mistake.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.size > self.limit.saturating_mul(4)
    }

    /// Takes the next field.
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.size = self.size.saturating_add(name.len() + value.len() + 32);
        if self.size > self.limit || self.is_malformed {
            return;
        }
        let taken = if name.first() == Some(&b':') { self.pseudo_field(name, value) } else { self.line(name, value) };
        self.is_malformed |= taken.is_none();
    }

    fn keep(&mut self, value: &[u8]) -> Range<usize> {
        let start = self.kept.len();
        self.kept.extend_from_slice(value);
        start..self.kept.len()
    }

    fn value_of(&self, pseudo: usize) -> Option<&[u8]> {
        self.pseudo[pseudo].clone().map(|range| &self.kept[range])
    }

    fn pseudo_field(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let is_request = matches!(self.section, Section::Request { .. });
        let index = match name {
            b":method" if is_request => METHOD,
            b":scheme" if is_request => SCHEME,
            b":authority" if is_request => AUTHORITY,
            b":path" if is_request => PATH,
            b":status" if self.section == Section::Response => STATUS,
            _ => return None,
        };
        if self.is_begun || self.pseudo[index].is_some() || !is_word(value) {
            return None;
        }
        let range = self.keep(value);
        self.pseudo[index] = Some(range);
        Some(())
    }

    fn line(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        if !self.is_begun {
            self.begin_lines()?;
        }
        if !is_name(name) || !is_value(value) {
            return None;
        }
        match name {
            b"te" if value != b"trailers" => return None,
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => return None,
            b"content-length" if self.section != Section::Trailers => {
                let length = (number(value)?, self.keep(value));
                return self.length.replace(length).is_none().then_some(());
            }
            b"host" if matches!(self.section, Section::Request { .. }) => {
                let start = self.out.len() + "host: ".len();
                if let Some(authority) = self.value_of(AUTHORITY) {
                    // Two that differ are two readings (RFC 9113 §8.3.1).
                    let is_same = authority.eq_ignore_ascii_case(value);
                    return (is_same && self.host.replace(0..0).is_none()).then_some(());
                }
                if value.is_empty() || self.host.replace(start..start + value.len()).is_some() {
                    return None;
                }
            }
            b"cookie" if matches!(self.section, Section::Request { .. }) => {
                // Crumbs are joined: HTTP/1.1 has one line (RFC 9113 §8.2.3).
                let lead: &[u8] = if self.cookies.is_empty() { b"cookie: " } else { b"; " };
                self.cookies.extend_from_slice(lead);
                self.cookies.extend_from_slice(value);
                return Some(());
            }
            b"trailer" => self.announces_trailers = true,
            _ => {}
        }
        write_line(&mut self.out, name, value);
        Some(())
    }

    /// Writes the first line: the pseudo-fields are over.
    fn begin_lines(&mut self) -> Option<()> {
        self.is_begun = true;
        match self.section {
            Section::Trailers => {}
            Section::Response => {
                let status = self.value_of(STATUS)?;
                // 101 has no meaning in HTTP/2 (RFC 9113 §8.6).
                if status.len() != 3 || !status.iter().all(u8::is_ascii_digit) || status[0] == b'0' || status == b"101"
                {
                    return None;
                }
                let range = self.pseudo[STATUS].clone()?;
                self.out.extend_from_slice(b"HTTP/1.1 ");
                self.out.extend_from_slice(&self.kept[range]);
                self.out.extend_from_slice(b" \r\n");
            }
            Section::Request { .. } => self.begin_request()?,
        }
        Some(())
    }

    fn begin_request(&mut self) -> Option<()> {
        let kept = &self.kept;
        let value = |pseudo: usize| self.pseudo[pseudo].clone().map(|range| &kept[range]);
        let (method, authority) = (value(METHOD)?, value(AUTHORITY));
        if method.is_empty() || authority == Some(b"") {
            return None;
        }
        let target = match (method, value(SCHEME), value(PATH)) {
            // RFC 9113 §8.5.
            (b"CONNECT", None, None) => authority?,
            (b"CONNECT", ..) => return None,
            (_, Some(scheme), Some(path)) => {
                let is_asterisk = path == b"*" && method == b"OPTIONS";
                if !is_scheme(scheme) || !(path.first() == Some(&b'/') || is_asterisk) {
                    return None;
                }
                path
            }
            _ => return None,
        };
        let out = &mut self.out;
        out.extend_from_slice(method);
        out.push(b' ');
        // A fragment is no part of what is asked for (RFC 9110 §7.1).
        if target.contains(&b'#') {
            return None;
        }
        out.extend_from_slice(target);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        if let Some(authority) = authority {
            write_line(out, b"host", authority);
        }
        Some(())
    }

    /// Ends the section.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn finish(&mut self) -> Result<Read, Refusal> {
        if self.size > self.limit {
            return Err(Refusal::TooLarge);
        }
        let is_whole = !self.is_malformed && (self.is_begun || self.begin_lines().is_some()) && self.end().is_some();
        if !is_whole {
            return Err(Refusal::Malformed);
        }
        let status = self.value_of(STATUS).and_then(number).unwrap_or(0) as u16;
        let length = self.length.take().map(|(length, _)| length);
        Ok(Read { bytes: std::mem::take(&mut self.out), length, status })
    }

    fn end(&mut self) -> Option<()> {
        match self.section {
            Section::Trailers => return Some(()),
            Section::Response => self.write_length(),
            Section::Request { has_body } => {
                if self.host.is_none() && self.pseudo[AUTHORITY].is_none() {
                    return None;
                }
                if !has_body && self.length.as_ref().is_some_and(|(length, _)| *length != 0) {
                    return None;
                }
                // A length leaves no place for the trailers that are announced.
                if has_body && (self.length.is_none() || self.announces_trailers) {
                    self.out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                } else if self.length.is_some() {
                    self.write_length();
                } else if matches!(self.value_of(METHOD), Some(b"POST" | b"PUT" | b"PATCH")) {
                    // What an HTTP/1.1 client sends (RFC 9110 §8.6); servers answer 411 without it.
                    self.out.extend_from_slice(b"content-length: 0\r\n");
                }
                if !self.cookies.is_empty() {
                    self.out.extend_from_slice(&self.cookies);
                    self.out.extend_from_slice(b"\r\n");
                }
            }
        }
        self.out.extend_from_slice(b"\r\n");
        Some(())
    }

    fn write_length(&mut self) {
        if let Some((_, range)) = self.length.clone() {
            write_line(&mut self.out, b"content-length", &self.kept[range]);
        }
    }

    /// Gives back what a large section has left.
    pub(crate) fn rest(&mut self) {
        self.out = Vec::new();
        for buffer in [&mut self.kept, &mut self.cookies] {
            if buffer.capacity() > KEPT {
                *buffer = Vec::new();
            }
        }
        self.pseudo = Default::default();
    }

    /// What the request asked for whose section ended with an error.
    pub(crate) fn asked(&self) -> Asked {
        let text =
            |pseudo| self.value_of(pseudo).map_or_else(String::new, |value| String::from_utf8_lossy(value).into());
        Asked { method: text(METHOD), authority: text(AUTHORITY), path: text(PATH) }
    }
}

fn write_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The number of a `Content-Length` or of a status.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then_some(u64::from(digit.wrapping_sub(b'0')))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether a name has no byte but those of tokens, without upper-case letters (RFC 9113 §8.2.1).
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| NAME[usize::from(*byte)])
}

const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let allowed = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
    let mut index = 0;
    while index < allowed.len() {
        table[allowed[index] as usize] = true;
        index += 1;
    }
    table
};

/// Whether a value can stand in a line, and does not begin or end with white space (RFC 9113 §8.2.1), which HTTP/1.1 would trim in
/// silence.
fn is_value(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    // Without an early end, so that many bytes are looked at in one step.
    let has_control =
        value.iter().fold(false, |found, byte| found | ((*byte < b' ' && *byte != b'\t') | (*byte == 0x7f)));
    !has_control && !is_blank(value.first()) && !is_blank(value.last())
}

/// Whether the value of a pseudo-field can stand in the first line or as a host.
fn is_word(value: &[u8]) -> bool {
    !value.iter().fold(false, |found, byte| found | ((*byte <= b' ') | (*byte == 0x7f)))
}

/// RFC 3986 §3.1.
fn is_scheme(scheme: &[u8]) -> bool {
    matches!(scheme, b"http" | b"https")
        || (scheme.first().is_some_and(u8::is_ascii_alphabetic)
            && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(section: Section, fields: &[(&str, &str)]) -> Result<String, Refusal> {
        let mut reader = Reader::new(1000);
        reader.begin(section, Vec::new());
        fields.iter().for_each(|(name, value)| reader.field(name.as_bytes(), value.as_bytes()));
        reader.finish().map(|read| String::from_utf8(read.bytes).unwrap())
    }

    fn request(method: &str, fields: &[(&str, &str)], has_body: bool) -> Result<String, Refusal> {
        let pseudo = [(":method", method), (":scheme", "http"), (":authority", "h"), (":path", "/a?b")];
        read(Section::Request { has_body }, &[&pseudo[..], fields].concat())
    }

    #[test]
    fn a_request_becomes_what_an_http_1_client_would_send() {
        for (method, fields, has_body, lines) in [
            ("GET", &[("x", "1")][..], false, "x: 1\r\n"),
            ("GET", &[("cookie", "a=1"), ("x", "1"), ("cookie", "b=2")], false, "x: 1\r\ncookie: a=1; b=2\r\n"),
            ("GET", &[("host", "H")], false, ""),
            ("POST", &[], true, "transfer-encoding: chunked\r\n"),
            ("POST", &[], false, "content-length: 0\r\n"),
            ("POST", &[("content-length", "3"), ("x", "")], true, "x: \r\ncontent-length: 3\r\n"),
            (
                "POST",
                &[("content-length", "3"), ("trailer", "x-sum")],
                true,
                "trailer: x-sum\r\ntransfer-encoding: chunked\r\n",
            ),
            ("GET", &[("content-length", "0")], false, "content-length: 0\r\n"),
            ("POST", &[("te", "trailers")], true, "te: trailers\r\ntransfer-encoding: chunked\r\n"),
        ] {
            let expected = format!("{method} /a?b HTTP/1.1\r\nhost: h\r\n{lines}\r\n");
            assert_eq!(request(method, fields, has_body), Ok(expected), "{method} {fields:?}");
        }
        let without_authority = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("x", "1"), ("host", "h:1")];
        let expected = "GET / HTTP/1.1\r\nx: 1\r\nhost: h:1\r\n\r\n";
        assert_eq!(read(Section::Request { has_body: false }, &without_authority).as_deref(), Ok(expected));
        let connect = [(":method", "CONNECT"), (":authority", "h:1")];
        let expected = "CONNECT h:1 HTTP/1.1\r\nhost: h:1\r\n\r\n";
        assert_eq!(read(Section::Request { has_body: false }, &connect).as_deref(), Ok(expected));
    }

    #[test]
    fn malformed_requests_are_refused() {
        for fields in [
            &[("x", " a")][..],
            &[("x", "a\t")],
            &[("x", "a\r\nb: c")],
            &[("x", "a\0")],
            &[("x", "\x7f")],
            &[("X", "a")],
            &[("x y", "a")],
            &[("x:", "a")],
            &[("", "a")],
            &[("host", "other")],
            &[("host", "h"), ("host", "h")],
            &[("x", "1"), (":method", "GET")],
            &[(":method", "GET")],
            &[(":status", "200")],
            &[(":protocol", "websocket")],
            &[("connection", "close")],
            &[("te", "gzip")],
            &[("content-length", "+1")],
            &[("content-length", "1"), ("content-length", "1")],
            &[("content-length", "99999999999999999999")],
            &[("content-length", "1")],
        ] {
            assert_eq!(request("GET", fields, false), Err(Refusal::Malformed), "{fields:?}");
        }
        let (method, scheme, path) = ((":method", "GET"), (":scheme", "http"), (":path", "/"));
        for fields in [
            &[method, scheme, path][..],
            &[method, scheme, path, ("host", "")],
            &[method, path, ("host", "h")],
            &[scheme, path, ("host", "h")],
            &[method, scheme, ("host", "h")],
            &[method, scheme, (":path", "*"), ("host", "h")],
            &[method, scheme, (":path", "a"), ("host", "h")],
            &[method, scheme, (":path", "/ HTTP/1.1\r\nx:y"), ("host", "h")],
            &[method, scheme, (":path", "/#a"), ("host", "h")],
            &[method, (":scheme", "ht tp"), path, ("host", "h")],
            &[(":method", "GET /x"), scheme, path, ("host", "h")],
            &[(":method", ""), scheme, path, ("host", "h")],
            &[method, scheme, path, (":authority", ""), ("host", "h")],
            &[(":method", "CONNECT"), path, (":authority", "h:1")],
            &[(":method", "CONNECT"), ("host", "h:1")],
            &[],
        ] {
            assert_eq!(read(Section::Request { has_body: false }, fields), Err(Refusal::Malformed), "{fields:?}");
        }
    }

    #[test]
    fn responses_and_trailers_have_their_own_rules() {
        let response = |fields: &[(&str, &str)]| read(Section::Response, fields);
        let expected = "HTTP/1.1 404 \r\nx: 1\r\ncontent-length: 7\r\n\r\n";
        assert_eq!(response(&[(":status", "404"), ("content-length", "7"), ("x", "1")]).as_deref(), Ok(expected));
        for status in ["101", "20", "2000", "2x0", "099", ""] {
            assert_eq!(response(&[(":status", status)]), Err(Refusal::Malformed), "{status}");
        }
        assert_eq!(response(&[("x", "1")]), Err(Refusal::Malformed));
        let trailers = |fields: &[(&str, &str)]| read(Section::Trailers, fields);
        assert_eq!(trailers(&[("grpc-status", "0"), ("x", "1")]).as_deref(), Ok("grpc-status: 0\r\nx: 1\r\n"));
        assert_eq!(trailers(&[]).as_deref(), Ok(""));
        assert_eq!(trailers(&[("x", "1"), (":path", "/")]), Err(Refusal::Malformed));
        assert_eq!(trailers(&[(":status", "200")]), Err(Refusal::Malformed));
    }

    /// A connection held what its largest section had needed, as long as there was no other.
    #[test]
    fn a_section_leaves_little_memory_behind() {
        let mut reader = Reader::new(100_000);
        reader.begin(Section::Request { has_body: false }, Vec::with_capacity(100_000));
        reader.field(b":path", "/".repeat(10_000).as_bytes());
        reader.field(b"cookie", &[b'a'; 50_000]);
        assert!(reader.finish().is_err());
        reader.rest();
        assert!(reader.out.capacity() + reader.kept.capacity() + reader.cookies.capacity() <= 2 * KEPT);
        assert_eq!(reader.asked(), Asked::default());
    }

    #[test]
    fn a_list_that_is_too_large_is_told_apart() {
        let long = "x".repeat(1000);
        assert_eq!(request("GET", &[("x", &long)], false), Err(Refusal::TooLarge));
        let mut reader = Reader::new(1000);
        reader.begin(Section::Request { has_body: false }, Vec::new());
        reader.field(b":path", b"/a");
        (0..4).for_each(|_| reader.field(b"x", long.as_bytes()));
        assert!(reader.is_hopeless() && reader.asked().path == "/a");
    }
}
