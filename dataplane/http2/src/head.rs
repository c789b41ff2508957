//! Field sections as lines of text: what HPACK gives becomes the bytes of an HTTP/1.1 head, which one parser then judges for both
//! versions.
//!
//! Here is looked at what has no counterpart in those bytes (RFC 9113 §8.1 to §8.3, §8.5), and at what would make of one line two.

use std::ops::Range;

use crate::grammar::{is_name, is_scheme, is_value, is_word, number};

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
    has_host: bool,
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
            has_host: false,
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
        (self.has_host, self.length, self.announces_trailers) = (false, None, false);
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
                if std::mem::replace(&mut self.has_host, true) || value.is_empty() {
                    return None;
                }
                if let Some(authority) = self.value_of(AUTHORITY) {
                    // Two that differ are two readings (RFC 9113 §8.3.1).
                    return authority.eq_ignore_ascii_case(value).then_some(());
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
                if !self.has_host && self.pseudo[AUTHORITY].is_none() {
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

#[cfg(test)]
mod tests;
