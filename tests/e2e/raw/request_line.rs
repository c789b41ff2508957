//! The request line and the forms of its target.

use super::{
    case::{Case, forwarded},
    message::{SMUGGLED, get},
    table,
};

#[test]
fn request_lines_have_one_reading() {
    table::run(cases());
}

pub(super) fn cases() -> Vec<Case> {
    refused().into_iter().chain(targets()).chain(passed()).collect()
}

fn refused() -> Vec<Case> {
    let rows: &[(&str, &str, &str, u16, &str)] = &[
        ("RFC 9112 §3", "two spaces behind the method", "GET  / HTTP/1.1", 400, "bad_request_line"),
        ("RFC 9112 §3", "two spaces before the version", "GET /  HTTP/1.1", 400, "bad_version"),
        ("RFC 9112 §3", "tabs for spaces", "GET\t/\tHTTP/1.1", 400, "bad_method"),
        ("CVE-2016-8743 Apache", "a vertical tab for a space", "GET\x0b/ HTTP/1.1", 400, "bad_method"),
        ("CVE-2016-8743 Apache", "a form feed before the version", "GET /\x0cHTTP/1.1", 400, "bad_target"),
        ("RFC 9112 §3", "a space behind the version", "GET / HTTP/1.1 ", 400, "bad_request_line"),
        ("RFC 9112 §2.2", "a space in front", " GET / HTTP/1.1", 400, "leading_space"),
        ("CVE-2017-7656 Jetty", "HTTP/0.9", "GET /", 400, "bad_request_line"),
        ("RFC 9112 §3", "no target", "GET HTTP/1.1", 400, "bad_request_line"),
        ("RFC 9112 §3", "a method alone", "GET", 400, "bad_method"),
        ("RFC 9110 §9.1", "a method that is no token", "G<T / HTTP/1.1", 400, "bad_method"),
        ("RFC 9110 §9.1", "a method in quotes", "\"GET\" / HTTP/1.1", 400, "bad_method"),
        ("RFC 9110 §9.1", "a method with a colon, like a field", "Host: h HTTP/1.1", 400, "bad_method"),
        ("RFC 9110 §9.1", "a method with a NUL", "GET\0 / HTTP/1.1", 400, "bad_method"),
        ("RFC 9112 §2.3", "something behind the version", "GET / HTTP/1.1x", 400, "bad_request_line"),
        ("RFC 9112 §2.3", "a minor version of two digits", "GET / HTTP/1.10", 400, "bad_request_line"),
        ("RFC 9112 §2.3", "a lower-case version", "GET / http/1.1", 400, "bad_version"),
        ("RFC 9112 §2.3", "a comma in the version", "GET / HTTP/1,1", 400, "bad_version"),
        ("RFC 9112 §2.3", "no minor version", "GET / HTTP/1", 400, "bad_version"),
        ("RFC 9112 §2.3", "another protocol", "GET / RTSP/1.0", 400, "bad_version"),
        ("RFC 9110 §15.6.6", "version 2.0", "GET / HTTP/2.0", 505, "unsupported_version"),
        ("RFC 9110 §15.6.6", "version 1.2", "GET / HTTP/1.2", 505, "unsupported_version"),
        ("RFC 9110 §15.6.6", "version 0.9", "GET / HTTP/0.9", 505, "unsupported_version"),
        ("CVE-2013-4547 nginx", "a raw space in the target", "GET /a /../b HTTP/1.1", 400, "bad_version"),
        ("CVE-2023-45539 HAProxy", "a fragment in the target", "GET /a#.png HTTP/1.1", 400, "bad_target"),
        ("CVE-2023-47106 Traefik", "a fragment behind the query", "GET /?a#b HTTP/1.1", 400, "bad_target"),
        ("RFC 9112 §3.2", "a NUL in the target", "GET /a\0b HTTP/1.1", 400, "bad_target"),
        ("RFC 9112 §3.2", "DEL in the target", "GET /\x7f HTTP/1.1", 400, "bad_target"),
        ("RFC 9112 §3.2", "a letter that is not ASCII in the target", "GET /é HTTP/1.1", 400, "bad_target"),
        ("RFC 9112 §3.2", "the same in the query", "GET /?é HTTP/1.1", 400, "bad_target"),
        ("CVE-2023-25690 Apache", "a CR in the target", "GET /a\rb HTTP/1.1", 400, "bad_request_line"),
    ];
    let lines = rows.iter().map(|(source, what, line, status, detail)| {
        Case::refused(source, *what, format!("{line}\r\nHost: h\r\n\r\n"), *status, detail)
    });
    let whole: &[(&str, &str, &[u8], u16, &str)] = &[
        ("RFC 9113 §3.4", "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "unsupported_version"),
        ("CVE-2019-16785 Waitress", "lines that end with LF", b"GET / HTTP/1.1\nHost: h\n\n", 400, "bare_lf"),
        ("RFC 9112 §2.2", "lines that end with CR", b"GET / HTTP/1.1\rHost: h\r\r", 400, "bare_cr"),
        ("RFC 9112 §2.2", "LF in front", b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bare_lf"),
        ("RFC 9112 §2.2", "CR in front", b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bare_cr"),
        (
            "RFC 9112 §2.2",
            "five empty lines in front",
            b"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
            400,
            "leading_lines",
        ),
        ("RFC 8446 §4", "TLS on a plain listener", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "bad_method"),
        ("cross-protocol", "mail", b"EHLO h\r\n", 400, "bad_request_line"),
        ("PROXY protocol", "which is not spoken here", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", 400, "bad_version"),
        ("PROXY protocol 2", "the same", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 400, "bad_method"),
        (
            "RFC 9112 §3",
            "a byte order mark in front",
            b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: h\r\n\r\n",
            400,
            "bad_method",
        ),
    ];
    let whole =
        whole.iter().map(|(source, what, bytes, status, detail)| Case::refused(source, *what, bytes, *status, detail));
    lines.chain(whole).collect()
}

fn targets() -> Vec<Case> {
    let refused: &[(&str, &str, &str, &str)] = &[
        ("RFC 9112 §3.2.4", "'*' with another method than OPTIONS", "GET *", "bad_target"),
        ("RFC 9112 §3.2.4", "'*' with more behind it", "OPTIONS */a", "bad_target"),
        ("RFC 9112 §3.2.1", "no slash", "GET a", "bad_target"),
        ("RFC 9112 §3.2.1", "no slash but an at sign, as in SSRF by concatenation", "GET @evil/", "bad_target"),
        ("RFC 9112 §3.2.1", "a query alone", "GET ?a", "bad_target"),
        ("RFC 9112 §3.2.1", "an escaped slash alone", "GET %2Fa", "bad_target"),
        ("RFC 9112 §3.2.3", "authority form with GET", "GET h:80", "bad_target"),
        ("RFC 9112 §3.2.2", "another scheme", "GET ftp://h/", "bad_target"),
        ("CVE-2021-40438 Apache", "a scheme that names a socket", "GET unix:/run/x|http://h/", "bad_target"),
        ("RFC 3986 §3", "one slash behind the scheme", "GET http:/h/", "bad_target"),
        ("RFC 9110 §4.2.1", "no authority", "GET http:///a", "bad_target"),
        ("RFC 9110 §4.2.1", "a query in place of the authority", "GET http://?a", "bad_target"),
        ("RFC 9110 §4.2.4", "a user in the authority", "GET http://u@h/", "bad_target"),
        ("RFC 9110 §4.2.4", "a user and password", "GET http://u:p@h/", "bad_target"),
        ("RFC 3986 §3.2.2", "a backslash in the authority", "GET http://h\\evil/", "bad_target"),
        ("Host header attacks", "another authority than Host", "GET http://evil/", "host_contradicts_target"),
        ("Host header attacks", "another port than Host", "GET http://h:81/", "host_contradicts_target"),
        ("Host header attacks", "Host as the prefix of the authority", "GET http://h.evil/", "host_contradicts_target"),
        ("RFC 9110 §4.2.2", "the port of the other scheme", "GET http://h:443/", "host_contradicts_target"),
    ];
    refused
        .iter()
        .map(|(source, what, line, detail)| {
            Case::refused(source, *what, format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n"), 400, detail)
        })
        .collect()
}

fn passed() -> Vec<Case> {
    let rows: &[(&str, &str, &str, &str)] = &[
        ("RFC 9110 §9.1", "a method in lower case is another method", "get /", "get /"),
        ("RFC 9110 §9.1", "a method that nobody knows", "BREW /pot", "BREW /pot"),
        ("RFC 9110 §9.1", "a method of odd token bytes", "!#$%&'*+-.^_`|~ /", "!#$%&'*+-.^_`|~ /"),
        ("RFC 9112 §3.2.2", "absolute form", "GET http://h/a?b", "GET /a?b"),
        ("RFC 9112 §3.2.2", "absolute form without path", "GET http://h", "GET /"),
        ("RFC 9112 §3.2.2", "absolute form with a query alone", "GET http://h?a", "GET /?a"),
        ("RFC 3986 §3.1", "a scheme in upper case", "GET HTTP://h/", "GET /"),
        ("RFC 9110 §4.2.3", "the scheme's own port", "GET http://h:80/", "GET /"),
        ("RFC 9110 §4.2.3", "an authority in another case", "GET http://H/", "GET /"),
        ("RFC 9112 §3.2.4", "'*'", "OPTIONS *", "OPTIONS *"),
        ("RFC 9112 §3.2.4", "absolute form with OPTIONS and no path", "OPTIONS http://h", "OPTIONS *"),
        ("RFC 9112 §3.2.4", "absolute form with OPTIONS and a slash", "OPTIONS http://h/", "OPTIONS /"),
        ("RFC 9112 §3.2.4", "absolute form with OPTIONS and a query", "OPTIONS http://h?a", "OPTIONS /?a"),
    ];
    let lines = rows.iter().map(|(source, what, line, seen)| {
        let bytes = format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n");
        Case::passed(source, *what, bytes, forwarded(format!("{seen} HTTP/1.1")))
    });
    let lead = |count: usize| format!("{}{}", "\r\n".repeat(count), get(""));
    let whole = [
        Case::passed("RFC 9112 §2.2", "an empty line in front", lead(1), forwarded("GET / HTTP/1.1")),
        Case::passed("RFC 9112 §2.2", "four empty lines in front", lead(4), forwarded("GET / HTTP/1.1")),
        Case::refused(
            "request splitting",
            "a request in the target",
            format!("GET / HTTP/1.1\r\n{SMUGGLED}"),
            400,
            "space_before_colon",
        ),
    ];
    lines.chain(whole).collect()
}
