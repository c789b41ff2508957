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
        &[("content-length", "9223372036854775808")],
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
    // What a signed number of 64 bits holds.
    assert!(response(&[(":status", "200"), ("content-length", "9223372036854775807")]).is_ok());
    let longer = response(&[(":status", "200"), ("content-length", "9223372036854775808")]);
    assert_eq!(longer, Err(Refusal::Malformed));
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
