//! §5.1: what may come on a stream in each of its states.
//!
//! A stream that the proxy still answers is made by a client whose windows are closed.

use harness::h2::{Frame, code::*, flag};

use super::{
    case::{
        Case,
        Outcome::{Answered, Ended, PassedOver, Reset},
        case,
    },
    message::{EVIL, data, get, get_with, headers, last_data, post, priority},
    table,
};

pub(super) fn cases() -> Vec<Case> {
    let reset = [Frame::reset(1, CANCEL)];
    let more = [Frame::window_update(1, 1000)];
    let trailers = [headers(1, &[("x-sum", "1")], flag::END_STREAM)];
    let mut cases = vec![
        // Idle.
        case("§5.1", "DATA of an idle stream", &[last_data(1, "x")], Ended(&[PROTOCOL_ERROR])),
        case("§6.4", "RST_STREAM of an idle stream", &reset, Ended(&[PROTOCOL_ERROR])),
        case("§5.1", "WINDOW_UPDATE of an idle stream", &more, Ended(&[PROTOCOL_ERROR])),
        case("§5.1", "PRIORITY of an idle stream", &[priority(1, 0)], PassedOver),
        case(
            "§5.1",
            "PRIORITY of an idle stream that is opened then",
            &[priority(1, 0), get(1, "/fine")],
            Answered(200),
        ),
        case(
            "§5.1",
            "RST_STREAM of a stream of the server's that is idle",
            &[Frame::reset(2, CANCEL)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "§5.1",
            "WINDOW_UPDATE of a stream of the server's that is idle",
            &[Frame::window_update(2, 1)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case("§5.1", "DATA of a stream of the server's that is idle", &[data(2, "x")], Ended(&[PROTOCOL_ERROR])),
        // Open.
        case("§5.1", "RST_STREAM of an open stream", &[post(1, EVIL, &[]), data(1, "x"), reset[0].clone()], PassedOver),
        case(
            "§5.1",
            "WINDOW_UPDATE and PRIORITY of an open stream",
            &[post(1, "/fine", &[]), more[0].clone(), priority(1, 0), last_data(1, "x")],
            Answered(200),
        ),
        case(
            "§8.1",
            "HEADERS that do not end an open stream",
            &[post(1, EVIL, &[]), headers(1, &[("x", "1")], flag::NONE)],
            Reset(&[PROTOCOL_ERROR]),
        ),
        case(
            "§5.1",
            "HEADERS that end a stream that was open",
            &[post(1, "/fine", &[]), trailers[0].clone()],
            Answered(200),
        ),
    ];
    // Half-closed: the request has ended, its response has not.
    let half_closed = |what: &str, frames: &[Frame], outcome| {
        case("§5.1", format!("{what} of a half-closed stream"), &[&[get(1, "/abc")], frames].concat(), outcome)
            .settings(&[(4, 0)])
    };
    let closed_codes = &[STREAM_CLOSED];
    // An error of the stream may be one of the connection (§5.4.2).
    let ended_codes = &[STREAM_CLOSED];
    cases.extend(
        [
            half_closed("DATA", &[data(1, "x")], Ended(ended_codes)),
            half_closed("empty DATA", &[last_data(1, "")], Ended(ended_codes)),
            half_closed("HEADERS", &[get(1, EVIL)], Ended(ended_codes)),
            half_closed("trailers", &trailers, Ended(ended_codes)),
            half_closed("WINDOW_UPDATE", &more, Answered(200)),
            half_closed("PRIORITY", &[priority(1, 0), more[0].clone()], Answered(200)),
            half_closed("RST_STREAM", &reset, PassedOver),
        ]
        .map(Case::unprobed),
    );
    // Closed, by the ends of both sides.
    let closed = |what: &str, frames: &[Frame], outcome| {
        case("§5.1", format!("{what} of a closed stream"), &[get(1, "/fine")], outcome).after(1).then(frames)
    };
    cases.extend([
        closed("DATA", &[data(1, "x")], Reset(closed_codes)),
        closed("HEADERS", &[get(1, EVIL)], Ended(ended_codes)),
        closed("trailers", &trailers, Ended(ended_codes)),
        closed("WINDOW_UPDATE", &more, PassedOver),
        closed("PRIORITY", &[priority(1, 0)], PassedOver),
        closed("RST_STREAM", &reset, PassedOver),
    ]);
    // Closed, by a reset of the client's.
    let given_up = |what: &str, frames: &[Frame], outcome| {
        let first = [post(1, EVIL, &[]), data(1, "x"), reset[0].clone()];
        case("§5.1", format!("{what} behind RST_STREAM"), &[&first[..], frames].concat(), outcome)
    };
    cases.extend([
        given_up("DATA", &[data(1, "x")], Reset(closed_codes)),
        given_up("HEADERS", &[get(1, EVIL)], Ended(ended_codes)),
        given_up("WINDOW_UPDATE", &more, PassedOver),
        given_up("PRIORITY", &[priority(1, 0)], PassedOver),
        given_up("RST_STREAM", &reset, PassedOver),
    ]);
    // Closed, by a reset of ours: what was under way is passed over.
    let refused = |what: &str, frames: &[Frame]| {
        let open = Frame { flags: flag::END_HEADERS, ..get_with(1, EVIL, &[("connection", "close")]) };
        case("§5.1", format!("{what} behind a reset of ours"), &[open], Answered(200))
            .after_reset(1)
            .then(frames)
            .then(&[get(3, "/fine")])
            .on(3)
    };
    cases.extend([
        refused("DATA", &[data(1, "x"), last_data(1, "x")]),
        refused("trailers", &trailers),
        refused("WINDOW_UPDATE", &more),
        refused("PRIORITY", &[priority(1, 0)]),
        refused("RST_STREAM", &reset),
        refused("an unknown frame", &[Frame::new(0xbb, 0, 1, [])]),
    ]);
    cases
}

#[test]
fn states() {
    table::run(&cases());
}
