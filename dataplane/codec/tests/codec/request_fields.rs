//! What the fields of a request say, rule by rule.

use http1::{Fault, Field, RequestBody, Upgrade};

use crate::parse::{parse, refused, with};

#[test]
fn field_lines_are_name_colon_value() {
    for (line, fault) in [
        ("A : b", Fault::SpaceBeforeColon),
        ("A\t: b", Fault::SpaceBeforeColon),
        ("A b: c", Fault::SpaceBeforeColon),
        (": b", Fault::BadFieldName),
        ("A", Fault::BadFieldName),
        ("(A): b", Fault::BadFieldName),
        ("A\u{e9}: b", Fault::BadFieldName),
        ("A\0: b", Fault::BadFieldName),
        ("\"A\": b", Fault::BadFieldName),
        ("A: b\r\n c", Fault::ObsFold),
        ("A: b\r\n\tc", Fault::ObsFold),
        ("A:\r\n b", Fault::ObsFold),
        ("A: b\0", Fault::ControlByte),
        ("A: \u{1}b", Fault::ControlByte),
        ("A: b\u{7f}", Fault::ControlByte),
        ("A: b\u{b}", Fault::ControlByte),
        ("A: \u{1b}[2J", Fault::ControlByte),
    ] {
        assert_eq!(refused(line), Some(fault), "{}", line.escape_debug());
    }
    assert_eq!(parse(b"GET / HTTP/1.1\r\n Host: h\r\n\r\n").err(), Some(Fault::LeadingSpace));
    for line in ["A:", "A: ", "A:b", "A: b\tc", "A: \u{e9}", "A: b: c", "!#$%&'*+-.^_`|~0: x"] {
        assert_eq!(refused(line), None, "{line}");
    }
}

#[test]
fn host_is_there_once() {
    for (bytes, fault) in [
        ("GET / HTTP/1.1\r\n\r\n", Some(Fault::MissingHost)),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Some(Fault::RepeatedHost)),
        ("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", Some(Fault::RepeatedHost)),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Some(Fault::BadHost)),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Some(Fault::BadHost)),
        ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", Some(Fault::BadHost)),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Some(Fault::BadHost)),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Some(Fault::BadHost)),
        ("GET / HTTP/1.1\r\nHost: a#\r\n\r\n", Some(Fault::BadHost)),
        ("GET / HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", Some(Fault::BadHost)),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", None),
        ("GET / HTTP/1.0\r\n\r\n", None),
    ] {
        assert_eq!(parse(bytes.as_bytes()).err(), fault, "{}", bytes.escape_debug());
    }
}

#[test]
fn host_that_contradicts_an_absolute_target_is_told() {
    for (target, host, contradicts) in [
        ("/", "a", false),
        ("http://a/", "a", false),
        ("http://A/", "a", false),
        ("http://a:80/", "a", false),
        ("http://a/", "a:80", false),
        ("https://a/", "a:443", false),
        ("http://a/", "a:443", true),
        ("http://a:8080/", "a", true),
        ("http://a/", "b", true),
        ("http://a/", "", true),
    ] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = parse(bytes.as_bytes()).unwrap();
        assert_eq!(head.host_contradicts_target, contradicts, "{target} {host}");
    }
}

#[test]
fn content_length_is_one_number() {
    for (lines, expected) in [
        ("Content-Length: 0", Ok(RequestBody::Length(0))),
        ("content-LENGTH:5", Ok(RequestBody::Length(5))),
        ("Content-Length: 9223372036854775807", Ok(RequestBody::Length(i64::MAX as u64))),
        ("Content-Length: 9223372036854775808", Err(Fault::BadContentLength)),
        ("Content-Length: 18446744073709551615", Err(Fault::BadContentLength)),
        ("Content-Length: 0000000000000000005", Ok(RequestBody::Length(5))),
        ("Content-Length: 18446744073709551616", Err(Fault::BadContentLength)),
        ("Content-Length: 99999999999999999999", Err(Fault::BadContentLength)),
        ("Content-Length: 000000000000000000005", Err(Fault::BadContentLength)),
        ("Content-Length:", Err(Fault::BadContentLength)),
        ("Content-Length: +5", Err(Fault::BadContentLength)),
        ("Content-Length: -5", Err(Fault::BadContentLength)),
        ("Content-Length: 0x5", Err(Fault::BadContentLength)),
        ("Content-Length: 5 5", Err(Fault::BadContentLength)),
        ("Content-Length: 5, 5", Err(Fault::BadContentLength)),
        ("Content-Length: 5,", Err(Fault::BadContentLength)),
        ("Content-Length: 5.0", Err(Fault::BadContentLength)),
        ("Content-Length: \u{ff15}", Err(Fault::BadContentLength)),
        ("Content-Length: 5\r\nContent-Length: 5", Err(Fault::RepeatedContentLength)),
        ("Content-Length: 5\r\nContent-Length: 6", Err(Fault::RepeatedContentLength)),
        ("Content_Length: 5", Ok(RequestBody::None)),
    ] {
        assert_eq!(with(lines).map(|head| head.body), expected, "{lines}");
    }
}

