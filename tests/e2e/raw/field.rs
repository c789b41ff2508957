//! How header lines are written.

use super::{
    case::{Case, forwarded},
    table,
};

#[test]
fn header_lines_have_one_reading() {
    table::run(cases());
}

pub(super) fn cases() -> Vec<Case> {
    refused().into_iter().chain(passed()).collect()
}

fn refused() -> Vec<Case> {
    let rows: &[(&str, &str, &[u8], &str)] = &[
        ("CVE-2021-41136 Puma", "a line that ends with LF", b"X: 1\nY: 2\r\n", "bare_lf"),
        ("CVE-2022-32214 Node", "a field behind LF in a value", b"X: 1\nContent-Length: 33\r\n", "bare_lf"),
        ("CVE-2022-35256 Node", "a line that ends with CR", b"X: 1\rY: 2\r\n", "bare_cr"),
        ("CVE-2023-30589 Node", "fields parted by CR", b"X: 1\r\rContent-Length: 33\r\n", "bare_cr"),
        ("CVE-2025-23167 Node", "CR LF CR X ends no head", b"X: 1\r\n\rX: 2\r\n", "bare_cr"),
        ("RFC 9112 §2.2", "LF alone ends no head", b"X: 1\r\n\nGET /evil HTTP/1.1\r\n", "bare_lf"),
        ("RFC 9112 §2.2", "a CR at the end of a value", b"X: 1\r\r\n", "bare_cr"),
        ("RFC 9112 §5.2", "a folded line", b"X: 1\r\n 2\r\n", "obs_fold"),
        ("RFC 9112 §5.2", "a line folded with a tab", b"X: 1\r\n\t2\r\n", "obs_fold"),
        ("RFC 9112 §5.2", "a line folded to nothing", b"X: 1\r\n \r\n", "obs_fold"),
        (
            "CVE-2022-32215 Node",
            "a folded Transfer-Encoding",
            b"Transfer-Encoding: chunked\r\n , identity\r\n",
            "obs_fold",
        ),
        ("CVE-2024-27982 Node", "a Content-Length behind a space", b"X: 1\r\n Content-Length: 33\r\n", "obs_fold"),
        (
            "CVE-2020-7238 Netty",
            "a Transfer-Encoding behind a space",
            b"X: 1\r\n Transfer-Encoding: chunked\r\n",
            "obs_fold",
        ),
        ("CVE-2019-16276 Go", "a space before the colon", b"X : 1\r\n", "space_before_colon"),
        (
            "CVE-2019-16869 Netty",
            "Transfer-Encoding with one",
            b"Transfer-Encoding : chunked\r\n",
            "space_before_colon",
        ),
        ("CVE-2021-22959 Node", "Content-Length with one", b"Content-Length : 33\r\n", "space_before_colon"),
        ("CVE-2020-15810 Squid", "a tab before the colon", b"Content-Length\t: 33\r\n", "space_before_colon"),
        ("CVE-2015-5739 Go", "a space for the hyphen", b"Content Length: 33\r\n", "space_before_colon"),
        ("CVE-2019-20444 Netty", "no colon", b"Content-Length 33\r\n", "space_before_colon"),
        ("RFC 9112 §5", "a name alone", b"X\r\n", "bad_field_name"),
        ("CVE-2023-25725 HAProxy", "an empty name", b": 1\r\nContent-Length: 33\r\n", "bad_field_name"),
        ("RFC 9112 §5", "a colon alone", b":\r\n", "bad_field_name"),
        ("CVE-2021-43797 Netty", "a control byte in a name", b"\x01X: 1\r\n", "bad_field_name"),
        ("RFC 9110 §5.1", "a NUL behind a name", b"Transfer-Encoding\0: chunked\r\n", "bad_field_name"),
        ("RFC 9110 §5.1", "a vertical tab behind a name", b"Transfer-Encoding\x0b: chunked\r\n", "bad_field_name"),
        ("RFC 9110 §5.1", "a CR in a name", b"Content-Le\rngth: 33\r\n", "bad_field_name"),
        ("RFC 9110 §5.1", "a LF in a name", b"Content-Le\nngth: 33\r\n", "bad_field_name"),
        ("RFC 9110 §5.1", "a parenthesis in a name", b"X(: 1\r\n", "bad_field_name"),
        ("RFC 9110 §5.1", "a quoted name", b"\"X\": 1\r\n", "bad_field_name"),
        ("RFC 9110 §5.1", "a byte above 127 in a name", b"X\xff: 1\r\n", "bad_field_name"),
        (
            "CVE-2020-15049 Squid",
            "a byte above 127 in front of a name",
            b"\xa0Content-Length: 33\r\n",
            "bad_field_name",
        ),
        ("RFC 9110 §5.1", "a start line for a field", b"GET /evil HTTP/1.1\r\n", "space_before_colon"),
        ("CVE-2019-9900 Envoy", "a NUL in a value", b"X: a\0b\r\n", "control_byte"),
        ("RFC 9110 §5.5", "a control byte in a value", b"X: a\x01b\r\n", "control_byte"),
        ("RFC 9110 §5.5", "DEL in a value", b"X: a\x7fb\r\n", "control_byte"),
        ("RFC 9110 §5.5", "an escape sequence in a value", b"X: \x1b[31m\r\n", "control_byte"),
        ("RFC 9110 §5.5", "a form feed in front of a value", b"X:\x0c1\r\n", "control_byte"),
    ];
    rows.iter().map(|(source, what, lines, detail)| Case::refused(source, *what, with(lines), 400, detail)).collect()
}

fn passed() -> Vec<Case> {
    let rows: &[(&str, &str, &str)] = &[
        ("RFC 9112 §5.1", "an empty value", "X:"),
        ("RFC 9112 §5.1", "white space around a value", "X: \t 1 \t"),
        ("RFC 9110 §5.5", "a tab in a value", "X: a\tb"),
        ("RFC 9110 §5.5", "quotes, commas and colons in a value", "X: \"a, b\": c; d=\"e\\\"f\""),
        ("RFC 9110 §5.1", "a name of odd token bytes", "!#$%&'*.^`|~: 1"),
        ("RFC 9110 §5.3", "a repeated field keeps its order", "X: 1\r\nY: 2\r\nx: 3"),
        ("RFC 9110 §5.1", "the spelling of a name", "x-LoNg-NaMe: 1"),
        ("RFC 9110 §10.1.4", "a field that only begins like one that frames", "Transfer-Encoding-X: chunked"),
        ("RFC 9110 §8.6", "a field that only ends like one that frames", "X-Content-Length: 5"),
        ("RFC 9110 §8.4", "a coding of the content", "Content-Encoding: chunked"),
    ];
    let rows = rows.iter().map(|(source, what, line)| {
        let seen = forwarded("GET / HTTP/1.1").has(&[line]);
        Case::passed(source, *what, with(format!("{line}\r\n").as_bytes()), seen)
    });
    let bytes = Case::passed(
        "RFC 9110 §5.5",
        "bytes above 127 in a value",
        with(b"X: \xc3\xa9\xff\r\nY: 1\r\n"),
        forwarded("GET / HTTP/1.1").has(&["Y: 1"]),
    );
    rows.chain([bytes]).collect()
}

/// `GET /` with these lines.
fn with(lines: &[u8]) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\nHost: h\r\n", lines, b"\r\n"].concat()
}
