//! Heads on their way to and from an HTTP/2 backend.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version, header, uri};
use http1::{Field, HeadLimits, Progress, RequestHead};

use super::response_head;
use crate::error::Reason;

/// A head that the rewriting made: larger than any that a listener lets in.
const HEAD: HeadLimits = HeadLimits { bytes: 1 << 20, fields: http1::MAX_FIELDS, target_bytes: 128 << 10 };

/// The request whose head for HTTP/1.1 is `bytes`, as `h2` sends it.
///
/// # Errors
/// It has what cannot stand in HTTP/2.
pub(super) fn request(head: &mut RequestHead, bytes: &[u8]) -> Result<Request<()>, Reason> {
    if !matches!(head.parse(bytes, &HEAD), Ok(Progress::Complete(_))) {
        return Err(Reason::BadRequest);
    }
    let host = head.host.map_or(&b""[..], |host| host.of(bytes));
    let mut parts = uri::Parts::default();
    parts.scheme = Some(uri::Scheme::HTTP);
    parts.authority = Some(uri::Authority::try_from(host).map_err(|_| Reason::BadRequest)?);
    parts.path_and_query =
        Some(uri::PathAndQuery::try_from(head.target.whole.of(bytes)).map_err(|_| Reason::BadRequest)?);
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;
    *request.method_mut() = Method::from_bytes(head.method_name.of(bytes)).map_err(|_| Reason::BadRequest)?;
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Reason::BadRequest)?;
    head.fields.remove_where(|line| line.field == Field::Host);
    response_head::append(request.headers_mut(), &head.fields, bytes).map_err(|_| Reason::BadRequest)?;
    if head.takes_trailers {
        // gRPC servers ask for it (RFC 9113 §8.2.2).
        request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    }
    Ok(request)
}

/// The head of a response without what is of one connection only. A final one gets a `Date` if it has none.
pub(super) fn response(head: http::response::Parts, date: impl FnOnce() -> [u8; 29]) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    let fields = response.headers_mut();
    remove(fields, |name| Field::of(name).is_hop_by_hop());
    if !head.status.is_informational()
        && !fields.contains_key(header::DATE)
        && let Ok(date) = HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&date()))
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
        let request = request(&mut RequestHead::default(), bytes).unwrap();
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("POST", "http://h:81/a?b"));
        let names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-a", "via", "te"]);
        let asterisk = super::request(&mut RequestHead::default(), b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert_eq!(asterisk.uri().path(), "*");
    }

    #[test]
    fn what_is_of_one_connection_stays_there() {
        let head = Response::builder().header("x", "1").header("proxy-authenticate", "a").body(()).unwrap();
        let passed = response(head.into_parts().0, || *b"Sun, 06 Nov 1994 08:49:37 GMT");
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
