//! Heads on their way to and from an HTTP/2 backend.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version, header, uri};
use http1::Field;

use super::{arena::Arena, lines, trailers::Trailers};
use crate::{clock::Clock, error::Reason, request_id::Renamed};

/// The request whose head for HTTP/1.1 is `head`, as `h2` sends it. It was written by us. The request's id stands in the field
/// `renamed`, or the usual one.
///
/// # Errors
/// It has what cannot stand in HTTP/2.
pub(super) fn request(head: &[u8], renamed: &Renamed, arena: &Arena) -> Result<Request<()>, Reason> {
    let head = arena.copy(head);
    let end = head.iter().position(|byte| *byte == b'\n').ok_or(Reason::BadRequest)? + 1;
    let (line, fields) = head.split_at(end);
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
        let field = Field::of(name);
        match field {
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
        let mut value = HeaderValue::from_maybe_shared(head.slice_ref(value)).map_err(|_| Reason::BadRequest)?;
        // Never indexed: each is a new one, and would push out of the table what comes again.
        value.set_sensitive(field == Field::XRequestId || renamed.is(name));
        map.append(HeaderName::from_bytes(name).map_err(|_| Reason::BadRequest)?, value);
    }
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Reason::BadRequest)?;
    Ok(request)
}

/// Room that most heads do with.
const FIELDS: usize = 12;

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

/// The trailers that `h2` has read.
pub(super) fn read_trailers(map: &HeaderMap) -> Trailers {
    let mut trailers = Trailers::default();
    map.iter().for_each(|(name, value)| trailers.push(name.as_str().as_bytes(), value.as_bytes()));
    trailers
}

/// The trailers as `h2` sends them; none if one cannot stand in HTTP/2.
pub(super) fn trailers(trailers: &Trailers, arena: &Arena) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    append(&mut map, trailers.as_bytes(), arena)?;
    Some(map)
}

/// Appends the lines of `block` to `map`.
fn append(map: &mut HeaderMap, block: &[u8], arena: &Arena) -> Option<()> {
    // One copy for all values.
    let block = arena.copy(block);
    for (name, value) in lines::of(&block) {
        map.append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_maybe_shared(block.slice_ref(value)).ok()?);
    }
    Some(())
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
