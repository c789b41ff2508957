//! §8.3 and §8.5: pseudo-fields of requests.

use harness::h2::{code::*, flag};

use super::{
    case::{
        Case,
        Outcome::{Answered, Reset},
        case,
    },
    message::{EVIL, get_with, headers, last_data, post, pseudo},
    table,
};

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "h");
const PATH: (&str, &str) = (":path", EVIL);
const FIELD: (&str, &str) = ("x", "1");

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (section, what, fields) in [
        ("§8.3.1", "no method", vec![SCHEME, AUTHORITY, PATH]),
        ("§8.3.1", "no scheme", vec![METHOD, AUTHORITY, PATH]),
        ("§8.3.1", "no path", vec![METHOD, SCHEME, AUTHORITY]),
        ("§8.3.1", "nothing but fields", vec![("host", "h"), FIELD]),
        ("§8.3.1", "neither authority nor Host", vec![METHOD, SCHEME, PATH]),
        ("§8.3.1", "an empty path", vec![METHOD, SCHEME, AUTHORITY, (":path", "")]),
        ("§8.3.1", "an empty authority", vec![METHOD, SCHEME, (":authority", ""), PATH]),
        ("§8.3.1", "an empty authority, and Host", vec![METHOD, SCHEME, (":authority", ""), PATH, ("host", "h")]),
        ("§8.3.1", "a path without a slash", vec![METHOD, SCHEME, AUTHORITY, (":path", "evil")]),
        ("§8.3.1", "a whole URI as the path", vec![METHOD, SCHEME, AUTHORITY, (":path", "http://h/evil")]),
        ("§8.3.1", "* with GET", vec![METHOD, SCHEME, AUTHORITY, (":path", "*")]),
        ("§8.3.1", "a space in the path", vec![METHOD, SCHEME, AUTHORITY, (":path", "/evil HTTP/1.1")]),
        ("§8.3.1", "user information", vec![METHOD, SCHEME, (":authority", "user@h"), PATH]),
        ("§8.3.1", "a space in the authority", vec![METHOD, SCHEME, (":authority", "h h"), PATH]),
        ("§8.3.1", "a slash in the authority", vec![METHOD, SCHEME, (":authority", "h/x"), PATH]),
        ("§8.3.1", "a scheme that is none", vec![METHOD, (":scheme", "ht tp"), AUTHORITY, PATH]),
        ("§8.3.1", "Host says otherwise", vec![METHOD, SCHEME, AUTHORITY, PATH, ("host", "other")]),
        ("§8.3.1", "Host says another port", vec![METHOD, SCHEME, AUTHORITY, PATH, ("host", "h:8080")]),
        ("§8.3.1", "Host twice", vec![METHOD, SCHEME, AUTHORITY, PATH, ("host", "h"), ("host", "h")]),
        ("§8.3", "the method twice", vec![METHOD, METHOD, SCHEME, AUTHORITY, PATH]),
        ("§8.3", "two methods", vec![METHOD, (":method", "POST"), SCHEME, AUTHORITY, PATH]),
        ("§8.3", "the scheme twice", vec![METHOD, SCHEME, SCHEME, AUTHORITY, PATH]),
        ("§8.3", "the authority twice", vec![METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH]),
        ("§8.3", "the path twice", vec![METHOD, SCHEME, AUTHORITY, PATH, PATH]),
        ("§8.3", "a method behind a field", vec![SCHEME, AUTHORITY, PATH, FIELD, METHOD]),
        ("§8.3", "a path behind a field", vec![METHOD, SCHEME, AUTHORITY, FIELD, PATH]),
        ("§8.3", "an authority behind a field", vec![METHOD, SCHEME, PATH, FIELD, AUTHORITY]),
        ("§8.3", "a pseudo-field of responses", vec![METHOD, SCHEME, AUTHORITY, PATH, (":status", "200")]),
        (
            "RFC 8441 §4",
            "a protocol, which was not advertised",
            vec![METHOD, SCHEME, AUTHORITY, PATH, (":protocol", "websocket")],
        ),
        (
            "RFC 8441 §4",
            "extended CONNECT, which was not advertised",
            vec![(":method", "CONNECT"), SCHEME, AUTHORITY, PATH, (":protocol", "websocket")],
        ),
        ("§8.5", "CONNECT with a path", vec![(":method", "CONNECT"), AUTHORITY, PATH]),
        ("§8.5", "CONNECT with a scheme", vec![(":method", "CONNECT"), SCHEME, AUTHORITY]),
        ("§8.5", "CONNECT without an authority", vec![(":method", "CONNECT")]),
        ("§8.5", "CONNECT with nothing but Host", vec![(":method", "CONNECT"), ("host", "h:1")]),
    ] {
        cases.push(case(section, what, &[headers(1, &fields, flag::END_STREAM)], Reset(&[PROTOCOL_ERROR])));
    }
    for (section, what, field) in [
        ("§8.3", "a pseudo-field that nobody knows", (":unknown", "1")),
        ("§8.3", "a pseudo-field without a name", (":", "1")),
        ("§8.3", "a pseudo-field in upper case", (":Method", "GET")),
    ] {
        cases.push(case(section, what, &[get_with(1, EVIL, &[field])], Reset(&[PROTOCOL_ERROR])));
    }
    for (what, method) in [("an empty method", ""), ("a space in the method", "GET /x")] {
        let fields = [(":method", method), SCHEME, AUTHORITY, PATH];
        let head = headers(1, &fields, flag::END_STREAM);
        cases.push(case("§8.3.1", what, &[head], Reset(&[PROTOCOL_ERROR])));
    }
    let fragment = get_with(1, "/evil#fragment", &[]);
    cases.push(case("§8.3.1", "a fragment", &[fragment], Reset(&[PROTOCOL_ERROR])));
    let frames = [post(1, EVIL, &[]), headers(1, &[PATH, FIELD], flag::END_STREAM)];
    cases.push(case("§8.1", "a path in trailers, before a field", &frames, Reset(&[PROTOCOL_ERROR])));
    for (what, field) in [
        ("the method", METHOD),
        ("the path", PATH),
        ("the authority", AUTHORITY),
        ("the scheme", SCHEME),
        ("a status", (":status", "200")),
    ] {
        let frames = [post(1, EVIL, &[]), headers(1, &[FIELD, field], flag::END_STREAM)];
        cases.push(case("§8.1", format!("{what} in trailers, behind a field"), &frames, Reset(&[PROTOCOL_ERROR])));
    }
    let served = |section, what: &str, fields: &[(&str, &str)], lines: &[&'static str]| {
        case(section, what, &[headers(1, fields, flag::END_STREAM)], Answered(200)).forwards(lines)
    };
    let fine = (":path", "/fine");
    cases.extend([
        served(
            "§8.3.1",
            "the authority and Host agree",
            &[METHOD, SCHEME, AUTHORITY, fine, ("host", "H")],
            &["GET /fine HTTP/1.1", "host: h"],
        ),
        served(
            "§8.3.1",
            "Host instead of the authority",
            &[METHOD, SCHEME, fine, ("host", "from-host")],
            &["GET /fine HTTP/1.1", "host: from-host"],
        ),
        served(
            "§8.3.1",
            "pseudo-fields in another order",
            &[fine, AUTHORITY, SCHEME, METHOD],
            &["GET /fine HTTP/1.1", "host: h"],
        ),
        served(
            "§8.3.1",
            "an authority with a port",
            &[METHOD, SCHEME, (":authority", "h:8080"), fine],
            &["GET /fine HTTP/1.1", "host: h:8080"],
        ),
        served(
            "§8.3.1",
            "an IPv6 address",
            &[METHOD, SCHEME, (":authority", "[::1]:80"), fine],
            &["GET /fine HTTP/1.1", "host: [::1]:80"],
        ),
        served(
            "§8.3.1",
            "a query",
            &[METHOD, SCHEME, AUTHORITY, (":path", "/fine?a=b&c=%20")],
            &["GET /fine?a=b&c=%20 HTTP/1.1"],
        ),
        served(
            "§8.3.1",
            "OPTIONS of the server",
            &[(":method", "OPTIONS"), SCHEME, AUTHORITY, (":path", "*")],
            &["OPTIONS * HTTP/1.1"],
        ),
        served(
            "§8.3.1",
            "a method that nobody knows",
            &[(":method", "BREW"), SCHEME, AUTHORITY, fine],
            &["BREW /fine HTTP/1.1"],
        ),
        served(
            "§8.3.1",
            "the scheme https, from a client that TLS ends before",
            &[METHOD, (":scheme", "https"), AUTHORITY, fine],
            &["GET /fine HTTP/1.1"],
        ),
        case(
            "§8.5",
            "CONNECT, which is not offered",
            &[headers(1, &[(":method", "CONNECT"), (":authority", "h:1")], flag::END_STREAM)],
            Answered(405),
        ),
        case(
            "§8.5",
            "CONNECT with a body",
            &[headers(1, &[(":method", "CONNECT"), (":authority", "h:1")], flag::NONE), last_data(1, "x")],
            Answered(405),
        ),
        case(
            "§8.3",
            "a pseudo-field in an earlier frame of the block",
            &[headers(1, &pseudo("GET", "/fine"), flag::END_STREAM)],
            Answered(200),
        ),
    ]);
    cases
}

#[test]
fn pseudo_fields() {
    table::run(&cases());
}
