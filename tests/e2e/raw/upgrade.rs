//! Other protocols, `CONNECT`, `Expect` and `Max-Forwards`.

use super::{
    answer::answer,
    case::{Case, forwarded},
    message::{SMUGGLED, get, post},
    table,
};

#[test]
fn upgrades_and_expectations_are_what_both_sides_want() {
    table::run(cases());
}

pub(super) fn cases() -> Vec<Case> {
    upgrades().into_iter().chain(answered()).chain(expectations()).chain(refused()).collect()
}

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

fn upgrades() -> Vec<Case> {
    let seen = || forwarded("GET / HTTP/1.1");
    let passed: &[(&str, &str, &str, &str)] = &[
        ("RFC 9110 §7.8", "an upgrade that the backend does not take", WEBSOCKET, "Upgrade: websocket"),
        ("RFC 9110 §7.8", "several protocols", "Connection: upgrade\r\nUpgrade: a/1, b\r\n", "Upgrade: a/1, b"),
        ("RFC 9110 §7.8", "among other options", "Connection: keep-alive, Upgrade\r\nUpgrade: a\r\n", "Upgrade: a"),
        (
            "RFC 9110 §7.8",
            "with Content-Length: 0",
            "Connection: upgrade\r\nUpgrade: a\r\nContent-Length: 0\r\n",
            "Upgrade: a",
        ),
    ];
    let passed = passed.iter().map(|(source, what, lines, line)| {
        Case::passed(source, *what, get(lines), seen().has(&[line, "Connection: upgrade"]))
    });
    let dropped: &[(&str, &str, &str)] = &[
        ("RFC 9110 §7.8", "Upgrade that Connection does not name", "Upgrade: websocket\r\n"),
        ("RFC 9110 §7.8", "Connection that names no Upgrade", "Connection: upgrade\r\n"),
        ("h2c smuggling", "h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
        ("h2c smuggling", "h2c without settings", "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
        ("h2c smuggling", "h2c in another case", "Connection: Upgrade\r\nUpgrade: H2C\r\n"),
        ("h2c smuggling", "h2c behind another protocol", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"),
        ("RFC 9110 §7.8", "a name that looks like Upgrade", "Connection: Upgrade\r\nUp-grade: a\r\nX: 1\r\n"),
    ];
    let dropped = dropped.iter().map(|(source, what, lines)| {
        Case::passed(source, *what, get(lines), seen().lacks(&["upgrade", "connection", "http2-settings"]))
    });
    let others = [
        Case::passed(
            "RFC 9110 §7.8",
            "an upgrade in HTTP/1.0",
            format!("GET / HTTP/1.0\r\nHost: h\r\n{WEBSOCKET}\r\n"),
            seen().lacks(&["upgrade", "connection"]),
        )
        .closes(),
        Case::passed(
            "h2c smuggling",
            "h2c with a body",
            post(&format!("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: {}\r\n", SMUGGLED.len()), SMUGGLED),
            forwarded("POST / HTTP/1.1").lacks(&["upgrade"]).body(SMUGGLED),
        ),
    ];
    passed.chain(dropped).chain(others).collect()
}

/// What the backend may say to an upgrade, while the client hopes for a tunnel.
fn answered() -> Vec<Case> {
    let asks = |source: &'static str, what: &str, reply: &str, status: u16| {
        let request = format!("{}{}", get(WEBSOCKET), get("X: 2\r\n"));
        Case::passed(source, what, request, forwarded("GET / HTTP/1.1").has(&["Upgrade: websocket"]))
            .reply(reply)
            .answers(vec![answer(status), answer(status)])
            // Read as a request, whatever the client meant by it.
            .and(forwarded("GET / HTTP/1.1").has(&["X: 2"]).lacks(&["upgrade"]))
    };
    vec![
        asks("CVE-2024-23326 Envoy", "200 is no tunnel", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        asks(
            "websocket smuggling",
            "426 is no tunnel",
            "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n",
            426,
        ),
        asks("websocket smuggling", "503 is no tunnel", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503),
    ]
}

fn expectations() -> Vec<Case> {
    let expects = |value: &str| post(&format!("Expect: {value}\r\nContent-Length: 3\r\n"), "");
    let seen = || forwarded("POST / HTTP/1.1").body("abc");
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let mut cases: Vec<Case> = ["100-continue", "100-Continue", "100-continue, 100-continue"]
        .map(|value| {
            Case::passed("RFC 9110 §10.1.1", format!("Expect: {value}"), expects(value), seen())
                .reply_at_head(go_on)
                .reply(ok)
                .then(1, "abc")
                .answers(vec![answer(100), answer(200)])
        })
        .into();
    cases.extend([
        Case::passed("RFC 9110 §10.1.1", "a body that does not wait for 100", expects("100-continue") + "abc", seen()),
        Case::passed(
            "RFC 9110 §10.1.1",
            "Expect without a body",
            get("Expect: 100-continue\r\n"),
            forwarded("GET / HTTP/1.1"),
        ),
        Case::passed(
            "RFC 9110 §10.1.1",
            "Expect in HTTP/1.0 is not passed on",
            "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
            seen().lacks(&["expect"]),
        )
        .closes(),
        Case::passed(
            "0.CL by Expect",
            "what is refused instead of 100 leaves no body behind",
            expects("100-continue"),
            forwarded("POST / HTTP/1.1").cut(),
        )
        .reply_at_head("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        .answers(vec![answer(401).has(&["Connection: close"])])
        .backend_is_kept(false)
        .closes(),
    ]);
    cases
}

fn refused() -> Vec<Case> {
    let fields: &[(&str, &str, &str, u16, &str)] = &[
        (
            "RFC 9110 §7.8",
            "Upgrade in two lines",
            "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n",
            400,
            "bad_upgrade",
        ),
        ("RFC 9110 §7.8", "Upgrade without a protocol", "Connection: upgrade\r\nUpgrade:\r\n", 400, "bad_upgrade"),
        ("RFC 9110 §7.8", "Upgrade with two words", "Connection: upgrade\r\nUpgrade: a b\r\n", 400, "bad_upgrade"),
        (
            "websocket smuggling",
            "an upgrade with a length",
            "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n",
            400,
            "upgrade_with_body",
        ),
        (
            "websocket smuggling",
            "an upgrade with chunks",
            "Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
            400,
            "upgrade_with_body",
        ),
        ("RFC 9110 §10.1.1", "an expectation that nobody knows", "Expect: magic\r\n", 417, "unknown_expectation"),
        (
            "RFC 9110 §10.1.1",
            "another one beside 100-continue",
            "Expect: 100-continue, magic\r\n",
            417,
            "unknown_expectation",
        ),
        ("RFC 9110 §10.1.1", "no expectation", "Expect:\r\n", 417, "unknown_expectation"),
        ("0.CL by Expect", "a word in front of 100-continue", "Expect: y 100-continue\r\n", 417, "unknown_expectation"),
        ("0.CL by Expect", "100-continue in a folded line", "Expect:\r\n 100-continue\r\n", 400, "obs_fold"),
    ];
    let fields = fields.iter().map(|(source, what, lines, status, detail)| {
        Case::refused(source, *what, get(lines) + SMUGGLED, *status, detail)
    });
    let lines: &[(&str, &str, &str, &str, u16, &str)] = &[
        ("RFC 9110 §9.3.6", "CONNECT", "CONNECT h:80", "", 405, "connect"),
        ("CVE-2025-64763 Envoy", "CONNECT and what is sent ahead", "CONNECT h:443", "", 405, "connect"),
        ("RFC 9110 §9.3.6", "CONNECT with a length", "CONNECT h:80", "Content-Length: 0\r\n", 405, "connect"),
        ("RFC 9112 §3.2.3", "CONNECT without a port", "CONNECT h", "", 400, "bad_target"),
        ("RFC 9112 §3.2.3", "CONNECT with a path", "CONNECT /", "", 400, "bad_target"),
        ("RFC 9112 §3.2.3", "CONNECT with a URI", "CONNECT http://h:80/", "", 400, "bad_target"),
        ("RFC 9112 §3.2.3", "CONNECT with '*'", "CONNECT *", "", 400, "bad_target"),
        (
            "RFC 9110 §7.6.2",
            "Max-Forwards that is no number",
            "OPTIONS /",
            "Max-Forwards: x\r\n",
            400,
            "bad_max_forwards",
        ),
        ("RFC 9110 §7.6.2", "Max-Forwards below zero", "TRACE /", "Max-Forwards: -1\r\n", 400, "bad_max_forwards"),
        (
            "RFC 9110 §7.6.2",
            "Max-Forwards in two lines",
            "OPTIONS /",
            "Max-Forwards: 1\r\nMax-Forwards: 1\r\n",
            400,
            "bad_max_forwards",
        ),
    ];
    let lines = lines.iter().map(|(source, what, line, fields, status, detail)| {
        let request = format!("{line} HTTP/1.1\r\nHost: h\r\n{fields}\r\n{SMUGGLED}");
        Case::refused(source, *what, request, *status, detail)
    });
    fields.chain(lines).collect()
}
