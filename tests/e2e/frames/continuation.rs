//! §4.3, §6.2 and §6.10: blocks in several frames.

use harness::h2::{Frame, code::*, flag, kind};

use super::{
    case::{
        Case,
        Outcome::{Answered, Ended},
        case,
    },
    message::{EVIL, data, get, ping, post, priority, unknown},
    table,
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, sizes) in [("two", vec![10]), ("three, one of them empty", vec![10, 0]), ("four", vec![1; 3])] {
        cases.push(
            case("§6.10", format!("a head in {what} frames"), &pieces("/fine", &sizes), Answered(200))
                .forwards(&["GET /fine HTTP/1.1", "host: h"]),
        );
    }
    cases.push(case("§6.10", "a head whose first frame is empty", &pieces("/fine", &[0]), Answered(200)));
    let mut trailers = pieces_of(&Frame { flags: flag::END_HEADERS | flag::END_STREAM, ..trailer() }, &[3]);
    trailers.splice(0..0, [post(1, "/fine", &[]), data(1, "abc")]);
    cases.push(case("§6.10", "trailers in two frames", &trailers, Answered(200)));
    let mut flagged = pieces("/fine", &[10]);
    flagged[1].flags |= 0xfb;
    cases.push(case("§6.10", "undefined flags of CONTINUATION", &flagged, Answered(200)));
    // Nothing comes between.
    for (what, frame) in [
        ("DATA of the stream", data(1, "x")),
        ("DATA of another stream", data(3, "x")),
        ("HEADERS of the stream", get(1, EVIL)),
        ("HEADERS of another stream", get(3, EVIL)),
        ("PRIORITY", priority(1, 0)),
        ("RST_STREAM", Frame::reset(1, CANCEL)),
        ("SETTINGS", Frame::settings(&[])),
        ("an acknowledgement", Frame::new(kind::SETTINGS, flag::ACK, 0, [])),
        ("PING", ping()),
        ("GOAWAY", Frame::goaway(0, NO_ERROR)),
        ("WINDOW_UPDATE", Frame::window_update(0, 1)),
        ("an unknown frame", unknown(1)),
        ("an unknown frame of the connection", unknown(0)),
        ("PUSH_PROMISE", Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, 1, [0, 0, 0, 2])),
        ("CONTINUATION of another stream", Frame::new(kind::CONTINUATION, flag::END_HEADERS, 3, [])),
        ("CONTINUATION of the connection", Frame::new(kind::CONTINUATION, flag::END_HEADERS, 0, [])),
    ] {
        let mut frames = pieces(EVIL, &[10]);
        frames.insert(1, frame);
        cases.push(case("§6.10", format!("{what} within a head"), &frames, Ended(&[PROTOCOL_ERROR])));
    }
    let stray = |stream| Frame::new(kind::CONTINUATION, flag::END_HEADERS, stream, get(1, EVIL).payload);
    cases.extend([
        case("§6.10", "CONTINUATION of an idle stream", &[stray(1)], Ended(&[PROTOCOL_ERROR])),
        case("§6.10", "CONTINUATION of the connection", &[stray(0)], Ended(&[PROTOCOL_ERROR])),
        case("§6.10", "CONTINUATION behind a whole head", &[post(1, EVIL, &[]), stray(1)], Ended(&[PROTOCOL_ERROR])),
        case(
            "§6.10",
            "CONTINUATION behind DATA",
            &[post(1, EVIL, &[]), data(1, "abc"), stray(1)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case("§6.10", "CONTINUATION behind the end", &[get(1, "/fine")], Ended(&[PROTOCOL_ERROR]))
            .after(1)
            .then(&[stray(1)]),
    ]);
    cases
}

fn trailer() -> Frame {
    super::message::headers(1, &[("x-sum", "1")], flag::NONE)
}

/// `GET path` whose first frames have so many bytes of the block.
fn pieces(path: &str, sizes: &[usize]) -> Vec<Frame> {
    pieces_of(&get(1, path), sizes)
}

fn pieces_of(head: &Frame, sizes: &[usize]) -> Vec<Frame> {
    let mut rest = &head.payload[..];
    let mut frames = Vec::new();
    for size in sizes.iter().copied().chain([usize::MAX]) {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        let last = if size == usize::MAX { flag::END_HEADERS } else { flag::NONE };
        frames.push(match frames.is_empty() {
            true => Frame::new(kind::HEADERS, head.flags & !flag::END_HEADERS | last, head.stream, piece),
            false => Frame::new(kind::CONTINUATION, last, head.stream, piece),
        });
    }
    frames
}

#[test]
fn continuations() {
    table::run(&cases());
}
