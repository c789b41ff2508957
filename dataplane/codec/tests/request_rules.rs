//! What a request head must be, rule by rule.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use http1::{Fault, Field, Form, HeadLimits, Method, Progress, RequestBody, RequestHead, Scheme, Upgrade, Version};

fn parse(bytes: &[u8]) -> Result<RequestHead, Fault> {
    parse_within(bytes, &HeadLimits::default())
}

fn parse_within(bytes: &[u8], limits: &HeadLimits) -> Result<RequestHead, Fault> {
    let mut head = RequestHead::default();
    match head.parse(bytes, limits)? {
        Progress::Complete(length) => assert_eq!(length, head.len as usize),
        Progress::Partial => panic!("incomplete: {}", bytes.escape_ascii()),
    }
    Ok(head)
}

/// A request with these lines besides the request line and `Host`.
fn with(lines: &str) -> Result<RequestHead, Fault> {
    parse(format!("POST / HTTP/1.1\r\nHost: h\r\n{lines}\r\n\r\n").as_bytes())
}

fn refused(lines: &str) -> Option<Fault> {
    with(lines).err()
}

#[test]
fn a_head_is_read_where_it_lies() {
    let bytes = b"GET /a/b?c=d&e HTTP/1.1\r\nhOST: example.com:8080\r\nX-Empty:\r\nx-odd:\t a \xff b\t \r\n\r\nrest";
    let head = parse(bytes).unwrap();
    assert_eq!(head.len as usize, bytes.len() - 4);
    assert_eq!((head.method, head.method_name.of(bytes)), (Method::Get, &b"GET"[..]));
    assert_eq!((head.target.form, head.target.whole.of(bytes)), (Form::Origin, &b"/a/b?c=d&e"[..]));
    assert_eq!(head.target.path.of(bytes), b"/a/b");
    assert_eq!(head.target.query.map(|query| query.of(bytes)), Some(&b"c=d&e"[..]));
    assert_eq!(head.line.of(bytes), b"GET /a/b?c=d&e HTTP/1.1\r\n");
    assert_eq!(head.host.map(|host| host.of(bytes)), Some(&b"example.com:8080"[..]));
    let lines: Vec<_> = head.fields.lines().iter().map(|line| (line.name.of(bytes), line.value.of(bytes))).collect();
    assert_eq!(lines, [(&b"hOST"[..], &b"example.com:8080"[..]), (b"X-Empty", b""), (b"x-odd", b"a \xff b")]);
    assert_eq!(head.fields.lines()[0].field, Field::Host);
    assert_eq!((head.version, head.body, head.keep_alive), (Version::Http11, RequestBody::None, true));
}

#[test]
fn a_head_without_fields_is_whole_too() {
    let bytes = b"GET / HTTP/1.0\r\n\r\n";
    let head = parse(bytes).unwrap();
    assert_eq!((head.version, head.host, head.keep_alive), (Version::Http10, None, false));
    assert_eq!(head.line.of(bytes), b"GET / HTTP/1.0\r\n");
    assert_eq!(head.fields.kept_len(), 0);
}

#[test]
fn request_line_is_method_space_target_space_version() {
    for (line, fault) in [
        ("GET /", Fault::BadRequestLine),
        ("GET  / HTTP/1.1", Fault::BadRequestLine),
        ("GET /  HTTP/1.1", Fault::BadVersion),
        ("GET / HTTP/1.1 ", Fault::BadRequestLine),
        ("GET\t/ HTTP/1.1", Fault::BadMethod),
        ("GET /\tHTTP/1.1", Fault::BadTarget),
        ("GET / http/1.1", Fault::BadVersion),
        ("GET / HTTP/11", Fault::BadVersion),
        ("GET / HTTP/1.", Fault::BadVersion),
        ("GET / HTTP/1.10", Fault::BadRequestLine),
        ("GET / HTTP/+1.1", Fault::BadVersion),
        ("GET / HTTP /1.1", Fault::BadVersion),
        ("GET / XTTP/1.1", Fault::BadVersion),
        ("GET / HTTP/1.2", Fault::UnsupportedVersion),
        ("GET / HTTP/0.9", Fault::UnsupportedVersion),
        ("GET / HTTP/2.0", Fault::UnsupportedVersion),
        ("PRI * HTTP/2.0", Fault::UnsupportedVersion),
        (" GET / HTTP/1.1", Fault::LeadingSpace),
        ("\tGET / HTTP/1.1", Fault::LeadingSpace),
        ("G@T / HTTP/1.1", Fault::BadMethod),
        ("G\u{e9}T / HTTP/1.1", Fault::BadMethod),
        ("\0GET / HTTP/1.1", Fault::BadMethod),
        ("GET: / HTTP/1.1", Fault::BadMethod),
    ] {
        let bytes = format!("{line}\r\nHost: h\r\n\r\n");
        assert_eq!(parse(bytes.as_bytes()).err(), Some(fault), "{line}");
    }
}

