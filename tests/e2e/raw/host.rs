//! `Host`: one, and one reading of it.

use super::{
    case::{Case, forwarded},
    table,
};

#[test]
fn a_request_has_one_host() {
    table::run(cases());
}

pub(super) fn cases() -> Vec<Case> {
    refused().into_iter().chain(passed()).collect()
}

fn refused() -> Vec<Case> {
    let lines: &[(&str, &str, &str, &str)] = &[
        ("RFC 9112 §3.2", "none", "X: 1", "missing_host"),
        ("RFC 9112 §3.2", "two that agree", "Host: h\r\nHost: h", "repeated_host"),
        ("Host header attacks", "two that differ", "Host: h\r\nHost: evil", "repeated_host"),
        ("Host header attacks", "two spellings of the name", "Host: h\r\nhOST: evil", "repeated_host"),
        ("Host header attacks", "a second one that is empty", "Host: h\r\nHost:", "repeated_host"),
        ("Host header attacks", "a second one behind a space", "Host: h\r\n Host: evil", "obs_fold"),
        ("Host header attacks", "a first one behind a space", " Host: evil\r\nHost: h", "leading_space"),
        (
            "Host header attacks",
            "a first one with a space before its colon",
            "Host : evil\r\nHost: h",
            "space_before_colon",
        ),
    ];
    let values: &[(&str, &str, &[u8], &str)] = &[
        ("RFC 9110 §7.2", "a list", b"h, evil", "bad_host"),
        ("RFC 9110 §7.2", "two words", b"h evil", "bad_host"),
        ("RFC 9110 §7.2", "a user", b"u@h", "bad_host"),
        ("Host header attacks", "a port that hides a user", b"h:80@evil", "bad_host"),
        ("RFC 9110 §7.2", "a path", b"h/evil", "bad_host"),
        ("RFC 9110 §7.2", "a query", b"h?evil", "bad_host"),
        ("RFC 9110 §7.2", "a fragment", b"h#evil", "bad_host"),
        ("RFC 9110 §7.2", "a whole URI", b"http://h", "bad_host"),
        ("RFC 9110 §7.2", "a backslash", b"h\\evil", "bad_host"),
        ("RFC 9110 §7.2", "a quote", b"h\"evil", "bad_host"),
        ("RFC 9110 §7.2", "markup", b"<h>", "bad_host"),
        ("RFC 9110 §7.2", "a byte that is not ASCII", b"h\xe9", "bad_host"),
        ("RFC 9110 §5.5", "a NUL", b"h\0evil", "control_byte"),
        ("RFC 3986 §3.2.2", "an escape", b"%68", "host_forbidden_byte"),
        ("RFC 3986 §3.2.2", "a semicolon", b"h;evil", "host_forbidden_byte"),
        ("RFC 3986 §3.2.2", "a star", b"*.h", "host_forbidden_byte"),
        ("RFC 1123 §2.1", "an empty label", b"h..evil", "host_empty_label"),
        ("RFC 1123 §2.1", "a dot in front", b".h", "host_empty_label"),
        ("RFC 1123 §2.1", "two dots behind", b"h..", "host_empty_label"),
        ("RFC 1123 §2.1", "a dot alone", b".", "host_empty"),
        ("RFC 3986 §3.2.3", "a port alone", b":80", "host_empty"),
        ("RFC 3986 §3.2.3", "two ports", b"h:80:81", "host_bad_port"),
        ("RFC 3986 §3.2.3", "a port above 65535", b"h:65536", "host_bad_port"),
        ("RFC 3986 §3.2.3", "a port that is no number", b"h:http", "host_bad_port"),
        ("RFC 3986 §3.2.3", "a negative port", b"h:-1", "host_bad_port"),
        ("RFC 3986 §3.2.3", "a signed port", b"h:+80", "host_bad_port"),
        ("RFC 3986 §3.2.2", "a bracket that is not closed", b"[::1", "host_bad_address"),
        ("RFC 3986 §3.2.2", "a name in brackets", b"[evil]", "host_bad_address"),
        ("RFC 6874", "an address with a zone", b"[fe80::1%25lo]", "host_bad_address"),
        ("RFC 3986 §3.2.2", "something behind a bracket", b"[::1]evil", "host_bad_port"),
        ("RFC 3986 §3.2.2", "an address without brackets", b"::1", "host_bad_port"),
    ];
    let long = format!("{}h", "h.".repeat(127));
    let too_long = Case::refused("RFC 1035 §3.1", "255 bytes", with(format!("Host: {long}")), 400, "host_too_long");
    let lines = lines.iter().map(|(source, what, line, detail)| Case::refused(source, *what, with(line), 400, detail));
    let values = values.iter().map(|(source, what, value, detail)| {
        Case::refused(source, *what, with([b"Host: ", *value].concat()), 400, detail)
    });
    lines.chain(values).chain([too_long]).collect()
}

fn passed() -> Vec<Case> {
    let rows: &[(&str, &str, &str, &str)] = &[
        ("RFC 9110 §7.2", "case and port stay as they came", "Host: H.Example:81", "Host: H.Example:81"),
        ("RFC 9112 §5.1", "no space behind the colon", "Host:h", "Host: h"),
        ("RFC 9112 §5.1", "white space around it", "Host: \t h \t", "Host: h"),
        ("RFC 9110 §7.2", "a final dot", "Host: h.", "Host: h."),
        ("RFC 3986 §3.2.3", "an empty port", "Host: h:", "Host: h:"),
        ("RFC 3986 §3.2.2", "an IPv6 address", "Host: [::1]:80", "Host: [::1]:80"),
        ("RFC 3986 §3.2.2", "an IPv4 address", "Host: 192.0.2.1", "Host: 192.0.2.1"),
        ("RFC 9110 §7.2", "an underscore, which names in the field have", "Host: a_b", "Host: a_b"),
        ("RFC 9112 §3.2", "it is sent first", "X: 1\r\nHost: h", "Host: h\r\nX: 1"),
    ];
    let rows = rows.iter().map(|(source, what, line, seen)| {
        Case::passed(source, *what, with(line), forwarded("GET / HTTP/1.1").has(&[seen]))
    });
    let whole = [
        Case::passed("RFC 9112 §3.2", "an empty one names no host", with("Host:"), forwarded("GET / HTTP/1.1")),
        Case::passed(
            "RFC 9112 §3.2.2",
            "an absolute target makes it anew",
            "GET http://H:80/ HTTP/1.1\r\nHost: h\r\n\r\n",
            forwarded("GET / HTTP/1.1").has(&["Host: H:80"]),
        ),
    ];
    rows.chain(whole).collect()
}

/// `GET /` with these lines.
fn with(lines: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\n", lines.as_ref(), b"\r\n\r\n"].concat()
}
