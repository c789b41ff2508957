//! HTTP/1.1 as plainly as it goes, for peers under a test's control. It takes what it gets and judges nothing.

use std::io::{self, BufRead, Read};

/// The head of a message as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// All bytes up to and with the empty line.
    pub raw: Vec<u8>,
    /// The first line without its end.
    pub first_line: String,
    /// The fields in order, as they were spelled; values without the blanks around them.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// The first value of a field; names compare without case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// Whether a comma-separated field lists `word`.
    pub fn lists(&self, name: &str, word: &str) -> bool {
        self.all(name).into_iter().flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
    }
}

/// Most bytes of a head and of a body that a test's peer takes.
const MAX_HEAD: usize = 1 << 20;
const MAX_BODY: u64 = 1 << 30;

/// Reads a head; none if the connection ends before its first byte.
pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut head = Head::default();
    loop {
        let start = head.raw.len();
        if reader.read_until(b'\n', &mut head.raw)? == 0 {
            return if start == 0 { Ok(None) } else { Err(truncated("head", &head.raw)) };
        }
        if head.raw.len() > MAX_HEAD {
            return Err(io::Error::other("a head without an end"));
        }
        let line = String::from_utf8_lossy(&head.raw[start..]);
        let line = line.trim_end_matches(['\r', '\n']);
        match (start, line) {
            (0, line) => head.first_line = line.to_owned(),
            (_, "") => return Ok(Some(head)),
            (_, line) => {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                head.fields.push((name.to_owned(), value.trim().to_owned()));
            }
        }
    }
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none, or it has this many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// With the connection.
    Close,
}

impl Framing {
    /// The framing of the body after `head`; `open` is what it is when the head does not say.
    pub(crate) fn of(head: &Head, open: Self) -> Self {
        if head.lists("transfer-encoding", "chunked") {
            return Self::Chunked;
        }
        head.field("content-length").and_then(|length| length.parse().ok()).map_or(open, Self::Length)
    }
}

/// Reads a body, and the trailer fields of a chunked one.
pub(crate) fn read_body(reader: &mut impl BufRead, framing: Framing) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut body = Vec::new();
    match framing {
        Framing::Length(length) => {
            if (reader.take(length.min(MAX_BODY)).read_to_end(&mut body)? as u64) < length {
                return Err(truncated("body", &body));
            }
        }
        Framing::Close => {
            reader.take(MAX_BODY).read_to_end(&mut body)?;
        }
        Framing::Chunked => return read_chunks(reader),
    }
    Ok((body, Vec::new()))
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut body = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line);
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| truncated("chunk size", &line))?;
        if size == 0 {
            break;
        }
        let got = reader.take(size.min(MAX_BODY)).read_to_end(&mut body)? as u64;
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        if got < size || line != b"\r\n" {
            return Err(truncated("chunk", &body));
        }
    }
    let mut trailers = Vec::new();
    loop {
        let start = trailers.len();
        match reader.read_until(b'\n', &mut trailers)? {
            0 => return Err(truncated("trailer", &trailers)),
            _ if &trailers[start..] == b"\r\n" => {
                trailers.truncate(start);
                return Ok((body, trailers));
            }
            _ => {}
        }
    }
}

fn truncated(what: &str, got: &[u8]) -> io::Error {
    let end = got.len().min(200);
    let shown = String::from_utf8_lossy(&got[..end]);
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the connection ended inside a {what}; {} bytes came: {shown:?}", got.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_bodies_of_every_framing_are_read() {
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nfgrest";
        let mut reader = io::BufReader::new(&bytes[..]);
        let head = read_head(&mut reader).unwrap().unwrap();
        assert_eq!(head.first_line, "HTTP/1.1 200 OK");
        let body = read_body(&mut reader, Framing::of(&head, Framing::Close)).unwrap();
        assert_eq!(body, (b"abcde".to_vec(), b"T: 1\r\n".to_vec()));
        let head = read_head(&mut reader).unwrap().unwrap();
        assert_eq!(read_body(&mut reader, Framing::of(&head, Framing::Close)).unwrap().0, b"fg");
        assert_eq!(read_body(&mut reader, Framing::Close).unwrap().0, b"rest");
        assert_eq!(read_head(&mut reader).unwrap(), None);
    }

    #[test]
    fn an_end_in_the_middle_is_an_error() {
        for bytes in [
            "HTTP/1.1 200 OK\r\nA: b",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        ] {
            let mut reader = io::BufReader::new(bytes.as_bytes());
            let read = read_head(&mut reader).and_then(|head| {
                let head = head.unwrap_or_default();
                read_body(&mut reader, Framing::of(&head, Framing::Close))
            });
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{bytes:?}");
        }
    }
}
