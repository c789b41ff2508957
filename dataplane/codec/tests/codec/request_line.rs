//! What the request line and the lines of a head must be, rule by rule.

use http1::{Fault, Field, Form, HeadLimits, Method, Progress, RequestBody, RequestHead, Scheme, Version};

use crate::parse::{parse, parse_within};

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
