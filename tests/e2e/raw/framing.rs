//! `Content-Length` and `Transfer-Encoding` of requests.

use super::{
    case::{Case, forwarded},
    message::{SMUGGLED, post},
    table,
};

#[test]
fn a_body_has_one_length() {
    table::run(cases());
}

pub(super) fn cases() -> Vec<Case> {
    let all = [both(), lengths(), codings()];
    all.into_iter()
        .flatten()
        .map(|(source, what, fields, status, detail)| {
            // Whatever length is read, something else would be read behind it.
            let body = format!("0\r\n\r\n{SMUGGLED}");
            Case::refused(source, what, post(&format!("{fields}\r\n"), &body), status, detail)
        })
        .chain(raw())
        .chain(passed())
        .collect()
}

type Row = (&'static str, &'static str, &'static str, u16, &'static str);

fn both() -> Vec<Row> {
    vec![
        ("CL.TE", "a length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked", 400, "two_framings"),
        ("TE.CL", "chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 5", 400, "two_framings"),
        (
            "CVE-2019-20445 Netty",
            "the same with 0",
            "Content-Length: 0\r\nTransfer-Encoding: chunked",
            400,
            "two_framings",
        ),
        (
            "RFC 9112 §6.3",
            "a length and a coding that nobody knows",
            "Content-Length: 5\r\nTransfer-Encoding: x",
            400,
            "two_framings",
        ),
        (
            "CVE-2024-6827 gunicorn",
            "a length and an empty coding",
            "Content-Length: 5\r\nTransfer-Encoding:",
            400,
            "two_framings",
        ),
        (
            "CVE-2022-24790 Puma",
            "a length that Connection names, and chunks",
            "Connection: Content-Length\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            400,
            "two_framings",
        ),
        (
            "TE.TE",
            "chunks that Connection names, and a length",
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
            400,
            "two_framings",
        ),
    ]
}

fn lengths() -> Vec<Row> {
    vec![
        (
            "CVE-2020-10108 Twisted",
            "two lengths",
            "Content-Length: 5\r\nContent-Length: 6",
            400,
            "repeated_content_length",
        ),
        ("RFC 9112 §6.3", "two that agree", "Content-Length: 5\r\nContent-Length: 5", 400, "repeated_content_length"),
        ("CVE-2015-5740 Go", "two spellings", "Content-Length: 5\r\ncontent-LENGTH: 0", 400, "repeated_content_length"),
        (
            "CVE-2019-16792 Waitress",
            "an empty second one",
            "Content-Length: 5\r\nContent-Length:",
            400,
            "repeated_content_length",
        ),
        ("RFC 9112 §6.3", "a list of equal ones", "Content-Length: 5, 5", 400, "bad_content_length"),
        ("RFC 9112 §6.3", "a list", "Content-Length: 5, 6", 400, "bad_content_length"),
        ("RFC 9112 §6.3", "a comma behind", "Content-Length: 5,", 400, "bad_content_length"),
        ("CVE-2023-40225 HAProxy", "an empty one", "Content-Length:", 400, "bad_content_length"),
        ("CVE-2023-40175 Puma", "blanks", "Content-Length: \t ", 400, "bad_content_length"),
        ("CVE-2021-32715 hyper", "a plus sign", "Content-Length: +5", 400, "bad_content_length"),
        ("CVE-2022-42252 Tomcat", "a minus sign", "Content-Length: -5", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "minus 0", "Content-Length: -0", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "hexadecimal", "Content-Length: 0x5", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "hexadecimal without a prefix", "Content-Length: a", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "a fraction", "Content-Length: 5.0", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "an exponent", "Content-Length: 5e0", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "an underscore, as Python takes it", "Content-Length: 1_0", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "a space inside", "Content-Length: 5 6", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "quotes", "Content-Length: \"5\"", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "a parameter", "Content-Length: 5;a", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "a unit", "Content-Length: 5b", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "a word", "Content-Length: chunked", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "digits of another script", "Content-Length: ٥", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "2^64", "Content-Length: 18446744073709551616", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "2^64 and 5", "Content-Length: 18446744073709551621", 400, "bad_content_length"),
        ("RFC 9110 §8.6", "21 digits", "Content-Length: 000000000000000000005", 400, "bad_content_length"),
        ("CVE-2020-15049 Squid", "a vertical tab in front", "Content-Length:\x0b5", 400, "control_byte"),
        ("RFC 9110 §5.5", "a NUL behind", "Content-Length: 5\0", 400, "control_byte"),
    ]
}

