//! §8.1 and §8.1.1: bodies of requests, their lengths and trailers.

use harness::h2::{Frame, code::*, flag};

use super::{
    case::{
        Case,
        Outcome::{Answered, Ended, Reset},
        case,
    },
    message::{EVIL, data, get_with, headers, last_data, post},
    table,
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let declared = |length| post(1, EVIL, &[("content-length", length)]);
    let trailers = |stream| headers(stream, &[("x-sum", "1")], flag::END_STREAM);
    for (what, frames) in [
        ("less than declared", vec![declared("3"), last_data(1, "ab")]),
        ("less than declared, in two frames", vec![declared("3"), data(1, "a"), last_data(1, "b")]),
        ("less than declared, and the end apart", vec![declared("3"), data(1, "ab"), last_data(1, "")]),
        ("less than declared, before trailers", vec![declared("3"), data(1, "ab"), trailers(1)]),
        ("nothing of what was declared", vec![declared("3"), last_data(1, "")]),
        ("nothing of what was declared, before trailers", vec![declared("3"), trailers(1)]),
        ("more than declared", vec![declared("3"), last_data(1, "abcd")]),
        ("more than declared, in two frames", vec![declared("3"), data(1, "abc"), last_data(1, "d")]),
        ("more than declared, without an end", vec![declared("3"), data(1, "abcd")]),
        ("something where nothing was declared", vec![declared("0"), last_data(1, "a")]),
        ("a length, and the end with the head", vec![get_with(1, EVIL, &[("content-length", "3")])]),
    ] {
        cases.push(case("§8.1.1", what, &frames, Reset(&[PROTOCOL_ERROR])));
    }
    for length in ["-1", "+3", "3 3", "0x3", "3,", "", "three", "3.0", "18446744073709551616", "3, 4"] {
        let frames = [declared(length), last_data(1, "abc")];
        cases.push(case("§8.1.1", format!("the length {length:?}"), &frames, Reset(&[PROTOCOL_ERROR])));
    }
    for (what, second) in [("twice the same length", "3"), ("two lengths", "4")] {
        let frames = [post(1, EVIL, &[("content-length", "3"), ("content-length", second)]), last_data(1, "abc")];
        cases.push(case("§8.1.1", what, &frames, Reset(&[PROTOCOL_ERROR])));
    }
    let open = post(1, EVIL, &[]);
    cases.extend([
        case(
            "§8.1",
            "trailers that do not end the stream",
            &[open.clone(), data(1, "a"), headers(1, &[("x", "1")], flag::NONE)],
            Reset(&[PROTOCOL_ERROR]),
        ),
        case(
            "§5.1",
            "DATA behind trailers",
            &[post(1, "/fine", &[]), trailers(1), data(1, "a")],
            Ended(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        case(
            "§5.1",
            "DATA behind the last DATA",
            &[post(1, "/fine", &[]), last_data(1, "a"), data(1, "b")],
            Ended(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        case(
            "§5.1",
            "two trailers",
            &[post(1, "/fine", &[]), trailers(1), trailers(1)],
            Ended(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        case("§6.1", "DATA of the connection", &[data(0, "x")], Ended(&[PROTOCOL_ERROR])),
    ]);
    cases.extend(served());
    cases
}

fn served() -> Vec<Case> {
    let chunked = "transfer-encoding: chunked";
    let line = "POST /fine HTTP/1.1";
    let sent = |what: &str, frames: &[Frame], lines: &[&'static str]| {
        case("§8.1", what, frames, Answered(200)).forwards(&[&[line], lines].concat())
    };
    let declared = post(1, "/fine", &[("content-length", "3")]);
    let open = post(1, "/fine", &[]);
    let trailers = headers(1, &[("x-sum", "1")], flag::END_STREAM);
    vec![
        sent("a body of the declared length", &[declared.clone(), last_data(1, "abc")], &["content-length: 3"]),
        sent(
            "a body of the declared length in pieces",
            &[declared.clone(), data(1, "a"), data(1, ""), data(1, "bc"), last_data(1, "")],
            &["content-length: 3"],
        ),
        sent("a declared length and trailers", &[declared, data(1, "abc"), trailers.clone()], &["content-length: 3"]),
        sent(
            "a length with zeros before it",
            &[post(1, "/fine", &[("content-length", "003")]), last_data(1, "abc")],
            &[],
        ),
        sent("no declared length", &[open.clone(), last_data(1, "abc")], &[chunked]),
        sent("no declared length, and trailers", &[open.clone(), data(1, "abc"), trailers.clone()], &[chunked]),
        sent("nothing but trailers", &[open.clone(), trailers], &[chunked]),
        sent("nothing but the end", &[open, last_data(1, "")], &[chunked]),
        sent(
            "a length of 0",
            &[post(1, "/fine", &[("content-length", "0")]), last_data(1, "")],
            &["content-length: 0"],
        ),
        sent(
            "no body",
            &[Frame { flags: flag::END_HEADERS | flag::END_STREAM, ..post(1, "/fine", &[]) }],
            &["content-length: 0"],
        ),
        case(
            "§8.1",
            "GET with a body",
            &[Frame { flags: flag::END_HEADERS, ..super::message::get(1, "/fine") }, last_data(1, "abc")],
            Answered(200),
        )
        .forwards(&["GET /fine HTTP/1.1", chunked]),
        case(
            "§8.1",
            "trailers of a length beside GET",
            &[get_with(1, "/fine", &[("content-length", "0")])],
            Answered(200),
        ),
    ]
}

#[test]
fn bodies() {
    table::run(&cases());
}
