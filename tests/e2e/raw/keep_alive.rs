//! How long connections live: HTTP/1.0, pipelining, the end.

use super::{
    answer::{answer, refusal},
    case::{Case, forwarded},
    message::{SMUGGLED, chunked, get, post},
    table,
};

#[test]
fn requests_of_a_connection_are_answered_in_order() {
    table::run(cases());
}

pub(super) fn cases() -> Vec<Case> {
    old().into_iter().chain(pipelined()).collect()
}

fn old() -> Vec<Case> {
    let seen = || forwarded("GET / HTTP/1.1").has(&["Via: 1.0 tidegate"]).lacks(&["connection"]);
    let closes = |what: &str, fields: &str| {
        let request = format!("GET / HTTP/1.0\r\n{fields}\r\n{SMUGGLED}");
        Case::passed("RFC 9112 §9.3", what, request, seen())
            .answers(vec![answer(200).body("ok").has(&["Connection: close"])])
            .closes()
    };
    let keeps = |what: &str, value: &str| {
        let request = format!("GET / HTTP/1.0\r\nHost: h\r\nConnection: {value}\r\n\r\n");
        Case::passed("RFC 9112 §C.2.2", what, request, seen())
            .answers(vec![answer(200).body("ok").has(&["Connection: keep-alive"])])
    };
    vec![
        closes("HTTP/1.0", "Host: h\r\n"),
        closes("HTTP/1.0 without Host", ""),
        closes("HTTP/1.0 that would keep and close", "Connection: keep-alive, close\r\n"),
        closes("HTTP/1.0 with Proxy-Connection", "Proxy-Connection: keep-alive\r\n"),
        closes("HTTP/1.0 with Keep-Alive alone", "Keep-Alive: timeout=5\r\n"),
        keeps("HTTP/1.0 with keep-alive", "keep-alive"),
        keeps("HTTP/1.0 with Keep-Alive in another case", "Keep-Alive"),
        Case::passed(
            "RFC 9112 §3.2.2",
            "HTTP/1.0 with an absolute target and no Host",
            "GET http://h/a HTTP/1.0\r\n\r\n",
            forwarded("GET /a HTTP/1.1").has(&["Host: h"]),
        )
        .closes(),
        Case::passed(
            "RFC 9112 §9.3",
            "a body in HTTP/1.0",
            "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
            forwarded("POST / HTTP/1.1").body("abc"),
        )
        .closes(),
        Case::refused(
            "RFC 9112 §3.2",
            "two Hosts in HTTP/1.0",
            "GET / HTTP/1.0\r\nHost: h\r\nHost: evil\r\n\r\n",
            400,
            "repeated_host",
        ),
    ]
}

fn pipelined() -> Vec<Case> {
    let seen = || forwarded("GET / HTTP/1.1");
    vec![
        Case::passed(
            "RFC 9112 §9.3.2",
            "three requests",
            [get("X: 1\r\n"), get("X: 2\r\n"), get("X: 3\r\n")].concat(),
            seen().has(&["X: 1"]),
        )
        .answers(vec![answer(200), answer(200), answer(200)])
        .and(seen().has(&["X: 2"]))
        .and(seen().has(&["X: 3"])),
        Case::passed(
            "RFC 9112 §9.3.2",
            "bodies of each framing between them",
            [post("Content-Length: 3\r\n", "abc"), chunked("1\r\na\r\n0\r\nX: 1\r\n\r\n"), get("")].concat(),
            forwarded("POST / HTTP/1.1").body("abc"),
        )
        .answers(vec![answer(200), answer(200), answer(200)])
        .and(forwarded("POST / HTTP/1.1").body("1\r\na\r\n0\r\nX: 1\r\n\r\n"))
        .and(seen()),
        Case::passed(
            "RFC 9112 §9.3.2",
            "empty lines between them",
            [get("X: 1\r\n"), "\r\n\r\n".to_owned(), get("X: 2\r\n")].concat(),
            seen(),
        )
        .answers(vec![answer(200), answer(200)])
        .and(seen()),
        Case::passed(
            "RFC 9112 §9.3.2",
            "HTTP/1.0 in the middle is the last",
            [get("X: 1\r\n"), "GET / HTTP/1.0\r\n\r\n".to_owned(), SMUGGLED.to_owned()].concat(),
            seen(),
        )
        .answers(vec![answer(200), answer(200)])
        .and(seen())
        .closes(),
        Case::refused(
            "RFC 9112 §9.3.2",
            "a bad one behind a good one",
            get("") + "GET / HTTP/1.1\r\n\r\n",
            400,
            "missing_host",
        )
        .answers(vec![answer(200), refusal(400)])
        .and(seen()),
        Case::refused(
            "RFC 9112 §9.3.2",
            "a bad one before a good one",
            format!("GET / HTTP/1.1\r\n\r\n{SMUGGLED}"),
            400,
            "missing_host",
        ),
        Case::refused(
            "RFC 9112 §9.3.2",
            "broken chunks before a good one",
            format!("{}{}", get(""), chunked(&format!("1\r\nab\r\n{SMUGGLED}"))),
            400,
            "bad_chunk_end",
        )
        .answers(vec![answer(200), refusal(400)])
        .and(seen())
        .and(forwarded("POST / HTTP/1.1").cut()),
        Case::passed("RFC 9112 §9.6", "a client that sends no more still gets its answer", get(""), seen())
            .half_closes()
            .closes(),
        Case::passed(
            "RFC 9112 §9.6",
            "the same with two requests",
            [get("X: 1\r\n"), get("X: 2\r\n")].concat(),
            seen(),
        )
        .answers(vec![answer(200), answer(200)])
        .and(seen())
        .half_closes()
        .closes(),
    ]
}