#[test]
fn transfer_encoding_is_chunked_and_nothing_else() {
    for (lines, expected) in [
        ("Transfer-Encoding: chunked", Ok(RequestBody::Chunked)),
        ("transfer-encoding:\t CHUNKED \t", Ok(RequestBody::Chunked)),
        ("Transfer-Encoding: gzip, chunked", Err(Fault::UnknownTransferCoding)),
        ("Transfer-Encoding: identity, chunked", Err(Fault::UnknownTransferCoding)),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", Err(Fault::UnknownTransferCoding)),
        ("Transfer-Encoding:", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: gzip", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: identity", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: xchunked", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: chunkedx", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: chunked, gzip", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: chunked, chunked", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: chunked,", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: ,chunked", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: chunked;q=1", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: gzip;a=b, chunked", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: \"chunked\"", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: 'chunked'", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: chunked gzip", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: chun ked", Err(Fault::BadTransferEncoding)),
        ("Transfer-Encoding: \u{b}chunked", Err(Fault::ControlByte)),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", Err(Fault::TwoFramings)),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", Err(Fault::TwoFramings)),
        ("Content-Length: 0\r\nTransfer-Encoding: x", Err(Fault::TwoFramings)),
        ("Transfer_Encoding: chunked", Ok(RequestBody::None)),
    ] {
        assert_eq!(with(lines).map(|head| head.body), expected, "{lines}");
    }
    let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parse(old).err(), Some(Fault::TransferEncodingInHttp10));
}

#[test]
fn connections_are_kept_as_version_and_connection_say() {
    for (version, connection, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close", false),
        ("1.1", "Connection: Close", false),
        ("1.1", "Connection: keep-alive", true),
        ("1.1", "Connection: keep-alive, close", false),
        ("1.1", "Connection: x\r\nConnection: y, cLOSE", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive", true),
        ("1.0", "Connection: keep-alive, close", false),
        ("1.0", "Proxy-Connection: keep-alive", false),
    ] {
        let bytes = format!(
            "GET / HTTP/{version}\r\nHost: h\r\n{connection}\r\n{}",
            if connection.is_empty() { "" } else { "\r\n" }
        );
        assert_eq!(parse(bytes.as_bytes()).map(|head| head.keep_alive), Ok(keep_alive), "{version} {connection}");
    }
    for connection in ["a b", "close;x", "\"close\"", "@", &"a,".repeat(33)] {
        assert_eq!(refused(&format!("Connection: {connection}")), Some(Fault::BadConnection), "{connection}");
    }
    assert_eq!(refused(&format!("Connection: {}", "a,, ".repeat(32))), None);
}

#[test]
fn hop_by_hop_fields_are_removed_and_those_that_connection_names() {
    let bytes = b"GET / HTTP/1.1\r\nHost: h\r\nX-Gone: 1\r\nKeep-Alive: 5\r\nConnection: x-gone, host, content-length, close\r\n\
        Content-Length: 0\r\nTE: trailers\r\nx-GONE: 2\r\nUpgrade: websocket\r\nProxy-Authorization: x\r\nProxy-Connection: x\r\n\
        Connection: x-second\r\nX-Second: 1\r\nX-Kept: 1\r\nHTTP2-Settings: x\r\nTrailer: x\r\n\r\n";
    let head = parse(bytes).unwrap();
    let kept: Vec<_> =
        head.fields.lines().iter().filter(|line| !line.removed).map(|line| line.name.of(bytes)).collect();
    assert_eq!(kept, [&b"Host"[..], b"Content-Length", b"X-Kept", b"Trailer"]);
}

#[test]
fn look_alikes_of_framing_fields_are_removed() {
    for (name, removed) in [
        ("Content_Length", true),
        ("content.length", true),
        ("Transfer_Encoding", true),
        ("Keep_Alive", true),
        ("X_Forwarded_For", false),
        ("Content-Lengths", false),
    ] {
        let head = with(&format!("{name}: 5")).unwrap();
        assert_eq!((head.fields.lines()[1].removed, head.body), (removed, RequestBody::None), "{name}");
    }
}

#[test]
fn look_alikes_are_told_from_the_real_fields() {
    let bytes = b"GET / HTTP/1.1\r\nHost: h\r\nX_Forwarded_For: 1\r\nX-Forwarded-For: 2\r\nX.Real.IP: 3\r\nX-Other_One: 4\r\n\r\n";
    let head = parse(bytes).unwrap();
    let read: Vec<_> = head.fields.lines()[1..].iter().map(|line| (line.field, line.resembles)).collect();
    assert_eq!(
        read,
        [
            (Field::Other, Some(Field::XForwardedFor)),
            (Field::XForwardedFor, None),
            (Field::Other, Some(Field::XRealIp)),
            (Field::Other, None)
        ]
    );
    assert_eq!(head.fields.all(Field::XForwardedFor).count(), 1);
}

#[test]
fn upgrades_have_no_body_and_are_never_h2c() {
    for (lines, expected) in [
        ("Connection: Upgrade\r\nUpgrade: websocket", Ok(Some("websocket"))),
        ("Connection: keep-alive, upgrade\r\nUpgrade: a/1, b", Ok(Some("a/1, b"))),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0", Ok(Some("websocket"))),
        ("Upgrade: websocket", Ok(None)),
        ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x", Ok(None)),
        ("Connection: Upgrade\r\nUpgrade: websocket, H2C", Ok(None)),
        ("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5", Ok(None)),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5", Err(Fault::UpgradeWithBody)),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked", Err(Fault::UpgradeWithBody)),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c", Err(Fault::BadUpgrade)),
        ("Connection: Upgrade\r\nUpgrade:", Err(Fault::BadUpgrade)),
        ("Connection: Upgrade\r\nUpgrade: a b", Err(Fault::BadUpgrade)),
        ("Connection: Upgrade\r\nUpgrade: a/b/c", Err(Fault::BadUpgrade)),
    ] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n\r\n");
        let read = parse(bytes.as_bytes()).map(|head| match head.upgrade {
            Upgrade::To(protocols) => Some(protocols.of(bytes.as_bytes())),
            Upgrade::None | Upgrade::Ignored => None,
        });
        assert_eq!(read, expected.map(|protocols| protocols.map(str::as_bytes)), "{lines}");
    }
    let old = parse(b"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").unwrap();
    assert_eq!(old.upgrade, Upgrade::Ignored);
}

