//! What a response head must be, rule by rule.
use http1::{Asked, Fault, Field, HeadLimits, Method, Progress, ResponseBody, ResponseHead, Upgrade, Version};

const GET: Asked = Asked { method: Method::Get, upgrade: false };

fn parse(bytes: &[u8], asked: Asked) -> Result<ResponseHead, Fault> {
    let mut head = ResponseHead::default();
    match head.parse(bytes, asked, &HeadLimits::default())? {
        Progress::Complete(length) => assert_eq!(length, head.len as usize),
        Progress::Partial => panic!("incomplete: {}", bytes.escape_ascii()),
    }
    Ok(head)
}

#[test]
fn status_line_is_version_status_reason() {
    for (line, status, reason) in [
        ("HTTP/1.1 200 OK", 200, &b"OK"[..]),
        ("HTTP/1.1 404 Not  Found", 404, b"Not  Found"),
        ("HTTP/1.0 200 ", 200, b""),
        ("HTTP/1.1 200", 200, b""),
        ("HTTP/1.1 599 \u{e9}\t", 599, "\u{e9}\t".as_bytes()),
    ] {
        let bytes = format!("{line}\r\nContent-Length: 0\r\n\r\n");
        let head = parse(bytes.as_bytes(), GET).unwrap();
        assert_eq!((head.status, head.reason.of(bytes.as_bytes())), (status, reason), "{line}");
        assert_eq!(head.line.of(bytes.as_bytes()), format!("{line}\r\n").as_bytes());
        let bare = format!("{line}\r\n\r\n");
        let head = parse(bare.as_bytes(), GET).unwrap();
        assert_eq!((head.status, head.reason.of(bare.as_bytes())), (status, reason), "{line}");
    }
    for (line, fault) in [
        ("HTTP/1.1 099 x", Fault::BadStatus),
        ("HTTP/1.1 600 x", Fault::BadStatus),
        ("HTTP/1.1 000 x", Fault::BadStatus),
        ("HTTP/1.1 20 x", Fault::BadStatus),
        ("HTTP/1.1 2000 x", Fault::BadStatus),
        ("HTTP/1.1 +20 x", Fault::BadStatus),
        ("HTTP/1.1 2x0 x", Fault::BadStatus),
        ("HTTP/1.1  200 x", Fault::BadStatus),
        ("HTTP/1.1 200x", Fault::BadStatusLine),
        ("HTTP/1.1 200\tx", Fault::BadStatusLine),
        ("HTTP/1.1\t200 x", Fault::BadStatusLine),
        ("HTTP/1.1", Fault::BadStatusLine),
        ("HTTP/1.2 200 x", Fault::UnsupportedVersion),
        ("HTTP/2.0 200 x", Fault::UnsupportedVersion),
        ("HTTP/11 200 x", Fault::BadVersion),
        ("http/1.1 200 x", Fault::BadVersion),
        ("ICY 200 OK", Fault::BadVersion),
        (" HTTP/1.1 200 OK", Fault::BadVersion),
        ("\r\nHTTP/1.1 200 OK", Fault::BadVersion),
        ("HTTP/1.1 200 a\0b", Fault::ControlByte),
        ("HTTP/1.1 200 a\rb", Fault::BareCr),
        ("HTTP/1.1 200 a\nb", Fault::BareLf),
        ("HTTP/1.1 200\n", Fault::BareLf),
    ] {
        let bytes = format!("{line}\r\n\r\n");
        assert_eq!(parse(bytes.as_bytes(), GET).err(), Some(fault), "{}", line.escape_debug());
    }
}

#[test]
fn lines_are_as_strict_as_in_requests() {
    for (line, fault) in [
        ("A : b", Fault::SpaceBeforeColon),
        (": b", Fault::BadFieldName),
        ("A", Fault::BadFieldName),
        ("A: b\r\n c", Fault::ObsFold),
        ("A: b\nB: c", Fault::BareLf),
        ("A: b\rB: c", Fault::BareCr),
        ("A: \0", Fault::ControlByte),
        (" A: b", Fault::LeadingSpace),
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
        assert_eq!(parse(bytes.as_bytes(), GET).err(), Some(fault), "{}", line.escape_debug());
    }
}

#[test]
fn body_is_framed_by_method_status_and_fields() {
    use ResponseBody::{Chunked, Length, None, UntilClose};
    for (method, status, lines, body) in [
        (Method::Get, 200, "Content-Length: 5\r\n", Ok(Length(5))),
        (Method::Get, 200, "Transfer-Encoding: chunked\r\n", Ok(Chunked)),
        (Method::Get, 200, "", Ok(UntilClose)),
        (Method::Get, 404, "", Ok(UntilClose)),
        (Method::Get, 205, "Content-Length: 0\r\n", Ok(Length(0))),
        (Method::Head, 200, "Content-Length: 5\r\n", Ok(None)),
        (Method::Head, 200, "Transfer-Encoding: chunked\r\n", Ok(None)),
        (Method::Head, 200, "", Ok(None)),
        (Method::Get, 204, "", Ok(None)),
        (Method::Get, 204, "Content-Length: 5\r\n", Ok(None)),
        (Method::Get, 304, "Content-Length: 5\r\n", Ok(None)),
        (Method::Get, 100, "", Ok(None)),
        (Method::Get, 103, "Link: x\r\n", Ok(None)),
        (Method::Connect, 200, "Content-Length: 5\r\n", Ok(None)),
        (Method::Connect, 404, "Content-Length: 5\r\n", Ok(Length(5))),
        (Method::Get, 200, "Content-Length: 5\r\nContent-Length: 5\r\n", Err(Fault::RepeatedContentLength)),
        (Method::Get, 200, "Content-Length: 5, 5\r\n", Err(Fault::BadContentLength)),
        (Method::Head, 200, "Content-Length: x\r\n", Err(Fault::BadContentLength)),
        (Method::Get, 200, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(Fault::TwoFramings)),
        (Method::Get, 200, "Transfer-Encoding: gzip\r\n", Err(Fault::BadTransferEncoding)),
        (Method::Get, 200, "Transfer-Encoding: gzip, chunked\r\n", Err(Fault::UnknownTransferCoding)),
        (Method::Get, 200, "Transfer-Encoding: chunked, chunked\r\n", Err(Fault::BadTransferEncoding)),
    ] {
        let bytes = format!("HTTP/1.1 {status} x\r\n{lines}\r\n");
        let read = parse(bytes.as_bytes(), Asked { method, upgrade: false }).map(|head| head.body);
        assert_eq!(read, body, "{method:?} {status} {lines}");
    }
    let old = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parse(old, GET).err(), Some(Fault::TransferEncodingInHttp10));
}

