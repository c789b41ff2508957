//! §4.1, §4.2 and §5.5: how frames look, how large they are, and those that nobody knows.

use harness::h2::{Frame, code::*, flag, kind};

use super::{
    case::{
        Case,
        Outcome::{Answered, Ended, PassedOver, Reset},
        case,
    },
    message::{EVIL, block, data, get, last_data, ping, post, unknown},
    table,
};

const RESERVED: u32 = 1 << 31;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("§4.1", "an unknown frame on the connection", &[unknown(0)], PassedOver),
        case("§5.5", "an unknown frame on an idle stream", &[unknown(1)], PassedOver),
        case("§5.5", "an unknown frame on a stream of the server's", &[unknown(2)], PassedOver),
        case(
            "§5.5",
            "an unknown frame between head and body",
            &[post(1, "/fine", &[]), unknown(1), last_data(1, "abc")],
            Answered(200),
        ),
        case("§5.5", "an unknown frame on a closed stream", &[get(1, "/fine")], PassedOver)
            .after(1)
            .then(&[unknown(1)]),
        case(
            "§4.1",
            "ORIGIN, ALTSVC and PRIORITY_UPDATE",
            &[12, 10, 16].map(|kind| Frame::new(kind, 0, 0, [0; 4])),
            PassedOver,
        ),
        case(
            "§4.1",
            "the reserved bit of HEADERS",
            &[Frame { stream: RESERVED | 1, ..get(1, "/fine") }],
            Answered(200),
        )
        .forwards(&["GET /fine HTTP/1.1"]),
        case(
            "§4.1",
            "the reserved bit of DATA",
            &[post(1, "/fine", &[]), Frame { stream: RESERVED | 1, ..last_data(1, "abc") }],
            Answered(200),
        ),
        case("§4.1", "the reserved bit of PING", &[Frame { stream: RESERVED, ..ping() }], PassedOver),
        case("§6.9", "the reserved bit of an increment", &[Frame::window_update(0, RESERVED | 5)], PassedOver),
        case(
            "§4.2",
            "an unknown frame that is too large",
            &[Frame::new(0xbb, 0, 0, [0; 16_385])],
            Ended(&[FRAME_SIZE_ERROR]),
        ),
        case("§4.2", "HEADERS that are too large", &[block(1, [0; 16_385])], Ended(&[FRAME_SIZE_ERROR])),
        case(
            "§4.2",
            "SETTINGS that are too large",
            &[Frame::new(kind::SETTINGS, 0, 0, [0; 16_386])],
            Ended(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "§4.2",
            "DATA that is too large",
            &[post(1, EVIL, &[]), last_data(1, [0; 16_385])],
            Ended(&[FRAME_SIZE_ERROR]),
        ),
        case("§4.2", "DATA of the largest size", &[post(1, "/fine", &[]), last_data(1, [0; 16_384])], Answered(200)),
        case("§4.2", "the largest length of all", &[], Ended(&[FRAME_SIZE_ERROR])).then_bytes([
            0xff,
            0xff,
            0xff,
            kind::DATA,
            0,
            0,
            0,
            0,
            1,
        ]),
        case("§4.2", "SETTINGS of the largest size", &[Frame::settings(&[(0xbbbb, 1); 2730])], PassedOver),
        case(
            "§6.1",
            "a padded body",
            &[post(1, "/fine", &[]), padded(kind::DATA, flag::END_STREAM, 4, b"abc\0\0\0\0")],
            Answered(200),
        ),
        case(
            "§6.1",
            "nothing but padding",
            &[post(1, "/fine", &[]), padded(kind::DATA, flag::END_STREAM, 3, &[0; 3])],
            Answered(200),
        ),
        case(
            "§6.1",
            "padding as long as all that follows and one more",
            &[post(1, EVIL, &[]), padded(kind::DATA, flag::END_STREAM, 4, &[0; 3])],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "§6.1",
            "no room for the length of the padding",
            &[post(1, EVIL, &[]), Frame::new(kind::DATA, flag::PADDED | flag::END_STREAM, 1, [])],
            Ended(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        case(
            "§6.2",
            "HEADERS whose padding is too long",
            &[padded(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 200, &get(1, EVIL).payload)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "§6.2",
            "no room for the length of the padding of HEADERS",
            &[Frame::new(kind::HEADERS, flag::PADDED | flag::END_HEADERS, 1, [])],
            Ended(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        case(
            "§6.2",
            "no room for the priority of HEADERS",
            &[Frame::new(kind::HEADERS, flag::PRIORITY | flag::END_HEADERS, 1, [0; 4])],
            Ended(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        case(
            "§6.2",
            "padded HEADERS",
            &[padded(
                kind::HEADERS,
                flag::END_HEADERS | flag::END_STREAM,
                5,
                &[&get(1, "/fine").payload[..], &[0; 5]].concat(),
            )],
            Answered(200),
        ),
        case("§6.2", "HEADERS with a priority", &[prioritized(0)], Answered(200)),
        case(
            "§6.2",
            "HEADERS with padding and a priority",
            &[Frame::new(
                kind::HEADERS,
                flag::END_HEADERS | flag::END_STREAM | flag::PADDED | flag::PRIORITY,
                1,
                [&[2, 0, 0, 0, 0, 7][..], &get(1, "/fine").payload, &[0; 2]].concat(),
            )],
            Answered(200),
        ),
        case("§5.3.2", "HEADERS that depend on themselves", &[prioritized(1)], Reset(&[PROTOCOL_ERROR])),
    ];
    // Flags that are not defined have no meaning (§4.1).
    for (what, frame) in [
        ("PING", Frame { flags: 0xfe, ..ping() }),
        ("SETTINGS", Frame { flags: 0xfe, ..Frame::settings(&[]) }),
        ("WINDOW_UPDATE", Frame { flags: 0xff, ..Frame::window_update(0, 1) }),
        ("PRIORITY", Frame::new(kind::PRIORITY, 0xff, 1, [0, 0, 0, 0, 7])),
    ] {
        cases.push(case("§4.1", format!("undefined flags of {what}"), &[frame], PassedOver));
    }
    let unused = 0x02 | 0x10 | 0x40 | 0x80;
    let head = get(1, "/fine");
    cases.push(case(
        "§4.1",
        "undefined flags of HEADERS",
        &[Frame { flags: head.flags | unused, ..head }],
        Answered(200),
    ));
    let body = Frame { flags: flag::END_STREAM | unused | 0x24, ..last_data(1, "abc") };
    cases.push(case("§4.1", "undefined flags of DATA", &[post(1, "/fine", &[]), body], Answered(200)));
    let reset = Frame { flags: 0xff, ..Frame::reset(1, CANCEL) };
    cases.push(case(
        "§4.1",
        "undefined flags of RST_STREAM",
        &[post(1, "/fine", &[]), data(1, "abc"), reset],
        PassedOver,
    ));
    cases
}

fn padded(kind: u8, flags: u8, padding: u8, rest: &[u8]) -> Frame {
    Frame::new(kind, flags | flag::PADDED, 1, [&[padding][..], rest].concat())
}

/// A request that depends on the stream `parent`.
fn prioritized(parent: u32) -> Frame {
    let head = get(1, if parent == 1 { EVIL } else { "/fine" });
    let payload = [&parent.to_be_bytes()[..], &[15], &head.payload].concat();
    Frame { flags: head.flags | flag::PRIORITY, payload, ..head }
}

#[test]
fn formats() {
    table::run(&cases());
}
