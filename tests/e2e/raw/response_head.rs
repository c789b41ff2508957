//! Heads of responses: those that are none, and what becomes of those that are.

use super::{
    answer::{Answer, answer},
    case::{Case, End, forwarded},
    table,
};

#[test]
fn response_heads_have_one_reading() {
    table::run(cases());
}

pub(super) fn cases() -> Vec<Case> {
    broken().into_iter().chain(ended()).chain(passed()).collect()
}

fn broken() -> Vec<Case> {
    let lines: &[(&str, &str, &str, &str)] = &[
        ("RFC 9112 §4", "nonsense", "nonsense", "bad_version"),
        ("RFC 9112 §4", "an empty line in front", "\r\nHTTP/1.1 200 OK", "bad_version"),
        ("RFC 9112 §4", "a space in front", " HTTP/1.1 200 OK", "bad_version"),
        ("RFC 9112 §4", "a byte in front, left from a response before", "xHTTP/1.1 200 OK", "bad_version"),
        ("RFC 9112 §2.3", "a version in lower case", "http/1.1 200 OK", "bad_version"),
        ("RFC 9113 §3", "HTTP/2", "HTTP/2 200", "bad_version"),
        ("RFC 9112 §2.3", "HTTP/2.0", "HTTP/2.0 200 OK", "unsupported_version"),
        ("RFC 9112 §2.3", "HTTP/1.2", "HTTP/1.2 200 OK", "unsupported_version"),
        ("cross-protocol", "Shoutcast", "ICY 200 OK", "bad_version"),
        ("cross-protocol", "a banner", "SSH-2.0-OpenSSH_9.9", "bad_version"),
        ("cross-protocol", "a TLS alert", "\x15\x03\x03\0\x02\x02\x28", "bad_version"),
        ("RFC 9112 §4", "two spaces before the status", "HTTP/1.1  200 OK", "bad_status"),
        ("RFC 9112 §4", "a tab before the status", "HTTP/1.1\t200 OK", "bad_status_line"),
        ("RFC 9112 §4", "a tab behind the status", "HTTP/1.1 200\tOK", "bad_status_line"),
        ("RFC 9112 §4", "no status", "HTTP/1.1 OK", "bad_status"),
        ("RFC 9110 §15", "a status of two digits", "HTTP/1.1 20 OK", "bad_status"),
        ("RFC 9110 §15", "a status of four digits", "HTTP/1.1 2000 OK", "bad_status"),
        ("RFC 9110 §15", "status 099", "HTTP/1.1 099 OK", "bad_status"),
        ("RFC 9110 §15", "status 600", "HTTP/1.1 600 OK", "bad_status"),
        ("RFC 9110 §15", "status 999", "HTTP/1.1 999 OK", "bad_status"),
        ("RFC 9110 §15", "a signed status", "HTTP/1.1 +20 OK", "bad_status"),
        ("CVE-2022-38150 Varnish", "a control byte in the reason", "HTTP/1.1 200 O\x01K", "control_byte"),
        ("RFC 9112 §4", "a CR in the reason", "HTTP/1.1 200 O\rK", "bare_cr"),
        ("RFC 9112 §2.2", "LF for CR LF", "HTTP/1.1 200 OK\nX: 1", "bare_lf"),
        ("RFC 9112 §5.1", "a space before the colon", "HTTP/1.1 200 OK\r\nX : 1", "space_before_colon"),
        ("RFC 9112 §5", "no colon", "HTTP/1.1 200 OK\r\nX", "bad_field_name"),
        ("RFC 9112 §5", "an empty name", "HTTP/1.1 200 OK\r\n: 1", "bad_field_name"),
        ("RFC 9112 §5.2", "a folded field", "HTTP/1.1 200 OK\r\nX: 1\r\n 2", "obs_fold"),
        ("RFC 9112 §2.2", "a space in front of the first field", "HTTP/1.1 200 OK\r\n X: 1", "leading_space"),
        ("response splitting", "LF in a field", "HTTP/1.1 200 OK\r\nLocation: /\nSet-Cookie: evil=1", "bare_lf"),
        ("response splitting", "CR in a field", "HTTP/1.1 200 OK\r\nLocation: /\rSet-Cookie: evil=1", "bare_cr"),
        ("RFC 9110 §5.5", "a NUL in a field", "HTTP/1.1 200 OK\r\nX: a\0b", "control_byte"),
        (
            "RFC 9112 §6.3",
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3",
            "repeated_content_length",
        ),
        (
            "RFC 9112 §6.3",
            "two that agree",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2",
            "repeated_content_length",
        ),
        ("RFC 9112 §6.3", "a list", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2", "bad_content_length"),
        ("RFC 9112 §6.3", "a length below zero", "HTTP/1.1 200 OK\r\nContent-Length: -2", "bad_content_length"),
        (
            "RFC 9112 §6.3",
            "a length that overflows",
            "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618",
            "bad_content_length",
        ),
        (
            "RFC 9112 §6.3",
            "a length that is below zero where numbers are signed",
            "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808",
            "bad_content_length",
        ),
        ("RFC 9112 §6.3", "an empty length", "HTTP/1.1 200 OK\r\nContent-Length:", "bad_content_length"),
        (
            "RFC 9112 §6.3",
            "a length and chunks",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked",
            "two_framings",
        ),
        (
            "RFC 9112 §6.1",
            "another coding",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
            "unknown_transfer_coding",
        ),
        (
            "RFC 9112 §6.1",
            "chunked twice",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked",
            "bad_transfer_encoding",
        ),
        (
            "RFC 9112 §6.3",
            "a coding without chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
            "bad_transfer_encoding",
        ),
        ("RFC 9112 §6.1", "identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity", "bad_transfer_encoding"),
        (
            "RFC 9112 §6.1",
            "chunks in HTTP/1.0",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
            "transfer_encoding_in_http10",
        ),
        ("RFC 9110 §7.6.1", "a Connection that is none", "HTTP/1.1 200 OK\r\nConnection: a b", "bad_connection"),
        (
            "RFC 9110 §7.8",
            "two Upgrades",
            "HTTP/1.1 426 a\r\nConnection: upgrade\r\nUpgrade: a\r\nUpgrade: b",
            "bad_upgrade",
        ),
    ];
    let lines = lines
        .iter()
        .map(|(source, what, lines, detail)| Case::bad_response(source, *what, format!("{lines}\r\n\r\nok"), detail));
    let fields: String = (0..257).map(|index| format!("X-{index}: 1\r\n")).collect();
    let long = "x".repeat(70_000);
    let large = [
        ("a field over the limit of a head", format!("HTTP/1.1 200 OK\r\nX: {long}\r\n\r\n"), "head_too_large"),
        ("a head without an end", format!("HTTP/1.1 200 {long}"), "head_too_large"),
        ("more than 256 fields", format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), "too_many_fields"),
    ];
    let large = large.map(|(what, reply, detail)| Case::bad_response("RFC 9110 §17.5", what, reply, detail));
    lines.chain(large).collect()
}

