//! A request's head from HTTP/2 as the bytes of an HTTP/1.1 head.
//!
//! The codec then judges it like any other. Only what has no counterpart in those bytes is looked at here.

use h2::RecvStream;
use http::{HeaderMap, HeaderValue, Method, header, request::Parts};
use http1::write;

/// A request that RFC 9113 §8.1.1 calls malformed: its stream is reset, and nothing of it goes to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What the log says of a request whose head could not be read.
pub(super) struct Summary<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
}

impl<'a> Summary<'a> {
    /// What `request` asks for.
    pub(super) fn of(request: &'a Parts) -> Self {
        let host = request.uri.authority().map_or("", |authority| authority.as_str());
        Self { method: request.method.as_str(), host, path: request.uri.path() }
    }
}

/// Writes the head of `request`, whose body is `body`, behind what is in `out`.
pub(super) fn write(out: &mut Vec<u8>, request: &Parts, body: &RecvStream) -> Result<(), Malformed> {
    write_head(out, request, !body.is_end_stream())
}

fn write_head(out: &mut Vec<u8>, request: &Parts, has_body: bool) -> Result<(), Malformed> {
    let fields = &request.headers;
    let special = Special::of(fields)?;
    let authority = request.uri.authority().map(http::uri::Authority::as_str);
    let host = authority_of(authority, special.host)?;
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target(request, authority)?.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write::line(out, b"host", host);
    let is_chunked = write_framing(out, &request.method, &special, has_body);
    for (name, value) in fields {
        match *name {
            header::HOST | header::COOKIE => continue,
            header::CONTENT_LENGTH if is_chunked => continue,
            _ => {}
        }
        write::line(out, name.as_str().as_bytes(), checked(value)?);
    }
    if special.has_cookies {
        write_cookies(out, fields)?;
    }
    write::end(out);
    Ok(())
}

/// What must be known of the fields before the first is written. One look at each costs less than one search by name.
#[derive(Default)]
struct Special<'a> {
    host: Option<&'a [u8]>,
    has_length: bool,
    has_cookies: bool,
    announces_trailers: bool,
}

impl<'a> Special<'a> {
    fn of(fields: &'a HeaderMap) -> Result<Self, Malformed> {
        let mut special = Self::default();
        for (name, value) in fields {
            match *name {
                header::HOST if special.host.is_some() => return Err(Malformed),
                header::HOST => special.host = Some(checked(value)?),
                header::CONTENT_LENGTH => special.has_length = true,
                header::COOKIE => special.has_cookies = true,
                header::TRAILER => special.announces_trailers = true,
                _ => {}
            }
        }
        Ok(special)
    }
}

/// `:path` in origin form, `*` of OPTIONS, or the authority of CONNECT.
fn target<'a>(request: &'a Parts, authority: Option<&'a str>) -> Result<&'a str, Malformed> {
    if request.method == Method::CONNECT {
        return authority.ok_or(Malformed);
    }
    let path = request.uri.path_and_query().ok_or(Malformed)?.as_str();
    let is_asterisk = path == "*" && request.method == Method::OPTIONS;
    if path.starts_with('/') || is_asterisk { Ok(path) } else { Err(Malformed) }
}

/// `:authority`, or `Host` without it. Two that differ are two readings (RFC 9113 §8.3.1).
fn authority_of<'a>(authority: Option<&'a str>, host: Option<&'a [u8]>) -> Result<&'a [u8], Malformed> {
    match (authority.map(str::as_bytes), host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => Err(Malformed),
        (Some(b""), _) | (None, None | Some(b"")) => Err(Malformed),
        (Some(authority), _) => Ok(authority),
        (None, Some(host)) => Ok(host),
    }
}

/// Says how the body is framed where the fields do not. Whether it is chunked, though a length may be declared.
fn write_framing(out: &mut Vec<u8>, method: &Method, special: &Special<'_>, has_body: bool) -> bool {
    // A length leaves no place for the trailers that are announced.
    let is_chunked = has_body && (!special.has_length || special.announces_trailers);
    if is_chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    } else if !special.has_length && matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        // What an HTTP/1.1 client sends (RFC 9110 §8.6); servers answer 411 without it.
        out.extend_from_slice(b"content-length: 0\r\n");
    }
    is_chunked
}

/// Crumbs are joined: HTTP/1.1 has one line (RFC 9113 §8.2.3).
fn write_cookies(out: &mut Vec<u8>, fields: &HeaderMap) -> Result<(), Malformed> {
    let mut lead: &[u8] = b"cookie: ";
    for crumb in fields.get_all(header::COOKIE) {
        out.extend_from_slice(lead);
        out.extend_from_slice(checked(crumb)?);
        lead = b"; ";
    }
    if lead == b"; " {
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

/// A value must not begin or end with white space (RFC 9113 §8.2.1), which HTTP/1.1 would trim in silence.
fn checked(value: &HeaderValue) -> Result<&[u8], Malformed> {
    match value.as_bytes() {
        [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => Err(Malformed),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn written(method: &str, uri: &str, fields: &[(&str, &str)], has_body: bool) -> Option<String> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let mut out = Vec::new();
        write_head(&mut out, &parts, has_body).ok().map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_head_becomes_what_an_http_1_client_would_send() {
        for (method, uri, fields, has_body, expected) in [
            ("GET", "http://h/a?b=c", vec![("x", "1")], false, "GET /a?b=c HTTP/1.1\r\nhost: h\r\nx: 1\r\n\r\n"),
            (
                "GET",
                "http://h/",
                vec![("cookie", "a=1"), ("x", "1"), ("cookie", "b=2")],
                false,
                "GET / HTTP/1.1\r\nhost: h\r\nx: 1\r\ncookie: a=1; b=2\r\n\r\n",
            ),
            ("GET", "/p", vec![("host", "from-field")], false, "GET /p HTTP/1.1\r\nhost: from-field\r\n\r\n"),
            ("GET", "http://h:80/", vec![("host", "H:80")], false, "GET / HTTP/1.1\r\nhost: h:80\r\n\r\n"),
            ("POST", "http://h/", vec![], true, "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"),
            ("POST", "http://h/", vec![], false, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"),
            (
                "POST",
                "http://h/",
                vec![("content-length", "3")],
                true,
                "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\n",
            ),
            (
                "POST",
                "http://h/",
                vec![("content-length", "3"), ("trailer", "x-sum")],
                true,
                "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n",
            ),
        ] {
            assert_eq!(written(method, uri, &fields, has_body).as_deref(), Some(expected), "{uri} {fields:?}");
        }
    }

    #[test]
    fn malformed_heads_are_refused() {
        for (method, uri, fields) in [
            ("GET", "http://h/", vec![("host", "other")]),
            ("GET", "http://h/", vec![("host", "h"), ("host", "h")]),
            ("GET", "/", vec![]),
            ("GET", "/", vec![("host", "")]),
            ("GET", "*", vec![("host", "h")]),
            ("CONNECT", "/", vec![("host", "h:1")]),
            ("GET", "http://h/", vec![("x", " a")]),
            ("GET", "http://h/", vec![("x", "a\t")]),
            ("GET", "http://h/", vec![("cookie", "a ")]),
        ] {
            assert_eq!(written(method, uri, &fields, false), None, "{method} {uri} {fields:?}");
        }
    }
}