#[test]
fn expect_is_100_continue_or_417() {
    for (lines, expected) in [
        ("", Ok(false)),
        ("Expect: 100-continue", Ok(true)),
        ("Expect: 100-Continue", Ok(true)),
        ("Expect: 100-continue\r\nExpect: 100-continue", Ok(true)),
        ("Expect:", Err(Fault::UnknownExpectation)),
        ("Expect: 200-ok", Err(Fault::UnknownExpectation)),
        ("Expect: 100-continue, x", Err(Fault::UnknownExpectation)),
        ("Expect: 100-continue\r\nExpect: x", Err(Fault::UnknownExpectation)),
    ] {
        let lines = format!("Content-Length: 1{}{lines}", if lines.is_empty() { "" } else { "\r\n" });
        assert_eq!(with(&lines).map(|head| head.expects_continue), expected, "{lines}");
    }
    let old = parse(b"POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert!(!old.expects_continue && old.fields.lines()[1].removed);
}

#[test]
fn te_tells_whether_trailers_are_taken() {
    for (value, takes) in
        [("trailers", true), ("gzip, Trailers", true), ("gzip", false), ("", false), ("trailersx", false)]
    {
        assert_eq!(with(&format!("TE: {value}")).map(|head| head.takes_trailers), Ok(takes), "{value}");
    }
}

#[test]
fn max_forwards_means_something_to_trace_and_options_only() {
    for (method, value, expected) in [
        ("OPTIONS", "Max-Forwards: 0", Ok(Some(0))),
        ("TRACE", "Max-Forwards: 10", Ok(Some(10))),
        ("TRACE", "Max-Forwards: 99999999999", Ok(Some(u32::MAX))),
        ("OPTIONS", "Max-Forwards: x", Err(Fault::BadMaxForwards)),
        ("OPTIONS", "Max-Forwards: 1\r\nMax-Forwards: 1", Err(Fault::BadMaxForwards)),
        ("GET", "Max-Forwards: x", Ok(None)),
        ("GET", "Max-Forwards: 5", Ok(None)),
    ] {
        let bytes = format!("{method} / HTTP/1.1\r\nHost: h\r\n{value}\r\n\r\n");
        assert_eq!(parse(bytes.as_bytes()).map(|head| head.max_forwards), expected, "{method} {value}");
    }
}
