//! Interim responses: never final, and never for a client that does not know them.

use super::{
    answer::{Answer, answer},
    case::{Case, End, forwarded},
    message::get,
    table,
};

#[test]
fn interim_responses_are_passed_on_and_never_final() {
    table::run(cases());
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The most interim responses that a response may have.
const MOST: usize = 32;

pub(super) fn cases() -> Vec<Case> {
    passed().into_iter().chain(broken()).chain(switching()).collect()
}

fn ok() -> Answer {
    answer(200).body("ok")
}

fn passed() -> Vec<Case> {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let case = |source, what: &str, interim: &str, answers| {
        Case::answered(source, what, format!("{interim}{OK}"), answers).backend_is_kept(true)
    };
    let old = |what: &str, interim: String| {
        let seen = forwarded("GET / HTTP/1.1");
        Case::passed("RFC 9110 §15.2", what, "GET / HTTP/1.0\r\n\r\n", seen).reply(format!("{interim}{OK}")).closes()
    };
    let hints = |count: usize| (0..count).map(|_| answer(103)).chain([ok()]).collect();
    vec![
        case("RFC 8297 §2", "103", hint, vec![answer(103).has(&["Link: </a>"]), ok()]),
        case("RFC 8297 §2", "103 twice", &hint.repeat(2), hints(2)),
        case("RFC 9110 §15.2.1", "100 that nobody asked for", "HTTP/1.1 100 Continue\r\n\r\n", vec![answer(100), ok()]),
        case("RFC 2518 §10.1", "102", "HTTP/1.1 102 Processing\r\n\r\n", vec![answer(102), ok()]),
        case(
            "RFC 9110 §15.2",
            "a status below 200 that nobody knows",
            "HTTP/1.1 199 Odd\r\n\r\n",
            vec![answer(199), ok()],
        ),
        case(
            "RFC 9110 §15.2",
            "100, 102 and 103",
            "HTTP/1.1 100 a\r\n\r\nHTTP/1.1 102 b\r\n\r\nHTTP/1.1 103 c\r\n\r\n",
            vec![answer(100), answer(102), answer(103), ok()],
        ),
        case(
            "RFC 9110 §8.6",
            "103 with a length",
            "HTTP/1.1 103 Hi\r\nContent-Length: 5\r\n\r\n",
            vec![answer(103), ok()],
        ),
        case(
            "RFC 9112 §6.1",
            "103 with chunks that are none",
            "HTTP/1.1 103 Hi\r\nTransfer-Encoding: chunked\r\n\r\n",
            vec![answer(103), ok()],
        ),
        case(
            "RFC 9110 §7.6.1",
            "103 with fields of one hop",
            "HTTP/1.1 103 Hi\r\nConnection: X-Own\r\nX-Own: 1\r\nKeep-Alive: timeout=1\r\nLink: </a>\r\n\r\n",
            vec![answer(103).has(&["Link: </a>"]).lacks(&["x-own", "connection"]), ok()],
        ),
        case("RFC 9110 §15.2", "as many as allowed", &hint.repeat(MOST), hints(MOST)),
        Case::answered(
            "RFC 9110 §15.2",
            "103 to a HEAD",
            format!("{hint}HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            vec![answer(103), answer(200).to("HEAD").has(&["Content-Length: 9"])],
        )
        .asking("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", forwarded("HEAD / HTTP/1.1"))
        .backend_is_kept(true),
        old("103 to HTTP/1.0", hint.to_owned()),
        old("100 to HTTP/1.0", "HTTP/1.1 100 Continue\r\n\r\n".to_owned()),
        old("several to HTTP/1.0", hint.repeat(5)),
    ]
}

fn broken() -> Vec<Case> {
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let bad = |source, what: &str, reply: String, answers: usize, detail| {
        let interim = (0..answers).map(|_| answer(103)).chain([answer(502)]).collect();
        Case::bad_response(source, what, reply, detail).answers(interim)
    };
    vec![
        bad("RFC 9110 §15.2", "more than allowed", hint.repeat(MOST + 1) + OK, MOST, "too_many_interim"),
        bad("RFC 9110 §15.2", "without an end", hint.repeat(1_000), MOST, "too_many_interim"),
        bad(
            "response smuggling",
            "103 with chunks behind it",
            format!("HTTP/1.1 103 Hi\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{OK}"),
            1,
            "bad_version",
        ),
        bad(
            "response smuggling",
            "103 with a body behind it",
            format!("HTTP/1.1 103 Hi\r\nContent-Length: 5\r\n\r\nhello{OK}"),
            1,
            "bad_version",
        ),
        bad(
            "RFC 9112 §6.3",
            "103 with two framings",
            format!("HTTP/1.1 103 Hi\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n{OK}"),
            0,
            "two_framings",
        ),
        bad("RFC 9112 §2.2", "103 that ends with LF", format!("HTTP/1.1 103 Hi\n\n{OK}"), 0, "bare_lf"),
        bad(
            "RFC 9110 §15.2",
            "a bad head behind 103",
            format!("{hint}HTTP/1.1 200 OK\r\nX : 1\r\n\r\n"),
            1,
            "space_before_colon",
        ),
        bad("RFC 9110 §15.2", "103 and then nothing", hint.to_owned(), 1, "")
            .backend_ends(End::Close)
            .logs("upstream_reset", None),
    ]
}

fn switching() -> Vec<Case> {
    let switches = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n";
    let asked = |what: &str, fields: &str, reply: &str| {
        Case::bad_response("RFC 9110 §15.2.2", what, reply, "unasked_upgrade")
            .asking(get(fields), forwarded("GET / HTTP/1.1"))
    };
    vec![
        Case::bad_response("RFC 9110 §15.2.2", "101 that nobody asked for", switches, "unasked_upgrade"),
        Case::bad_response(
            "RFC 9110 §15.2.2",
            "101 behind 100",
            format!("HTTP/1.1 100 Continue\r\n\r\n{switches}"),
            "unasked_upgrade",
        )
        .answers(vec![answer(100), answer(502)]),
        asked(
            "101 to h2c",
            "Connection: Upgrade\r\nUpgrade: h2c\r\n",
            "HTTP/1.1 101 a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        ),
        asked("101 to an upgrade that Connection does not name", "Upgrade: a\r\n", switches),
        asked("101 without Upgrade", "Connection: upgrade\r\nUpgrade: a\r\n", "HTTP/1.1 101 a\r\n\r\n"),
        asked(
            "101 without Connection",
            "Connection: upgrade\r\nUpgrade: a\r\n",
            "HTTP/1.1 101 a\r\nUpgrade: a\r\n\r\n",
        ),
        Case::bad_response("RFC 9110 §15.2.2", "101 to HTTP/1.0", switches, "unasked_upgrade")
            .asking("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n", forwarded("GET / HTTP/1.1"))
            .closes(),
    ]
}
