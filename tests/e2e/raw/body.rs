//! Bodies of requests: what belongs to them is never read as a request, and what follows them always is.

use super::{
    answer::{answer, refusal},
    case::{Case, forwarded},
    message::{SMUGGLED, chunked, get, post},
    table,
};

#[test]
fn bodies_end_where_they_end() {
    table::run(cases());
}

pub(super) fn cases() -> Vec<Case> {
    let length = SMUGGLED.len();
    let with_length = |method: &str, fields: &str| {
        format!("{method} / HTTP/1.1\r\nHost: h\r\n{fields}Content-Length: {length}\r\n\r\n{SMUGGLED}")
    };
    let whole = ["GET", "DELETE", "OPTIONS", "PUT", "PATCH", "PROPFIND"].map(|method| {
        let source = match method {
            "GET" => "CVE-2020-35863 hyper",
            "OPTIONS" => "CL.0",
            _ => "RFC 9110 §9",
        };
        let seen = forwarded(format!("{method} / HTTP/1.1")).body(SMUGGLED);
        Case::passed(source, format!("a {method} with a body"), with_length(method, ""), seen)
    });
    let head = Case::passed(
        "CL.0",
        "a HEAD with a body",
        with_length("HEAD", ""),
        forwarded("HEAD / HTTP/1.1").body(SMUGGLED),
    )
    .reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    .answers(vec![answer(200).to("HEAD").body("")]);
    let in_chunks = format!("{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n");
    let others = [
        head,
        Case::passed(
            "CVE-2019-20372 nginx",
            "a GET with a body to an error page",
            with_length("GET", "X: 1\r\n"),
            forwarded("GET / HTTP/1.1").body(SMUGGLED),
        )
        .reply("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        .answers(vec![answer(404)]),
        Case::passed(
            "CL.0",
            "a body with Connection: keep-alive",
            with_length("POST", "Connection: keep-alive\r\n"),
            forwarded("POST / HTTP/1.1").body(SMUGGLED),
        ),
        Case::passed(
            "TE.0",
            "an OPTIONS with chunks",
            format!("OPTIONS / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{in_chunks}"),
            forwarded("OPTIONS / HTTP/1.1").body(&in_chunks),
        ),
        Case::passed(
            "TE.0",
            "a GET with chunks",
            format!("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{in_chunks}"),
            forwarded("GET / HTTP/1.1").body(&in_chunks),
        ),
        Case::passed(
            "RFC 9110 §6.4",
            "a body of NULs and line breaks",
            post("Content-Length: 8\r\n", "\0\r\n\r\n\0\n\r"),
            forwarded("POST / HTTP/1.1").body("\0\r\n\r\n\0\n\r"),
        ),
        Case::passed(
            "CL.TE",
            "what follows a length is the next request",
            format!("{}{}", post("Content-Length: 3\r\n", "0\r\n"), get("X: 2\r\n")),
            forwarded("POST / HTTP/1.1").body("0\r\n"),
        )
        .answers(vec![answer(200), answer(200)])
        .and(forwarded("GET / HTTP/1.1").has(&["X: 2"])),
        Case::passed(
            "TE.CL",
            "what follows the last chunk is the next request",
            format!("{}{}", chunked("0\r\n\r\n"), get("X: 2\r\n")),
            forwarded("POST / HTTP/1.1").body("0\r\n\r\n"),
        )
        .answers(vec![answer(200), answer(200)])
        .and(forwarded("GET / HTTP/1.1").has(&["X: 2"])),
        Case::passed(
            "RFC 9112 §2.2",
            "a line break behind a body is passed over",
            format!("{}\r\n{}", post("Content-Length: 3\r\n", "abc"), get("X: 2\r\n")),
            forwarded("POST / HTTP/1.1").body("abc"),
        )
        .answers(vec![answer(200), answer(200)])
        .and(forwarded("GET / HTTP/1.1")),
        Case::refused(
            "RFC 9112 §6.3",
            "what follows a body is no request",
            post("Content-Length: 3\r\n", "abc<>\r\n\r\n"),
            400,
            "bad_method",
        )
        .answers(vec![answer(200), refusal(400)])
        .and(forwarded("POST / HTTP/1.1").body("abc")),
        gone("a body that ends before its length", post("Content-Length: 5\r\n", "abc")),
        gone("a body of which nothing comes", post("Content-Length: 5\r\n", "")),
        gone("a length of 2^63 less 1", post("Content-Length: 9223372036854775807\r\n", SMUGGLED)),
        gone("chunks without the last one", chunked("3\r\nabc\r\n")),
        gone("a chunk that ends inside", chunked("5\r\nabc")),
        gone("a chunk of 2^63 less 1", chunked(&format!("7fffffffffffffff\r\n{SMUGGLED}"))),
        gone("a last chunk without the empty line", chunked("3\r\nabc\r\n0\r\n")),
        gone("trailers without the empty line", chunked("3\r\nabc\r\n0\r\nX: 1\r\n")),
    ];
    whole.into_iter().chain(others).collect()
}

/// A request that its client cuts off: the backend must not take it for whole.
fn gone(what: &str, bytes: String) -> Case {
    Case::cut("RFC 9112 §8", what, bytes, "POST / HTTP/1.1", 499, "")
        .answers(Vec::new())
        .logs("client_gone", None)
        .half_closes()
}
