//! Bodies of responses: whole or visibly not, and never more than that.

use super::{
    answer::{Answer, answer},
    case::{Case, End, forwarded},
    message::{get, post},
    table,
};

#[test]
fn bodies_of_responses_are_whole_or_visibly_not() {
    table::run(cases());
}

pub(super) fn cases() -> Vec<Case> {
    whole().into_iter().chain(without()).chain(more()).chain(cut()).chain(early()).collect()
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const OLD: &str = "GET / HTTP/1.0\r\n\r\n";

fn seen() -> super::case::Forwarded {
    forwarded("GET / HTTP/1.1")
}

fn whole() -> Vec<Case> {
    let chunks = |source, what: &str, body: &str, answer: Answer| {
        Case::answered(source, what, format!("{CHUNKED}{body}"), vec![answer]).backend_is_kept(true)
    };
    let until_close = |what: &str, head: &str| {
        Case::answered(
            "RFC 9112 §6.3",
            what,
            format!("{head}\r\n\r\nto the end"),
            vec![answer(200).body("to the end").has(&["Transfer-Encoding: chunked"])],
        )
        .backend_ends(End::Close)
        .backend_is_kept(false)
    };
    let ok = || answer(200).has(&["Transfer-Encoding: chunked"]);
    vec![
        chunks("RFC 9112 §7.1", "chunks", "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", ok().body("abcdefg")),
        chunks("RFC 9112 §7.1", "no chunks", "0\r\n\r\n", ok().body("")),
        chunks("RFC 9112 §7.1.1", "extensions", "3;a=b\r\nabc\r\n0;c\r\n\r\n", ok().body("abc")),
        chunks("RFC 9112 §7.1.2", "trailers", "1\r\na\r\n0\r\nX: 1\r\n\r\n", ok().body("a").trailers("X: 1\r\n")),
        chunks(
            "RFC 9110 §6.5.1",
            "trailers that must not be",
            "0\r\nSet-Cookie: a\r\nX: 1\r\nDate: b\r\n\r\n",
            ok().trailers("X: 1\r\n"),
        ),
        until_close("until the end", "HTTP/1.1 200 OK"),
        until_close("until the end, with close", "HTTP/1.1 200 OK\r\nConnection: close"),
        until_close("until the end, with keep-alive", "HTTP/1.1 200 OK\r\nConnection: keep-alive"),
        until_close("until the end, in HTTP/1.0", "HTTP/1.0 200 OK"),
        Case::answered("RFC 9112 §6.3", "nothing until the end", "HTTP/1.1 200 OK\r\n\r\n", vec![answer(200).body("")])
            .backend_ends(End::Close),
        Case::passed("RFC 9112 §6.1", "chunks to HTTP/1.0", OLD, seen())
            .reply(format!("{CHUNKED}3;x\r\nabc\r\n2\r\nde\r\n0\r\nX: 1\r\n\r\n"))
            .answers(vec![answer(200).body("abcde").lacks(&["transfer-encoding"]).has(&["Connection: close"])])
            .closes(),
        Case::passed(
            "RFC 9112 §6.1",
            "chunks to HTTP/1.0 with keep-alive",
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            seen(),
        )
        .reply(format!("{CHUNKED}3\r\nabc\r\n0\r\n\r\n"))
        .answers(vec![answer(200).body("abc").has(&["Connection: close"])])
        .closes(),
        Case::passed("RFC 9112 §6.3", "until the end to HTTP/1.0", OLD, seen())
            .reply("HTTP/1.1 200 OK\r\n\r\nto the end")
            .backend_ends(End::Close)
            .backend_is_kept(false)
            .answers(vec![answer(200).body("to the end").lacks(&["transfer-encoding"])])
            .closes(),
    ]
}

/// Responses without a body, whatever they say.
fn without() -> Vec<Case> {
    let head = |what: &str, reply: &str, answer: Answer| {
        Case::answered("RFC 9110 §9.3.2", what, reply, vec![answer.to("HEAD").body("")])
            .asking("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", forwarded("HEAD / HTTP/1.1"))
            .backend_is_kept(true)
    };
    let get = |source, what: &str, reply: &str, answer: Answer| {
        Case::answered(source, what, reply, vec![answer.body("")]).backend_is_kept(true)
    };
    vec![
        head(
            "HEAD with a length",
            "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
            answer(200).has(&["Content-Length: 1000"]),
        ),
        head("HEAD with chunks", CHUNKED, answer(200)),
        head("HEAD without either", "HTTP/1.1 200 OK\r\n\r\n", answer(200).lacks(&["content-length", "connection"])),
        get("RFC 9110 §15.3.5", "204", "HTTP/1.1 204 No Content\r\n\r\n", answer(204)),
        get("RFC 9110 §8.6", "204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", answer(204)),
        get(
            "RFC 9112 §6.1",
            "204 with chunks",
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
            answer(204),
        ),
        get(
            "RFC 9110 §15.4.5",
            "304",
            "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
            answer(304).has(&["ETag: \"a\""]),
        ),
        get(
            "RFC 9110 §8.6",
            "304 with a length",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
            answer(304).has(&["Content-Length: 10"]),
        ),
        get(
            "RFC 9112 §6.1",
            "304 with chunks",
            "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
            answer(304),
        ),
        get("RFC 9110 §15.3.6", "205 without a length", "HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", answer(205)),
    ]
}

/// Bytes behind the end reach nobody, and the backend's connection is not used again.
fn more() -> Vec<Case> {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let more = |what: &str, reply: String, answer: Answer| {
        Case::answered("response queue poisoning", what, reply, vec![answer]).backend_is_kept(false).unsplit()
    };
    vec![
        more(
            "more than the length",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay".to_owned(),
            answer(200).body("ok"),
        ),
        more(
            "a second response",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{evil}"),
            answer(200).body("ok"),
        ),
        more("one behind chunks", format!("{CHUNKED}2\r\nok\r\n0\r\n\r\n{evil}"), answer(200).body("ok")),
        more(
            "one behind trailers",
            format!("{CHUNKED}0\r\nX: 1\r\n\r\n{evil}"),
            answer(200).body("").trailers("X: 1\r\n"),
        ),
        more("one behind nothing", format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n{evil}"), answer(200).body("")),
        more("a body behind 204", "HTTP/1.1 204 a\r\nContent-Length: 4\r\n\r\nevil".to_owned(), answer(204).body("")),
        more("a body behind 304", "HTTP/1.1 304 a\r\nContent-Length: 4\r\n\r\nevil".to_owned(), answer(304).body("")),
        more(
            "chunks behind 204",
            "HTTP/1.1 204 a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            answer(204),
        ),
        more("a line break", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n".to_owned(), answer(200).body("ok")),
        more(
            "a body behind HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil".to_owned(),
            answer(200).to("HEAD").body(""),
        )
        .asking("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", forwarded("HEAD / HTTP/1.1")),
        more(
            "a response to a request that waits",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{evil}"),
            answer(200).body("ok"),
        )
        .asking([get("X: 1\r\n"), get("X: 2\r\n")].concat(), seen().has(&["X: 1"]))
        .answers(vec![answer(200).body("ok"), answer(200).body("ok")])
        .and(seen().has(&["X: 2"])),
    ]
}

/// Bodies that break off behind the head. The client can tell, whatever its version.
fn cut() -> Vec<Case> {
    let cut = |what: &str, first: String, later: &str| {
        Case::answered("RFC 9112 §8", what, first, vec![answer(200).cut()]).later(later).closes().backend_is_kept(false)
    };
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_owned();
    let chunks = || format!("{CHUNKED}3\r\nabc\r\n");
    let ends = |case: Case, end| case.backend_ends(end).logs("upstream_reset", None);
    let bad = |what: &str, later: &str, detail| cut(what, chunks(), later).logs("bad_response", Some(detail));
    vec![
        ends(cut("less than the length", length.clone(), "abc"), End::Close),
        ends(cut("a reset within the length", length, "abc"), End::Reset),
        ends(cut("no last chunk", chunks(), "1\r\nd\r\n"), End::Close),
        ends(cut("a chunk that ends inside", chunks(), "5\r\nab"), End::Close),
        ends(cut("a size that ends inside", chunks(), "5"), End::Close),
        ends(cut("a last chunk without the empty line", chunks(), "0\r\n"), End::Close),
        ends(cut("trailers without an end", chunks(), "0\r\nX: 1\r\n"), End::Close),
        ends(cut("a reset between chunks", chunks(), "1\r\nd\r\n"), End::Reset),
        ends(cut("a reset where the end would be", "HTTP/1.1 200 OK\r\n\r\nabc".to_owned(), "d"), End::Reset),
        bad("a size that is no number", "zz\r\nabc", "bad_chunk_size"),
        bad("a size that overflows", "10000000000000001\r\na\r\n0\r\n\r\n", "bad_chunk_size"),
        bad(
            "a size that is below zero where numbers are signed",
            "8000000000000000\r\na\r\n0\r\n\r\n",
            "bad_chunk_size",
        ),
        bad("more data than the size", "1\r\nab\r\n0\r\n\r\n", "bad_chunk_end"),
        bad("a size that ends with LF", "1\na\r\n0\r\n\r\n", "bare_lf"),
        bad("an extension with LF", "1;a\na\r\n0\r\n\r\n", "bare_lf"),
        bad("a trailer that is none", "0\r\nX : 1\r\n\r\n", "space_before_colon"),
        bad("Content-Length as a trailer", "0\r\nContent-Length: 3\r\n\r\n", "forbidden_trailer"),
        bad("a response within the chunks", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "bad_chunk_size"),
        // Without a length or chunks only a reset tells.
        ends(cut("chunks to HTTP/1.0 without the last", chunks(), "1\r\nd\r\n"), End::Close).asking(OLD, seen()),
        bad("broken chunks to HTTP/1.0", "zz\r\n", "bad_chunk_size").asking(OLD, seen()),
        ends(cut("a reset for HTTP/1.0", "HTTP/1.1 200 OK\r\n\r\nabc".to_owned(), "d"), End::Reset).asking(OLD, seen()),
        ends(
            cut("less than the length for HTTP/1.0", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_owned(), "abc"),
            End::Close,
        )
        .asking(OLD, seen()),
    ]
}

/// Responses that come before the request is whole.
fn early() -> Vec<Case> {
    let part = |fields: &str, body: &str, reply: &str, status: u16| {
        Case::passed(
            "RFC 9112 §9.5",
            format!("{status} before the body"),
            post(fields, body),
            forwarded("POST / HTTP/1.1").cut(),
        )
        .reply_at_head(reply)
        .answers(vec![answer(status).has(&["Connection: close"])])
        .backend_is_kept(false)
        .closes()
    };
    vec![
        part("Content-Length: 10\r\n", "abc", "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig", 413),
        part("Content-Length: 10\r\n", "", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        part(
            "Transfer-Encoding: chunked\r\n",
            "1\r\na\r\n",
            "HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            401,
        ),
    ]
}
