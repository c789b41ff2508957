//! The chunked coding of requests.

use super::{
    case::{Case, forwarded},
    message::{SMUGGLED, chunked},
    table,
};

#[test]
fn chunks_have_one_reading() {
    table::run(cases());
}

pub(super) fn cases() -> Vec<Case> {
    broken().into_iter().chain(limits()).chain(passed()).collect()
}

fn broken() -> Vec<Case> {
    let rows: &[(&str, &str, &str, &str)] = &[
        ("RFC 9112 §7.1", "a size that is no number", "zz\r\n", "bad_chunk_size"),
        ("RFC 9112 §7.1", "no size", "\r\n0\r\n\r\n", "bad_chunk_size"),
        ("RFC 9112 §7.1", "a size below zero", "-1\r\na\r\n0\r\n\r\n", "bad_chunk_size"),
        ("RFC 9112 §7.1", "a plus sign", "+1\r\na\r\n0\r\n\r\n", "bad_chunk_size"),
        ("CVE-2022-24801 Twisted", "a prefix", "0x1\r\na\r\n0\r\n\r\n", "bad_chunk_size"),
        ("RFC 9112 §7.1", "an underscore", "1_0\r\n0123456789abcdef\r\n0\r\n\r\n", "bad_chunk_size"),
        ("RFC 9112 §7.1", "a space in front", " 1\r\na\r\n0\r\n\r\n", "bad_chunk_size"),
        ("RFC 9112 §7.1", "a space behind", "1 \r\na\r\n0\r\n\r\n", "bad_chunk_extension"),
        ("RFC 9112 §7.1", "a tab behind", "1\t\r\na\r\n0\r\n\r\n", "bad_chunk_extension"),
        ("RFC 9112 §7.1", "two sizes", "1 2\r\nab\r\n0\r\n\r\n", "bad_chunk_extension"),
        ("RFC 9112 §7.1", "a NUL behind", "1\0\r\na\r\n0\r\n\r\n", "bad_chunk_size"),
        ("RFC 9112 §7.1", "a list", "1,1\r\na\r\n0\r\n\r\n", "bad_chunk_size"),
        (
            "CVE-2021-32714 hyper",
            "a size that overflows to 3",
            "10000000000000003\r\nabc\r\n0\r\n\r\n",
            "bad_chunk_size",
        ),
        ("CVE-2017-7657 Jetty", "a size of 32 digits", "10000000000000000000000000000003\r\nabc\r\n", "bad_chunk_size"),
        ("RFC 9112 §7.1", "a last chunk of 17 zeros", "00000000000000000\r\n\r\n", "bad_chunk_size"),
        ("RFC 9112 §7.1", "sizes whose sum overflows", "1\r\na\r\n7fffffffffffffff\r\n", "body_too_large"),
        (
            "RFC 9112 §7.1",
            "a size that is below zero where numbers are signed",
            "8000000000000000\r\n",
            "bad_chunk_size",
        ),
        ("ONE.TWO", "LF behind the data", "1\r\na\n0\r\n\r\n", "bad_chunk_end"),
        ("ZERO.TWO", "nothing behind the data", "1\r\na0\r\n\r\n", "bad_chunk_end"),
        ("TERM.SPILL", "two other bytes behind the data", "1\r\naXX0\r\n\r\n", "bad_chunk_end"),
        ("CVE-2025-43859 h11", "CR and another byte behind the data", "1\r\na\rX0\r\n\r\n", "bad_chunk_end"),
        ("RFC 9112 §7.1", "more data than the size says", "1\r\nab\r\n0\r\n\r\n", "bad_chunk_end"),
        ("RFC 9112 §7.1", "less data than the size says", "5\r\nabc\r\n0\r\n\r\n", "bad_chunk_end"),
        ("CVE-2025-22871 Go", "a size that ends with LF", "1\na\r\n0\r\n\r\n", "bare_lf"),
        ("RFC 9112 §7.1", "a size that ends with CR", "1\ra\r\n0\r\n\r\n", "bare_cr"),
        ("CVE-2021-22960 Node", "an extension that ends with LF", "1;a\na\r\n0\r\n\r\n", "bare_lf"),
        ("TERM.EXT", "an empty extension that ends with LF", "1;\na\r\n0\r\n\r\n", "bare_lf"),
        ("CVE-2025-55315 Kestrel", "an extension with CR", "1;a\rb\r\na\r\n0\r\n\r\n", "bare_cr"),
        ("CVE-2025-58056 Netty", "LF in the extension of the last chunk", "0;a\n\r\n\r\n", "bare_lf"),
        ("RFC 9112 §7.1.1", "an extension without a name", "1;\r\na\r\n0\r\n\r\n", "bad_chunk_extension"),
        ("RFC 9112 §7.1.1", "an extension without a value", "1;a=\r\na\r\n0\r\n\r\n", "bad_chunk_extension"),
        ("RFC 9112 §7.1.1", "a quote that is not closed", "1;a=\"b\r\na\r\n0\r\n\r\n", "bad_chunk_extension"),
        ("RFC 9112 §7.1.1", "a NUL in an extension", "1;a\0\r\na\r\n0\r\n\r\n", "bad_chunk_extension"),
        ("RFC 9112 §7.1.1", "a space within a name", "1;a b\r\na\r\n0\r\n\r\n", "bad_chunk_extension"),
        ("RFC 9112 §7.1.2", "LF for the empty line", "0\r\n\n", "bare_lf"),
        ("RFC 9112 §7.1.2", "CR and another byte for the empty line", "0\r\n\rX", "bare_cr"),
        ("CVE-2023-45648 Tomcat", "a trailer without colon", "0\r\nX\r\n\r\n", "bad_field_name"),
        ("RFC 9112 §7.1.2", "a trailer with a space before its colon", "0\r\nX : 1\r\n\r\n", "space_before_colon"),
        ("RFC 9112 §7.1.2", "a trailer that ends with LF", "0\r\nX: 1\n\r\n", "bare_lf"),
        ("RFC 9112 §7.1.2", "a CR in a trailer", "0\r\nX: 1\rY: 2\r\n\r\n", "bare_cr"),
        ("RFC 9112 §7.1.2", "a folded trailer", "0\r\nX: 1\r\n 2\r\n\r\n", "obs_fold"),
        ("RFC 9112 §7.1.2", "a NUL in a trailer", "0\r\nX: \0\r\n\r\n", "control_byte"),
        ("RFC 9110 §6.5.1", "Content-Length as a trailer", "0\r\nContent-Length: 33\r\n\r\n", "forbidden_trailer"),
        (
            "RFC 9110 §6.5.1",
            "Transfer-Encoding as a trailer",
            "0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "forbidden_trailer",
        ),
        ("RFC 9110 §6.5.1", "Host as a trailer", "0\r\nHost: evil\r\n\r\n", "forbidden_trailer"),
        ("CVE-2024-35161 Traffic Server", "a request in place of the empty line", "0\r\n", "space_before_colon"),
    ];
    rows.iter()
        .map(|(source, what, body, detail)| {
            let status = if *detail == "body_too_large" { 413 } else { 400 };
            let bytes = chunked(&format!("{body}{SMUGGLED}"));
            Case::cut(source, *what, bytes, "POST / HTTP/1.1", status, detail)
        })
        .collect()
}