#[test]
fn any_token_is_a_method() {
    for (name, method) in
        [("get", Method::Other), ("M-SEARCH", Method::Other), ("GET", Method::Get), ("!#$%&'*+.^_`|~", Method::Other)]
    {
        let bytes = format!("{name} / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(parse(bytes.as_bytes()).map(|head| head.method), Ok(method), "{name}");
    }
}

#[test]
fn targets_have_one_of_four_forms() {
    let http = Form::Absolute(Scheme::Http);
    let https = Form::Absolute(Scheme::Https);
    for (method, target, form, authority, path, query) in [
        ("GET", "/", Form::Origin, "", "/", None),
        ("GET", "/?", Form::Origin, "", "/", Some("")),
        ("GET", "/a?b?c", Form::Origin, "", "/a", Some("b?c")),
        ("GET", "//x/y", Form::Origin, "", "//x/y", None),
        ("GET", "/a:b@c|{}\"<>[]^`\\", Form::Origin, "", "/a:b@c|{}\"<>[]^`\\", None),
        ("GET", "http://h/a?b", http, "h", "/a", Some("b")),
        ("GET", "HTTP://h:80/", http, "h:80", "/", None),
        ("GET", "https://[::1]:443/a", https, "[::1]:443", "/a", None),
        ("GET", "http://h", http, "h", "", None),
        ("GET", "http://h?q=/x", http, "h", "", Some("q=/x")),
        ("GET", "http://h/?http://g/", http, "h", "/", Some("http://g/")),
        ("OPTIONS", "*", Form::Asterisk, "", "", None),
        ("OPTIONS", "/", Form::Origin, "", "/", None),
        ("CONNECT", "h:443", Form::Authority, "h:443", "", None),
        ("CONNECT", "[::1]:443", Form::Authority, "[::1]:443", "", None),
    ] {
        let bytes = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let bytes = bytes.as_bytes();
        let read = parse(bytes).unwrap().target;
        assert_eq!((read.form, read.whole.of(bytes)), (form, target.as_bytes()), "{target}");
        assert_eq!(read.authority.of(bytes), authority.as_bytes(), "{target}");
        assert_eq!(read.path.of(bytes), path.as_bytes(), "{target}");
        assert_eq!(read.query.map(|query| query.of(bytes)), query.map(str::as_bytes), "{target}");
    }
}

#[test]
fn other_targets_are_refused() {
    for (method, target) in [
        ("GET", "*"),
        ("OPTIONS", "**"),
        ("GET", "a"),
        ("GET", "h:443"),
        ("GET", "?a"),
        ("GET", "/a#b"),
        ("GET", "/a?b#c"),
        ("GET", "/#"),
        ("GET", "/\u{e9}"),
        ("GET", "/\u{7f}"),
        ("GET", "/\0"),
        ("GET", "/\u{1}"),
        ("GET", "ftp://h/"),
        ("GET", "http:/h/"),
        ("GET", "http:///a"),
        ("GET", "http://"),
        ("GET", "http://?a"),
        ("GET", "http://u@h/"),
        ("GET", "http://u:p@h/"),
        ("GET", "http://h\\g/"),
        ("GET", "http://h,g/"),
        ("CONNECT", "/"),
        ("CONNECT", "h"),
        ("CONNECT", "http://h:80/"),
        ("CONNECT", "u@h:443"),
        ("CONNECT", "h:443?a"),
    ] {
        let bytes = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(parse(bytes.as_bytes()).err(), Some(Fault::BadTarget), "{method} {target}");
    }
}

#[test]
fn a_few_empty_lines_may_stand_in_front() {
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for count in 0..=4 {
        let bytes = format!("{}{request}", "\r\n".repeat(count));
        let head = parse(bytes.as_bytes()).unwrap();
        assert_eq!(head.len as usize, bytes.len());
        assert_eq!(head.line.of(bytes.as_bytes()), b"GET / HTTP/1.1\r\n");
    }
    for (before, fault) in [
        ("\r\n\r\n\r\n\r\n\r\n", Fault::LeadingLines),
        ("\n", Fault::BareLf),
        ("\r\n\n", Fault::BareLf),
        ("\r", Fault::BareCr),
        ("\r\n ", Fault::LeadingSpace),
        (" \r\n", Fault::LeadingSpace),
    ] {
        assert_eq!(parse(format!("{before}{request}").as_bytes()).err(), Some(fault), "{}", before.escape_debug());
    }
}

#[test]
fn lines_end_with_crlf_and_nothing_else() {
    for (bytes, fault) in [
        ("GET / HTTP/1.1\nHost: h\r\n\r\n", Fault::BareLf),
        ("GET / HTTP/1.1\r\nHost: h\n\r\n", Fault::BareLf),
        ("GET / HTTP/1.1\r\nHost: h\r\nA:\n\r\n", Fault::BareLf),
        ("GET / HTTP/1.1\r\nHost: h\r\nA: b\nB: c\r\n\r\n", Fault::BareLf),
        ("GET / HTTP/1.1\r\nHost: h\r\n\n", Fault::BareLf),
        ("GET / HTTP/1.0\r\n\n", Fault::BareLf),
        ("GET / HTTP/1.0\n\r\n", Fault::BareLf),
        ("GET / HTTP/1.0\n\n", Fault::BareLf),
        ("GET / HTTP/1.1\rHost: h\r\n\r\n", Fault::BareCr),
        ("GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n", Fault::BareCr),
        ("GET / HTTP/1.1\r\nHost: h\r\r\n\r\n", Fault::BareCr),
        ("GET / HTTP/1.1\r\nHost: h\r\n\rA: b\r\n\r\n", Fault::BareCr),
    ] {
        assert_eq!(parse(bytes.as_bytes()).err(), Some(fault), "{}", bytes.escape_debug());
    }
}

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
        ("Content-Length: 18446744073709551615", Ok(RequestBody::Length(u64::MAX))),
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
    assert!(!old.expects_continue);
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

#[test]
fn limits_are_exact_and_each_has_its_own_fault() {
    let head = |target: usize, fields: usize| {
        let lines: String = (1..fields).map(|n| format!("A{n}: b\r\n")).collect();
        format!("GET {} HTTP/1.1\r\nHost: h\r\n{lines}\r\n", "/".repeat(target)).into_bytes()
    };
    let limits = HeadLimits { bytes: 1000, fields: 5, target_bytes: 100 };
    assert!(parse_within(&head(100, 5), &limits).is_ok());
    assert_eq!(parse_within(&head(101, 5), &limits).err(), Some(Fault::TargetTooLong));
    assert_eq!(parse_within(&head(100, 6), &limits).err(), Some(Fault::TooManyFields));
    let whole = head(50, 5);
    let exact = HeadLimits { bytes: whole.len() as u32, ..limits };
    assert!(parse_within(&whole, &exact).is_ok());
    let tight = HeadLimits { bytes: exact.bytes - 1, ..limits };
    assert_eq!(parse_within(&whole, &tight).err(), Some(Fault::HeadTooLarge));
    let most = HeadLimits { bytes: u32::MAX, fields: u16::MAX, target_bytes: u32::MAX };
    assert!(parse_within(&head(70_000, 512), &most).is_ok());
    assert_eq!(parse_within(&head(1, 513), &most).err(), Some(Fault::TooManyFields));
}

#[test]
fn faults_have_words_and_statuses() {
    for (fault, status, word) in [
        (Fault::HeadTooLarge, 431, "head_too_large"),
        (Fault::TooManyFields, 431, "too_many_fields"),
        (Fault::TargetTooLong, 414, "target_too_long"),
        (Fault::BodyTooLarge, 413, "body_too_large"),
        (Fault::UnknownExpectation, 417, "unknown_expectation"),
        (Fault::UnknownTransferCoding, 501, "unknown_transfer_coding"),
        (Fault::UnsupportedVersion, 505, "unsupported_version"),
        (Fault::BareLf, 400, "bare_lf"),
    ] {
        assert_eq!((fault.request_status(), fault.word()), (status, word));
    }
}

#[test]
fn a_slow_head_is_faulted_before_its_end() {
    let mut head = RequestHead::default();
    let limits = HeadLimits::default();
    let bytes = [b"GET /".to_vec(), vec![b'a'; 20_000]].concat();
    let faulty = (1..=bytes.len()).find(|end| head.parse(&bytes[..*end], &limits) != Ok(Progress::Partial));
    // The head is parsed whenever it has doubled.
    assert_eq!(faulty, Some(16 << 10));
    assert_eq!(head.parse(&bytes[..16 << 10], &limits), Err(Fault::TargetTooLong));
}

#[test]
fn a_head_is_used_again() {
    let mut head = RequestHead::default();
    let limits = HeadLimits::default();
    let first = b"POST /a?b HTTP/1.0\r\nConnection: keep-alive\r\nExpect: x\r\nTE: trailers\r\n\r\n";
    assert_eq!(head.parse(first, &limits), Err(Fault::UnknownExpectation));
    assert_eq!(head.parse(b"GET ", &limits), Ok(Progress::Partial));
    head.forget();
    let second = b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(head.parse(second, &limits), Ok(Progress::Complete(second.len())));
    assert_eq!((head.method, head.version, head.target.form), (Method::Options, Version::Http11, Form::Asterisk));
    assert!(head.keep_alive && !head.takes_trailers && head.fields.lines().len() == 1);
}