#[test]
fn content_length_of_a_status_without_body_is_removed() {
    for (method, status, removed) in
        [(Method::Get, 204, true), (Method::Get, 103, true), (Method::Get, 304, false), (Method::Head, 200, false)]
    {
        let bytes = format!("HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\n");
        let head = parse(bytes.as_bytes(), Asked { method, upgrade: false }).unwrap();
        assert_eq!(head.fields.first(Field::ContentLength).map(|line| line.removed), Some(removed), "{status}");
    }
}

#[test]
fn connections_are_kept_as_version_and_connection_say() {
    for (version, lines, keep_alive) in [
        ("1.1", "Content-Length: 0\r\n", true),
        ("1.1", "Content-Length: 0\r\nConnection: close\r\n", false),
        ("1.1", "", false),
        ("1.1", "Connection: keep-alive\r\n", false),
        ("1.0", "Content-Length: 0\r\n", false),
        ("1.0", "Content-Length: 0\r\nConnection: keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive\r\n", false),
    ] {
        let bytes = format!("HTTP/{version} 200 OK\r\n{lines}\r\n");
        let head = parse(bytes.as_bytes(), GET).unwrap();
        assert_eq!(head.keep_alive, keep_alive, "{version} {lines}");
        assert_eq!(head.version == Version::Http11, version == "1.1");
    }
}

#[test]
fn keep_alive_tells_how_long_and_how_often() {
    for (value, timeout, max) in [
        ("timeout=5", Some(5), None),
        ("max=100, Timeout = 7", Some(7), Some(100)),
        ("timeout=99999999999", Some(u32::MAX), None),
        ("timeout=x, max=0", None, Some(0)),
        ("timeout, max", None, None),
        ("max=5", None, Some(5)),
        ("", None, None),
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\nKeep-Alive: {value}\r\nContent-Length: 0\r\n\r\n");
        let head = parse(bytes.as_bytes(), GET).unwrap();
        assert_eq!((head.keep_alive_timeout, head.keep_alive_max), (timeout, max), "{value}");
    }
}

#[test]
fn switching_protocols_must_have_been_asked_for() {
    let asked = Asked { method: Method::Get, upgrade: true };
    let switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let head = parse(switching, asked).unwrap();
    assert!(!head.is_interim() && matches!(head.upgrade, Upgrade::To(to) if to.of(switching) == b"websocket"));
    assert_eq!(parse(switching, GET).err(), Some(Fault::UnaskedUpgrade));
    for bytes in [
        &b"HTTP/1.1 101 x\r\n\r\n"[..],
        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.0 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        assert_eq!(parse(bytes, asked).err(), Some(Fault::UnaskedUpgrade), "{}", bytes.escape_ascii());
    }
    let offered = b"HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2,h2c\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(parse(offered, GET).unwrap().upgrade, Upgrade::Ignored);
}

#[test]
fn interim_responses_are_told() {
    for (status, interim) in [(100, true), (102, true), (103, true), (199, true), (200, false), (304, false)] {
        let bytes = format!("HTTP/1.1 {status} x\r\n\r\n");
        assert_eq!(parse(bytes.as_bytes(), GET).unwrap().is_interim(), interim, "{status}");
    }
}

#[test]
fn fields_that_a_proxy_adds_are_seen() {
    let bytes = b"HTTP/1.1 200 OK\r\nDATE: x\r\nserver: y\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n";
    let head = parse(bytes, GET).unwrap();
    assert!(head.fields.has(Field::Date) && head.fields.has(Field::Server) && !head.fields.has(Field::Via));
    assert_eq!(head.fields.value(Field::Server, bytes), Some(&b"y"[..]));
    let cookies: Vec<_> = head.fields.all(Field::SetCookie).map(|line| line.value.of(bytes)).collect();
    assert_eq!(cookies, [b"a", b"b"]);
}

#[test]
fn limits_hold_for_responses() {
    let limits = HeadLimits { bytes: 60, fields: 2, target_bytes: 0 };
    let mut head = ResponseHead::default();
    assert!(head.parse(b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n", GET, &limits).is_ok());
    let many = b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nE: f\r\n\r\n";
    assert_eq!(head.parse(many, GET, &limits), Err(Fault::TooManyFields));
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(60));
    assert_eq!(head.parse(long.as_bytes(), GET, &limits), Err(Fault::HeadTooLarge));
}
