//! §3.4: how a connection begins.

use harness::h2::{Frame, PREFACE, code::*, flag, kind};

use super::{
    case::{
        Case,
        Outcome::{Answered, Closed, Ended},
        case,
    },
    message::{EVIL, data, get, ping},
    table,
};

pub(super) fn cases() -> Vec<Case> {
    let settings = Frame::settings(&[]).bytes();
    let at_first = |what: &str, first: &[Frame], outcome| {
        let opening = [PREFACE, &first.iter().flat_map(Frame::bytes).collect::<Vec<u8>>()].concat();
        case("§3.4", what, &[], outcome).opens_with(opening)
    };
    let mut cases = vec![
        case("§3.4", "the request comes with the preface, before the server's SETTINGS", &[], Answered(200))
            .opens_with([PREFACE, &settings, &get(1, "/fine").bytes()].concat())
            .forwards(&["GET /fine HTTP/1.1", "host: h"]),
        case("§3.4", "the preface ends otherwise", &[get(1, EVIL)], Closed)
            .opens_with(&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"[..]),
        case("§3.4", "the preface stands twice", &[get(1, EVIL)], Ended(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]))
            .opens_with([PREFACE, PREFACE, &settings].concat()),
        case("§3.4", "an HTTP/1.1 request follows the preface", &[], Ended(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]))
            .opens_with([PREFACE, b"GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"].concat()),
        at_first("a request before SETTINGS", &[get(1, EVIL), Frame::settings(&[])], Ended(&[PROTOCOL_ERROR])),
        at_first("PING before SETTINGS", &[ping(), Frame::settings(&[])], Ended(&[PROTOCOL_ERROR])),
        at_first("WINDOW_UPDATE before SETTINGS", &[Frame::window_update(0, 1)], Ended(&[PROTOCOL_ERROR])),
        at_first("DATA before SETTINGS", &[data(1, "x")], Ended(&[PROTOCOL_ERROR])),
        at_first("an unknown frame before SETTINGS", &[Frame::new(0xbb, 0, 0, [])], Ended(&[PROTOCOL_ERROR])),
        at_first(
            "an acknowledgement before SETTINGS",
            &[Frame::new(kind::SETTINGS, flag::ACK, 0, []), get(1, EVIL)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        at_first("empty SETTINGS", &[Frame::settings(&[]), get(1, "/fine")], Answered(200))
            .forwards(&["GET /fine HTTP/1.1"]),
        at_first(
            "SETTINGS with every defined setting",
            &[Frame::settings(&[(1, 0), (2, 0), (3, 0), (4, 65_535), (5, 16_384), (6, 100)]), get(1, "/fine")],
            Answered(200),
        ),
    ];
    for (what, count) in [("alone", 24), ("with half a frame", 29)] {
        let opening = [PREFACE, &settings].concat();
        cases.push(
            case("§3.4", format!("the preface comes {what}"), &[], Answered(200))
                .opens_with(&opening[..count])
                .then_bytes(&opening[count..])
                .then(&[get(1, "/fine")]),
        );
    }
    cases
}

#[test]
fn prefaces() {
    table::run(&cases());
}
