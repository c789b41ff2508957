//! §8.2: fields of requests.

use harness::h2::{Frame, code::*, encode_fields, flag, kind};

use super::{
    case::{
        Case,
        Outcome::{Answered, Reset},
        case,
    },
    message::{EVIL, get_with, headers, post, pseudo},
    table,
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (section, what, field) in [
        ("§8.2.2", "Connection", ("connection", "close")),
        ("§8.2.2", "Connection that names a field", ("connection", "x-hop")),
        ("§8.2.2", "an empty Connection", ("connection", "")),
        ("§8.2.2", "Proxy-Connection", ("proxy-connection", "keep-alive")),
        ("§8.2.2", "Keep-Alive", ("keep-alive", "timeout=5")),
        ("§8.2.2", "Transfer-Encoding", ("transfer-encoding", "chunked")),
        ("§8.2.2", "Transfer-Encoding of identity", ("transfer-encoding", "identity")),
        ("§8.2.2", "Upgrade", ("upgrade", "h2c")),
        ("§8.2.2", "TE of anything but trailers", ("te", "gzip")),
        ("§8.2.2", "TE of trailers and more", ("te", "trailers, deflate")),
        ("§8.2.1", "a space before a value", ("x", " 1")),
        ("§8.2.1", "a space behind a value", ("x", "1 ")),
        ("§8.2.1", "a tab before a value", ("x", "\t1")),
        ("§8.2.1", "a tab behind a value", ("x", "1\t")),
        ("§8.2.1", "nothing but a space", ("x", " ")),
    ] {
        cases.push(case(section, what, &[get_with(1, EVIL, &[field])], Reset(&[PROTOCOL_ERROR])));
    }
    for (what, name) in [
        ("upper case", "X-Upper"),
        ("a space", "x y"),
        ("a colon", "x:y"),
        ("a line break", "x\r\ny"),
        ("NUL", "x\0"),
        ("a tab", "x\ty"),
        ("DEL", "x\x7f"),
        ("a byte above 0x7f", "x\u{e9}"),
        ("nothing", ""),
        ("a bracket", "x[1]"),
    ] {
        let what = format!("{what} as or in a name");
        cases.push(case("§8.2.1", what, &[get_with(1, EVIL, &[(name, "1")])], Reset(&[PROTOCOL_ERROR])));
    }
    for (what, value) in
        [("a line feed", "a\nb"), ("a carriage return", "a\rb"), ("a whole line", "a\r\nb: c"), ("NUL", "a\0b")]
    {
        let what = format!("{what} in a value");
        cases.push(case("§8.2.1", what, &[get_with(1, EVIL, &[("x", value)])], Reset(&[PROTOCOL_ERROR])));
        let what = format!("{value:?} in the path");
        let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", value)];
        cases.push(case("§8.2.1", what, &[headers(1, &fields, flag::END_STREAM)], Reset(&[PROTOCOL_ERROR])));
    }
    for (what, fields) in [
        ("Connection", [("connection", "close"), ("x", "1")]),
        ("Transfer-Encoding", [("transfer-encoding", "chunked"), ("x", "1")]),
    ] {
        let frames = [post(1, EVIL, &[]), headers(1, &fields, flag::END_STREAM)];
        cases.push(case("§8.2.2", format!("{what} in trailers"), &frames, Reset(&[PROTOCOL_ERROR])));
    }
    let frames = [post(1, EVIL, &[]), headers(1, &[("content-length", "5")], flag::END_STREAM)];
    cases.push(case("RFC 9110 §6.5.1", "a length in trailers", &frames, Answered(400)));
    let frames = [post(1, EVIL, &[]), headers(1, &[("X-Upper", "1")], flag::END_STREAM)];
    cases.push(case("§8.2.1", "upper case in trailers", &frames, Reset(&[PROTOCOL_ERROR])));
    cases.extend(served());
    cases
}

fn served() -> Vec<Case> {
    let line = "GET /fine HTTP/1.1";
    let with = |section, what: &str, fields: &[(&str, &str)], lines: &[&'static str]| {
        case(section, what, &[get_with(1, "/fine", fields)], Answered(200)).forwards(&[&[line], lines].concat())
    };
    let latin = Frame::new(
        kind::HEADERS,
        flag::END_HEADERS | flag::END_STREAM,
        1,
        [&encode_fields(&pseudo("GET", "/fine"))[..], &[0, 1, b'x', 3, b'a', 0xe9, b'b']].concat(),
    );
    vec![
        with("§8.2.2", "TE of trailers", &[("te", "trailers")], &["te: trailers"]),
        with(
            "§8.2.3",
            "crumbs of a cookie",
            &[("cookie", "a=1"), ("x", "1"), ("cookie", "b=2"), ("cookie", "c=3")],
            &["cookie: a=1; b=2; c=3"],
        ),
        with("§8.2.3", "one cookie", &[("cookie", "a=1; b=2")], &["cookie: a=1; b=2"]),
        with("§8.2.1", "an empty value", &[("x", "")], &["x: "]),
        with("§8.2.1", "spaces and tabs within a value", &[("x", "a \t b")], &["x: a \t b"]),
        with("§8.2.1", "a colon in a value", &[("x", "a: b")], &["x: a: b"]),
        with("§8.2.1", "all characters of names", &[("!#$%&'*+-.^_`|~09az", "1")], &["!#$%&'*+-.^_`|~09az: 1"]),
        with("§8.1", "a field twice, in its order", &[("x", "1"), ("y", "2"), ("x", "3")], &["x: 1", "x: 3", "y: 2"]),
        case("§8.2.1", "a byte above 0x7f in a value", &[latin], Answered(200)),
        with(
            "§8.2",
            "Via and the forwarded address are ours",
            &[("x-forwarded-for", "6.6.6.6")],
            &["via: 2 tidegate", "!x-forwarded-for: 6.6.6.6", "x-forwarded-for: 127.0.0.1"],
        ),
    ]
}

#[test]
fn fields() {
    table::run(&cases());
}