fn limits() -> Vec<Case> {
    let cut = |source, what: &str, body: String, status, detail| {
        Case::cut(source, what, chunked(&body), "POST / HTTP/1.1", status, detail)
    };
    let many: String = (0..2_000).map(|_| "1;a=b\r\nx\r\n").collect();
    vec![
        cut(
            "CVE-2024-22019 Node",
            "a long extension",
            format!("1;{}", "a".repeat(5_000)),
            400,
            "chunk_extensions_too_long",
        ),
        cut("CVE-2023-39326 Go", "many short extensions", many, 400, "chunk_extensions_too_long"),
        cut(
            "CVE-2023-46589 Tomcat",
            "trailers over the limit",
            format!("0\r\nX: {}\r\n\r\n{SMUGGLED}", "x".repeat(9_000)),
            431,
            "trailers_too_large",
        ),
        cut(
            "RFC 9110 §6.5",
            "more than 32 trailers",
            format!("0\r\n{}\r\n", "X: 1\r\n".repeat(33)),
            431,
            "trailers_too_large",
        ),
    ]
}

fn passed() -> Vec<Case> {
    // What is sent, and what of it the backend gets.
    let rows: &[(&str, &str, &str, &str)] = &[
        ("RFC 9112 §7.1", "chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        (
            "RFC 9112 §7.1",
            "digits in both cases",
            "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
            "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
        ),
        ("RFC 9112 §7.1", "leading zeros", "0003\r\nabc\r\n000\r\n\r\n", "0003\r\nabc\r\n000\r\n\r\n"),
        (
            "RFC 9112 §7.1",
            "sixteen digits",
            "0000000000000003\r\nabc\r\n0\r\n\r\n",
            "0000000000000003\r\nabc\r\n0\r\n\r\n",
        ),
        ("RFC 9112 §7.1", "no data", "0\r\n\r\n", "0\r\n\r\n"),
        ("RFC 9112 §7.1", "framing as data", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
        (
            "RFC 9112 §7.1.1",
            "extensions are left out",
            "3;a\r\nabc\r\n0;b=c;d=\"e;f\"\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
        ),
        ("RFC 9112 §7.1.1", "white space around them", "3 ; a = b\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        (
            "RFC 9112 §7.1.1",
            "an escape in a quoted value",
            "3;a=\"\\\"b\"\r\nabc\r\n0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
        ),
        ("RFC 9112 §7.1.2", "trailers", "0\r\nX: 1\r\ny: 2\r\n\r\n", "0\r\nX: 1\r\ny: 2\r\n\r\n"),
        (
            "RFC 9110 §6.5.1",
            "trailers that say who the client is",
            "0\r\nX-Forwarded-For: 6\r\nX_Real_IP: 6\r\nForwarded: 6\r\nX: 1\r\n\r\n",
            "0\r\nX: 1\r\n\r\n",
        ),
        (
            "RFC 9110 §6.5.1",
            "trailers that authenticate",
            "0\r\nAuthorization: 6\r\nCookie: 6\r\nX: 1\r\n\r\n",
            "0\r\nX: 1\r\n\r\n",
        ),
        (
            "RFC 9110 §6.5.1",
            "trailers that control",
            "0\r\nExpect: 100-continue\r\nCache-Control: 6\r\nMax-Forwards: 6\r\nTE: 6\r\nX: 1\r\n\r\n",
            "0\r\nX: 1\r\n\r\n",
        ),
        (
            "RFC 9110 §7.6.1",
            "trailers of one hop",
            "0\r\nConnection: X\r\nKeep-Alive: 6\r\nUpgrade: h2c\r\nX: 1\r\n\r\n",
            "0\r\nX: 1\r\n\r\n",
        ),
        (
            "RFC 9110 §6.5.1",
            "a trailer that looks like one that frames",
            "0\r\nContent_Length: 6\r\nX: 1\r\n\r\n",
            "0\r\nX: 1\r\n\r\n",
        ),
        ("RFC 9110 §6.5.1", "trailers of which none is kept", "0\r\nCookie: 6\r\n\r\n", "0\r\n\r\n"),
    ];
    rows.iter()
        .map(|(source, what, body, seen)| {
            let seen = forwarded("POST / HTTP/1.1").has(&["Transfer-Encoding: chunked"]).body(seen);
            Case::passed(source, *what, chunked(body), seen)
        })
        .collect()
}
