//! Where heads and trailers become what the `h2` crate sends, and what it reads becomes theirs.
//!
//! Only heads of requests that it reads are written elsewhere, by [`request_head`](super::request_head).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, response, uri};
use http1::{Field, write};

use super::{arena::Arena, lines, outgoing::Outgoing, trailers::Trailers};
use crate::{error::Reason, request_id::Renamed};

/// The request whose head for HTTP/1.1 is `head`, as `h2` sends it. It was written by us. The request's id stands in the field
/// `renamed`, or the usual one.
///
/// # Errors
/// It has what cannot stand in HTTP/2.
pub(super) fn request(head: &[u8], renamed: &Renamed, arena: &Arena) -> Result<Request<()>, Reason> {
    let head = arena.copy(head);
    let (line, fields) = lines::split(&head);
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(_)) = (words.next(), words.next(), words.next()) else {
        return Err(Reason::BadRequest);
    };
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;
    *request.method_mut() = Method::from_bytes(method).map_err(|_| Reason::BadRequest)?;
    let mut parts = uri::Parts::default();
    parts.scheme = Some(uri::Scheme::HTTP);
    let target = uri::PathAndQuery::from_maybe_shared(head.slice_ref(target));
    parts.path_and_query = Some(target.map_err(|_| Reason::BadRequest)?);

    let map = request.headers_mut();
    map.reserve(FIELDS);
    for (name, value) in lines::of(fields) {
        match Field::of(name) {
            Field::Host => {
                let authority = uri::Authority::from_maybe_shared(head.slice_ref(value));
                parts.authority = Some(authority.map_err(|_| Reason::BadRequest)?);
                continue;
            }
            // gRPC servers ask for it (RFC 9113 §8.2.2).
            Field::Te if value == b"trailers" => {}
            field if field.is_hop_by_hop() => continue,
            _ => {}
        }
        add(map, name, head.slice_ref(value), renamed).ok_or(Reason::BadRequest)?;
    }
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Reason::BadRequest)?;
    Ok(request)
}

/// Room that most heads do with.
const FIELDS: usize = 12;

/// Writes the head of a response that `h2` has read into `out`, which is cleared, as that of HTTP/1.1.
pub(super) fn write_response(out: &mut Vec<u8>, head: &response::Parts) {
    out.clear();
    write::status_line(out, head.status.as_u16(), b"");
    for (name, value) in &head.headers {
        write::line(out, name.as_str().as_bytes(), value.as_bytes());
    }
    write::end(out);
}

/// The head of a response as `h2` sends it; none if it has what cannot stand in HTTP/2.
pub(super) fn response(head: &Outgoing<'_>, arena: &Arena) -> Option<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status).ok()?;
    let map = response.headers_mut();
    map.reserve(head.came.len() + APPENDED);
    let end = head.came.last().map_or(0, |line| line.value.end as usize);
    // One copy for all values.
    let bytes = arena.copy(&head.bytes[..end]);
    for line in head.came.iter().filter(|line| !line.removed) {
        add(map, line.name.of(&bytes), bytes.slice(line.value.range()), head.renamed)?;
    }
    append(map, head.appended, head.renamed, arena)?;
    Some(response)
}

/// Room for the lines of ours that most responses get.
const APPENDED: usize = 4;

/// The trailers that `h2` has read.
pub(super) fn read_trailers(map: &HeaderMap) -> Trailers {
    let mut trailers = Trailers::default();
    map.iter().for_each(|(name, value)| trailers.push(name.as_str().as_bytes(), value.as_bytes()));
    trailers
}

/// The trailers as `h2` sends them; none if one cannot stand in HTTP/2.
pub(super) fn trailers(trailers: &Trailers, arena: &Arena) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    append(&mut map, trailers.as_bytes(), &Renamed::default(), arena)?;
    Some(map)
}

/// Appends the lines of `block` to `map`.
fn append(map: &mut HeaderMap, block: &[u8], renamed: &Renamed, arena: &Arena) -> Option<()> {
    let block = arena.copy(block);
    for (name, value) in lines::of(&block) {
        add(map, name, block.slice_ref(value), renamed)?;
    }
    Some(())
}

/// Appends a line to `map`. The id of a request stands in the field `renamed`, or the usual one.
fn add(map: &mut HeaderMap, name: &[u8], value: Bytes, renamed: &Renamed) -> Option<()> {
    let mut value = HeaderValue::from_maybe_shared(value).ok()?;
    // Never indexed: each is a new one, and would push out of HPACK's table what comes again.
    value.set_sensitive(Field::of(name) == Field::XRequestId || renamed.is(name));
    map.append(HeaderName::from_bytes(name).ok()?, value);
    Some(())
}

#[cfg(test)]
mod tests {
    use http1::{Asked, HeadLimits, ResponseHead};

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
    fn responses_pass_the_border_both_ways() {
        let head =
            Response::builder().status(404).header("x", "1").header("y", "").header("x", "a b").body(()).unwrap();
        let mut bytes = b"left from before".to_vec();
        write_response(&mut bytes, &head.into_parts().0);
        assert_eq!(String::from_utf8_lossy(&bytes), "HTTP/1.1 404 \r\nx: 1\r\nx: a b\r\ny: \r\n\r\n");

        let bytes = b"HTTP/1.1 404 Not Found\r\nX: 1\r\nProxy-Authenticate: a\r\nY: 2 \r\n\r\n";
        let mut head = ResponseHead::default();
        head.parse(bytes, Asked { method: http1::Method::Get, upgrade: false }, &HeadLimits::default()).unwrap();
        let appended = b"Via: 1.1 tidegate\r\nX-Request-Id: 7\r\nx: 3\r\n";
        let came = head.fields.lines();
        let outgoing = Outgoing { status: head.status, came, bytes, appended, renamed: &Renamed::default() };
        let sent = response(&outgoing, &Arena::default()).unwrap();
        let lines: Vec<(&str, &[u8])> =
            sent.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let expected: [(&str, &[u8]); 5] =
            [("x", b"1"), ("x", b"3"), ("y", b"2"), ("via", b"1.1 tidegate"), ("x-request-id", b"7")];
        assert_eq!((sent.status(), &lines[..]), (StatusCode::NOT_FOUND, &expected[..]));
        let are_sensitive: Vec<bool> = sent.headers().values().map(HeaderValue::is_sensitive).collect();
        assert_eq!(are_sensitive, [false, false, false, false, true]);
    }

    #[test]
    fn trailers_pass_the_border_both_ways() {
        let mut map = HeaderMap::new();
        for (name, value) in [("grpc-status", "0"), ("x", "1"), ("x", ""), ("y", "a b")] {
            map.append(name, value.parse().unwrap());
        }
        let read = read_trailers(&map);
        assert_eq!(String::from_utf8_lossy(read.as_bytes()), "grpc-status: 0\r\nx: 1\r\nx: \r\ny: a b\r\n");
        assert_eq!(trailers(&read, &Arena::default()), Some(map));
    }
}