fn codings() -> Vec<Row> {
    vec![
        ("TE.TE", "a word that ends like chunked", "Transfer-Encoding: xchunked", 400, "bad_transfer_encoding"),
        (
            "CVE-2022-32213 Node",
            "a word that begins like it",
            "Transfer-Encoding: chunkedx",
            400,
            "bad_transfer_encoding",
        ),
        (
            "CVE-2024-1135 gunicorn",
            "chunked and then identity",
            "Transfer-Encoding: chunked, identity",
            400,
            "bad_transfer_encoding",
        ),
        (
            "CVE-2020-8287 Node",
            "the same in two lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            400,
            "bad_transfer_encoding",
        ),
        (
            "CVE-2021-21299 hyper",
            "chunked in two lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            400,
            "bad_transfer_encoding",
        ),
        ("CVE-2020-15811 Squid", "chunked twice", "Transfer-Encoding: chunked, chunked", 400, "bad_transfer_encoding"),
        (
            "TE.TE",
            "chunked, and then a word that nobody knows",
            "Transfer-Encoding: chunked\r\nTransfer-encoding: x",
            400,
            "bad_transfer_encoding",
        ),
        ("CVE-2021-33037 Tomcat", "identity", "Transfer-Encoding: identity", 400, "bad_transfer_encoding"),
        ("RFC 9112 §6.3", "gzip alone", "Transfer-Encoding: gzip", 400, "bad_transfer_encoding"),
        ("CVE-2022-1705 Go", "an empty one", "Transfer-Encoding:", 400, "bad_transfer_encoding"),
        ("RFC 9110 §5.6.1", "a comma in front", "Transfer-Encoding: ,chunked", 400, "bad_transfer_encoding"),
        ("RFC 9110 §5.6.1", "a comma behind", "Transfer-Encoding: chunked,", 400, "bad_transfer_encoding"),
        ("RFC 9112 §7", "a parameter", "Transfer-Encoding: chunked;q=1", 400, "bad_transfer_encoding"),
        ("CVE-2020-25613 WEBrick", "quotes", "Transfer-Encoding: \"chunked\"", 400, "bad_transfer_encoding"),
        ("TE.TE", "a space inside", "Transfer-Encoding: chun ked", 400, "bad_transfer_encoding"),
        ("TE.TE", "a second colon", "Transfer-Encoding: : chunked", 400, "bad_transfer_encoding"),
        ("TE.TE", "a Kelvin sign", "Transfer-Encoding: chun\u{212a}ed", 400, "bad_transfer_encoding"),
        ("CVE-2019-18277 HAProxy", "a vertical tab in front", "Transfer-Encoding:\x0bchunked", 400, "control_byte"),
        ("CVE-2019-15605 Node", "a control byte behind", "Transfer-Encoding: chunked\x0b", 400, "control_byte"),
        ("TE.TE", "a NUL in front", "Transfer-Encoding: \0chunked", 400, "control_byte"),
        ("TE.TE", "behind LF", "X: 1\nTransfer-Encoding: chunked", 400, "bare_lf"),
        ("TE.TE", "behind CR", "X: 1\rTransfer-Encoding: chunked", 400, "bare_cr"),
        ("CVE-2020-1935 Tomcat", "cut by CR", "Transfer-Encoding: chunked\rX: 1", 400, "bare_cr"),
        ("RFC 9112 §6.1", "another coding before", "Transfer-Encoding: gzip, chunked", 501, "unknown_transfer_coding"),
        (
            "RFC 9112 §6.1",
            "the same in two lines",
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
            501,
            "unknown_transfer_coding",
        ),
        (
            "CVE-2019-16786 Waitress",
            "identity before",
            "Transfer-Encoding: identity, chunked",
            501,
            "unknown_transfer_coding",
        ),
    ]
}

fn raw() -> Vec<Case> {
    let old = |fields: &str| format!("POST / HTTP/1.0\r\nHost: h\r\n{fields}\r\n\r\n0\r\n\r\n{SMUGGLED}");
    vec![
        Case::refused(
            "RFC 9112 §6.1",
            "chunks in HTTP/1.0",
            old("Transfer-Encoding: chunked"),
            400,
            "transfer_encoding_in_http10",
        ),
        Case::refused(
            "RFC 9112 §6.1",
            "chunks in HTTP/1.0 with keep-alive",
            old("Connection: keep-alive\r\nTransfer-Encoding: chunked"),
            400,
            "transfer_encoding_in_http10",
        ),
        Case::refused(
            "RFC 9112 §6.3",
            "both in HTTP/1.0",
            old("Content-Length: 5\r\nTransfer-Encoding: chunked"),
            400,
            "two_framings",
        ),
        Case::refused(
            "CVE-2021-40346 HAProxy",
            "a name so long that its length overflows a byte",
            post(
                &format!("Content-Length0{}:\r\nContent-Length: 5\r\nContent-Length: 60\r\n", "a".repeat(255)),
                SMUGGLED,
            ),
            400,
            "repeated_content_length",
        ),
    ]
}

fn passed() -> Vec<Case> {
    let sent = forwarded("POST / HTTP/1.1");
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    let rows = ["Chunked", "CHUNKED", "\tchunked", "chunked \t"].map(|value| {
        let request = post(&format!("Transfer-Encoding:{value}\r\n"), chunks);
        let seen = forwarded("POST / HTTP/1.1").has(&["Transfer-Encoding: chunked"]).body(chunks);
        Case::passed("RFC 9112 §7", format!("{value:?} is chunked"), request, seen)
    });
    let others = [
        Case::passed("RFC 9110 §8.6", "no body", post("Content-Length: 0\r\n", ""), sent.has(&["Content-Length: 0"])),
        Case::passed(
            "RFC 9110 §8.6",
            "leading zeros are decimal",
            post("Content-Length: 010\r\n", "0123456789"),
            forwarded("POST / HTTP/1.1").body("0123456789"),
        ),
        Case::passed(
            "CVE-2021-40346 HAProxy",
            "the long name alone is a name",
            post(&format!("Content-Length0{}:\r\nContent-Length: 5\r\n", "a".repeat(255)), "hello"),
            forwarded("POST / HTTP/1.1").body("hello"),
        ),
        Case::passed(
            "RFC 9112 §6",
            "a POST without either has no body",
            post("", ""),
            forwarded("POST / HTTP/1.1").lacks(&["content-length", "transfer-encoding"]),
        ),
    ];
    rows.into_iter().chain(others).collect()
}
