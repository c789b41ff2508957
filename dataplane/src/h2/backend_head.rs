//! Heads on their way to and from an HTTP/2 backend.

use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version, header, uri};
use http1::Field;

use super::arena::Arena;
use crate::{clock::Clock, error::Reason, request_id::Renamed};

/// The request whose head for HTTP/1.1 is `bytes`, as `h2` sends it. They were written by us, so their lines have the one form. Its id
/// stands in the field `renamed`, or the usual one.
///
/// # Errors
/// It has what cannot stand in HTTP/2.
pub(super) fn request(bytes: &[u8], renamed: &Renamed, arena: &Arena) -> Result<Request<()>, Reason> {
    let bytes = arena.copy(bytes);
    let mut lines = lines(&bytes);
    let mut parts = uri::Parts::default();
    parts.scheme = Some(uri::Scheme::HTTP);
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;

    let line = lines.next().ok_or(Reason::BadRequest)?;
    let mut spaces = (line.clone()).filter(|at| bytes[*at] == b' ');
    let (Some(first), Some(second)) = (spaces.next(), spaces.next()) else { return Err(Reason::BadRequest) };
    *request.method_mut() = Method::from_bytes(&bytes[line.start..first]).map_err(|_| Reason::BadRequest)?;
    let target = uri::PathAndQuery::from_maybe_shared(bytes.slice(first + 1..second));
    parts.path_and_query = Some(target.map_err(|_| Reason::BadRequest)?);

    let fields = request.headers_mut();
    fields.reserve(FIELDS);
    for line in lines {
        let colon = line.start + bytes[line.clone()].iter().position(|byte| *byte == b':').ok_or(Reason::BadRequest)?;
        let name = &bytes[line.start..colon];
        let value = trimmed(&bytes, colon + 1..line.end);
        match Field::of(name) {
            Field::Host => {
                let authority = uri::Authority::from_maybe_shared(bytes.slice(value));
                parts.authority = Some(authority.map_err(|_| Reason::BadRequest)?);
                continue;
            }
            // gRPC servers ask for it (RFC 9113 §8.2.2).
            Field::Te if bytes[value.clone()] == *b"trailers" => {}
            field if field.is_hop_by_hop() => continue,
            _ => {}
        }
        let mut value = HeaderValue::from_maybe_shared(bytes.slice(value)).map_err(|_| Reason::BadRequest)?;
        // Never indexed: each is a new one, and would push out of the table what comes again.
        value.set_sensitive(Field::of(name) == Field::XRequestId || renamed.is(name));
        fields.append(HeaderName::from_bytes(name).map_err(|_| Reason::BadRequest)?, value);
    }
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Reason::BadRequest)?;
    Ok(request)
}

/// Room that most heads do with.
const FIELDS: usize = 12;

/// Where the lines of a head stand, without their breaks, up to the empty one.
fn lines(head: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let from = start;
        let end = from + head[from..].iter().position(|byte| *byte == b'\n')?;
        start = end + 1;
        let end = if end > from && head[end - 1] == b'\r' { end - 1 } else { end };
        (end > from).then_some(from..end)
    })
}

/// What of `range` is no white space at its ends.
fn trimmed(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let (mut start, mut end) = (range.start, range.end);
    while start < end && matches!(bytes[start], b' ' | b'\t') {
        start += 1;
    }
    while end > start && matches!(bytes[end - 1], b' ' | b'\t') {
        end -= 1;
    }
    start..end
}

/// The head of a response without what is of one connection only. A final one gets a `Date` if it has none.
pub(super) fn response(head: http::response::Parts, arena: &Arena, clock: &Clock) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    let fields = response.headers_mut();
    remove(fields, |name| Field::of(name).is_hop_by_hop());
    if !head.status.is_informational()
        && !fields.contains_key(header::DATE)
        && let Ok(date) = HeaderValue::from_maybe_shared(arena.copy(&clock.date()))
    {
        // A recipient with a clock adds what the origin left out (RFC 9110 §6.6.1).
        fields.insert(header::DATE, date);
    }
    response
}

/// The trailers that may go further; none if that is none of them.
pub(super) fn trailers(mut trailers: HeaderMap) -> Option<HeaderMap> {
    remove(&mut trailers, |name| !Field::is_trailer(name));
    (!trailers.is_empty()).then_some(trailers)
}

/// Removes the fields whose names `goes` holds for.
fn remove(fields: &mut HeaderMap, goes: impl Fn(&[u8]) -> bool) {
    // Empty, and so without an allocation, for almost every message.
    let gone: Vec<HeaderName> = fields.keys().filter(|name| goes(name.as_str().as_bytes())).cloned().collect();
    for name in gone {
        fields.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_for_http_1_becomes_one_for_http_2() {
        let bytes = b"POST /a?b HTTP/1.1\r\nHost: h:81\r\nX-A: 1\r\nVia: 2 tidegate\r\nTransfer-Encoding: chunked\r\n\
            TE: trailers\r\nConnection: TE\r\n\r\n";
        let request = request(bytes, &Renamed::default(), &Arena::default()).unwrap();
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("POST", "http://h:81/a?b"));
        let names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-a", "via", "te"]);
        let asterisk =
            super::request(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", &Renamed::default(), &Arena::default()).unwrap();
        assert_eq!(asterisk.uri().path(), "*");
    }

    #[test]
    fn what_is_of_one_connection_stays_there() {
        let head = Response::builder().header("x", "1").header("proxy-authenticate", "a").body(()).unwrap();
        let passed = response(head.into_parts().0, &Arena::default(), &Clock::new());
        let names: Vec<&str> = passed.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x", "date"]);
        let mut map = HeaderMap::new();
        map.insert("x_forwarded_for", HeaderValue::from_static("6.6.6.6"));
        map.insert("content-length", HeaderValue::from_static("6"));
        assert_eq!(trailers(map.clone()), None);
        map.insert("grpc-status", HeaderValue::from_static("0"));
        assert_eq!(trailers(map).unwrap().len(), 1);
    }
}
