//! What cases are made of.

use harness::h2::{Frame, encode_fields, flag, kind};

/// The path that no backend may see.
pub(super) const EVIL: &str = "/evil";

/// `HEADERS` with these fields, a whole block.
pub(super) fn headers(stream: u32, fields: &[(&str, &str)], flags: u8) -> Frame {
    Frame::new(kind::HEADERS, flag::END_HEADERS | flags, stream, encode_fields(fields))
}

/// `HEADERS` with a block of these bytes.
pub(super) fn block(stream: u32, bytes: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, bytes)
}

/// The pseudo-fields of a request.
pub(super) fn pseudo<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [(":method", method), (":scheme", "http"), (":authority", "h"), (":path", path)]
}

/// A whole `GET`.
pub(super) fn get(stream: u32, path: &str) -> Frame {
    headers(stream, &pseudo("GET", path), flag::END_STREAM)
}

/// A whole `GET` with further fields.
pub(super) fn get_with(stream: u32, path: &str, fields: &[(&str, &str)]) -> Frame {
    headers(stream, &[&pseudo("GET", path)[..], fields].concat(), flag::END_STREAM)
}

/// The head of a `POST` whose body follows.
pub(super) fn post(stream: u32, path: &str, fields: &[(&str, &str)]) -> Frame {
    headers(stream, &[&pseudo("POST", path)[..], fields].concat(), flag::NONE)
}

/// DATA.
pub(super) fn data(stream: u32, bytes: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::DATA, flag::NONE, stream, bytes)
}

/// DATA that ends its stream.
pub(super) fn last_data(stream: u32, bytes: impl Into<Vec<u8>>) -> Frame {
    Frame::new(kind::DATA, flag::END_STREAM, stream, bytes)
}

/// PING.
pub(super) fn ping() -> Frame {
    Frame::new(kind::PING, flag::NONE, 0, *b"tidegate")
}

/// PRIORITY that depends on `parent`.
pub(super) fn priority(stream: u32, parent: u32) -> Frame {
    Frame::new(kind::PRIORITY, flag::NONE, stream, [&parent.to_be_bytes()[..], &[16]].concat())
}

/// A frame of a type that nobody knows.
pub(super) fn unknown(stream: u32) -> Frame {
    Frame::new(0xbb, 0xff, stream, *b"what is this")
}
