//! What belongs to one connection only is not passed on; what does not, is not lost by naming it.

use super::{
    answer::answer,
    case::{Case, Forwarded, forwarded},
    message::{SMUGGLED, chunked, get, post},
    table,
};

#[test]
fn a_hop_is_no_more_than_a_hop() {
    table::run(cases());
}

pub(super) fn cases() -> Vec<Case> {
    removed().into_iter().chain(kept()).chain(closed()).chain(refused()).collect()
}

fn seen() -> Forwarded {
    forwarded("GET / HTTP/1.1").has(&["X: 1"])
}

fn removed() -> Vec<Case> {
    let rows: &[(&str, &str, &str, &[&str])] = &[
        ("RFC 9110 §7.6.1", "Connection: keep-alive", "Connection: keep-alive", &["connection"]),
        ("RFC 9110 §7.6.1", "a field that Connection names", "Connection: X-Own\r\nX-Own: 1", &["connection", "x-own"]),
        ("RFC 9110 §7.6.1", "in another case", "Connection: x-OWN\r\nX-Own: 1", &["x-own"]),
        ("RFC 9110 §7.6.1", "before it is named", "X-Own: 1\r\nConnection: X-Own", &["x-own"]),
        (
            "RFC 9110 §7.6.1",
            "in two lines",
            "Connection: keep-alive\r\nConnection: X-Own\r\nX-Own: 1",
            &["connection", "x-own"],
        ),
        ("RFC 9110 §5.6.1", "with empty members", "Connection: , ,X-Own,\r\nX-Own: 1", &["x-own"]),
        ("RFC 9110 §7.6.1", "that is repeated", "X-Own: 1\r\nConnection: X-Own\r\nX-Own: 2", &["x-own"]),
        ("RFC 9110 §7.6.1", "a cookie that Connection names", "Connection: Cookie\r\nCookie: a=b", &["cookie"]),
        ("RFC 9112 §C.2.2", "Keep-Alive", "Keep-Alive: timeout=5", &["keep-alive"]),
        ("RFC 9110 §7.6.1", "Proxy-Connection", "Proxy-Connection: keep-alive", &["proxy-connection"]),
        ("RFC 9110 §11.7.1", "Proxy-Authorization", "Proxy-Authorization: Basic YTpi", &["proxy-authorization"]),
        (
            "RFC 9110 §7.6.1",
            "names that look like them",
            "Keep_Alive: 5\r\nProxy.Connection: close",
            &["keep_alive", "proxy.connection"],
        ),
        ("RFC 9110 §10.1.4", "TE without trailers", "TE: gzip;q=0.5\r\nConnection: TE", &["te", "connection"]),
    ];
    rows.iter()
        .map(|(source, what, lines, gone)| {
            Case::passed(source, *what, get(&format!("{lines}\r\nX: 1\r\n")), seen().lacks(gone))
        })
        .collect()
}

fn kept() -> Vec<Case> {
    let rows: &[(&str, &str, &str, &[&str])] = &[
        ("VSV00008 Varnish", "Host, which Connection names", "Connection: Host", &["Host: h"]),
        (
            "CVE-2022-31813 Apache",
            "X-Forwarded-For, which Connection names",
            "Connection: X-Forwarded-For",
            &["X-Forwarded-For: 127.0.0.1"],
        ),
        (
            "CVE-2024-45410 Traefik",
            "the other fields about the client",
            "Connection: X-Forwarded-Host, X-Forwarded-Proto, X-Request-Id",
            &["X-Forwarded-Host: h", "X-Forwarded-Proto: http"],
        ),
        ("RFC 9110 §7.6.3", "Via, which Connection names", "Connection: Via", &["Via: 1.1 tidegate"]),
        ("RFC 9110 §7.6.3", "an earlier Via", "Via: 1.0 fred", &["Via: 1.0 fred", "Via: 1.1 tidegate"]),
        ("RFC 9110 §10.1.4", "TE: trailers", "TE: trailers\r\nConnection: TE", &["TE: trailers", "Connection: TE"]),
        (
            "RFC 9110 §10.1.4",
            "trailers among other codings",
            "TE: gzip, Trailers\r\nConnection: TE",
            &["TE: trailers", "Connection: TE"],
        ),
        ("RFC 9110 §6.6.2", "Trailer", "Trailer: X-Sum", &["Trailer: X-Sum"]),
    ];
    let rows = rows.iter().map(|(source, what, lines, has)| {
        Case::passed(source, *what, get(&format!("{lines}\r\nX: 1\r\n")), seen().has(has))
    });
    let bodies = [
        Case::passed(
            "CVE-2022-45059 Varnish",
            "Content-Length, which Connection names",
            post(&format!("Connection: Content-Length\r\nContent-Length: {}\r\n", SMUGGLED.len()), SMUGGLED),
            forwarded("POST / HTTP/1.1").body(SMUGGLED),
        ),
        Case::passed(
            "CVE-2022-45059 Varnish",
            "Transfer-Encoding, which Connection names",
            chunked("0\r\n\r\n").replace("\r\n\r\n0", "\r\nConnection: Transfer-Encoding\r\n\r\n0"),
            forwarded("POST / HTTP/1.1").has(&["Transfer-Encoding: chunked"]).body("0\r\n\r\n"),
        ),
    ];
    rows.chain(bodies).collect()
}

fn closed() -> Vec<Case> {
    ["close", "Close", "close, keep-alive", "keep-alive, close", "X, close"]
        .map(|value| {
            let request = get(&format!("Connection: {value}\r\nX: 1\r\n"));
            // What follows is not looked at any more.
            let seen = forwarded("GET / HTTP/1.1").lacks(&["connection"]);
            Case::passed("RFC 9112 §9.6", format!("Connection: {value}"), format!("{request}{SMUGGLED}"), seen)
                .answers(vec![answer(200).body("ok").has(&["Connection: close"])])
                .closes()
        })
        .into()
}

fn refused() -> Vec<Case> {
    let many = format!("Connection: {}", "X, ".repeat(33));
    let rows = [
        ("RFC 9110 §7.6.1", "two words", "Connection: a b"),
        ("RFC 9110 §7.6.1", "quotes", "Connection: \"close\""),
        ("RFC 9110 §7.6.1", "a parameter", "Connection: close;a"),
        ("RFC 9110 §7.6.1", "a byte above 127", "Connection: clos\u{e9}"),
        ("RFC 9110 §17.5", "more than 32 members", many.as_str()),
    ];
    rows.map(|(source, what, line)| {
        Case::refused(source, format!("{what} in Connection"), get(&format!("{line}\r\n")), 400, "bad_connection")
    })
    .into()
}