/// Connections that end before a head does.
fn ended() -> Vec<Case> {
    let ended = |what: &str, reply: &str| {
        Case::bad_response("RFC 9112 §8", what, reply, "")
            .backend_ends(End::Close)
            .answers(vec![answer(502).lacks(&["connection"])])
            .logs("upstream_reset", None)
    };
    vec![
        ended("a part of a status line", "HTTP/1.1 20"),
        ended("a status line", "HTTP/1.1 200 OK\r\n"),
        ended("a part of a field", "HTTP/1.1 200 OK\r\nX: 1"),
        ended("no empty line", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"),
        ended("half an empty line", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r"),
    ]
}

fn passed() -> Vec<Case> {
    let case = |source, what: &str, head: &str, answer: Answer| {
        Case::answered(source, what, format!("{head}\r\nContent-Length: 2\r\n\r\nok"), vec![answer.body("ok")])
            .backend_is_kept(true)
    };
    let ok = || answer(200);
    let plain = "HTTP/1.1 200 OK\r\n";
    vec![
        case("RFC 9112 §4", "another reason", "HTTP/1.1 299 Very Fine", answer(299)),
        case("RFC 9112 §4", "no reason", "HTTP/1.1 200 ", ok()),
        case("RFC 9112 §4", "no space behind the status", "HTTP/1.1 200", ok()),
        case("RFC 9112 §4", "a reason above 127", "HTTP/1.1 200 \u{e9}", ok()),
        case("RFC 9110 §15", "a status that nobody knows", "HTTP/1.1 599 a", answer(599)),
        case(
            "RFC 9110 §6.6.1",
            "Date is kept",
            &format!("{plain}Date: Thu, 01 Jan 1970 00:00:00 GMT"),
            ok().has(&["Date: Thu, 01 Jan 1970 00:00:00 GMT"]),
        ),
        case("RFC 9110 §10.2.4", "Server is kept", &format!("{plain}Server: a/1"), ok().has(&["Server: a/1"])),
        case(
            "RFC 9110 §5.3",
            "fields keep order and spelling",
            &format!("{plain}X-a: 1\r\nx-B:  2 "),
            ok().has(&["X-a: 1\r\nx-B:  2 "]),
        ),
        case(
            "RFC 6265 §3",
            "cookies stay apart",
            &format!("{plain}Set-Cookie: a=1\r\nSet-Cookie: b=2"),
            ok().has(&["Set-Cookie: a=1\r\nSet-Cookie: b=2"]),
        ),
        case(
            "RFC 9110 §7.6.1",
            "Connection and what it names",
            &format!("{plain}Connection: keep-alive, X-Own\r\nX-Own: 1\r\nX: 1"),
            ok().has(&["X: 1"]).lacks(&["connection", "x-own"]),
        ),
        case(
            "RFC 9110 §7.6.1",
            "Connection that names Content-Length",
            &format!("{plain}Connection: Content-Length"),
            ok().has(&["Content-Length: 2"]),
        ),
        case("RFC 9112 §C.2.2", "Keep-Alive", &format!("{plain}Keep-Alive: timeout=9"), ok().lacks(&["keep-alive"])),
        case(
            "RFC 9110 §11.7.1",
            "Proxy-Authenticate",
            &format!("{plain}Proxy-Authenticate: Basic"),
            ok().lacks(&["proxy-authenticate"]),
        ),
        case("RFC 9110 §7.8", "Upgrade without 101", &format!("{plain}Upgrade: h2c"), ok().lacks(&["upgrade"])),
        case(
            "RFC 9110 §15.5.22",
            "426 says to what",
            "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: a/1",
            answer(426).has(&["Upgrade: a/1", "Connection: upgrade"]),
        ),
        case("look-alike", "Content_Length", &format!("{plain}Content_Length: 9"), ok().lacks(&["content_length"])),
        case(
            "RFC 9112 §9.6",
            "close of the backend is its own",
            &format!("{plain}Connection: close"),
            ok().lacks(&["connection"]),
        )
        .backend_is_kept(false),
        case("RFC 9112 §9.3", "so is HTTP/1.0", "HTTP/1.0 200 OK", ok().lacks(&["connection"])).backend_is_kept(false),
        case("RFC 9112 §C.2.2", "HTTP/1.0 with keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive", ok()),
        case("RFC 9112 §9.3", "the client's version is its own", plain.trim_end(), ok().has(&["Connection: close"]))
            .asking("GET / HTTP/1.0\r\n\r\n", forwarded("GET / HTTP/1.1"))
            .closes(),
    ]
}
