//! Parses requests in one piece.
use http1::{Fault, HeadLimits, Progress, RequestHead};

pub(crate) fn parse(bytes: &[u8]) -> Result<RequestHead, Fault> {
    parse_within(bytes, &HeadLimits::default())
}

pub(crate) fn parse_within(bytes: &[u8], limits: &HeadLimits) -> Result<RequestHead, Fault> {
    let mut head = RequestHead::default();
    match head.parse(bytes, limits)? {
        Progress::Complete(length) => assert_eq!(length, head.len as usize),
        Progress::Partial => panic!("incomplete: {}", bytes.escape_ascii()),
    }
    Ok(head)
}

/// A request with these lines besides the request line and `Host`.
pub(crate) fn with(lines: &str) -> Result<RequestHead, Fault> {
    parse(format!("POST / HTTP/1.1\r\nHost: h\r\n{lines}\r\n\r\n").as_bytes())
}

pub(crate) fn refused(lines: &str) -> Option<Fault> {
    with(lines).err()
}
