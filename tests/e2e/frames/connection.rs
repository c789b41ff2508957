//! §6.3, §6.4, §6.6, §6.7 and §6.8: PRIORITY, `RST_STREAM`, `PUSH_PROMISE`, PING and GOAWAY.

use anyhow::{Context, Result, ensure};
use harness::h2::{Frame, H2Client, code::*, encode_fields, flag, kind};

use super::{
    case::{
        Case,
        Outcome::{Answered, Ended, PassedOver, Reset, Told},
        case,
    },
    message::{EVIL, data, get, last_data, ping, post, priority, pseudo},
    table,
};

pub(super) fn cases() -> Vec<Case> {
    let promise = [&[0, 0, 0, 2][..], &encode_fields(&pseudo("GET", EVIL))].concat();
    let mut cases = vec![
        case("§6.3", "PRIORITY of the connection", &[priority(0, 1)], Ended(&[PROTOCOL_ERROR])),
        case(
            "§6.3",
            "PRIORITY that is exclusive, of an open stream",
            &[post(1, "/fine", &[]), priority(1, 1 << 31), last_data(1, "x")],
            Answered(200),
        ),
        case(
            "§5.3.1",
            "PRIORITY that depends on itself",
            &[post(1, EVIL, &[]), priority(1, 1)],
            Reset(&[PROTOCOL_ERROR]),
        ),
        case("§6.4", "RST_STREAM of the connection", &[Frame::reset(0, CANCEL)], Ended(&[PROTOCOL_ERROR])),
        case(
            "§7",
            "RST_STREAM with a code that nobody knows",
            &[post(1, EVIL, &[]), Frame::reset(1, 0xbbbb)],
            PassedOver,
        ),
        case(
            "§6.4",
            "RST_STREAM within a body",
            &[post(1, EVIL, &[("content-length", "9")]), data(1, "abc"), Frame::reset(1, NO_ERROR)],
            PassedOver,
        ),
        case(
            "§8.4",
            "PUSH_PROMISE by a client",
            &[post(1, EVIL, &[]), Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &promise[..])],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "§6.6",
            "PUSH_PROMISE of the connection",
            &[Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, 0, &promise[..])],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "§6.6",
            "PUSH_PROMISE of an idle stream",
            &[Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, 1, promise)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case("§6.7", "PING of a stream", &[Frame { stream: 1, ..ping() }], Ended(&[PROTOCOL_ERROR])),
        case(
            "§6.7",
            "an answer to PING of a stream",
            &[Frame { stream: 1, flags: flag::ACK, ..ping() }],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case("§6.7", "PING is answered with its payload, and an answer is not", &[], Told(pings)),
        case(
            "§6.8",
            "GOAWAY of a stream",
            &[Frame { stream: 1, ..Frame::goaway(0, NO_ERROR) }],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "§6.8",
            "a request under way when the client says GOAWAY",
            &[post(1, "/fine", &[]), Frame::goaway(0, NO_ERROR), last_data(1, "abc")],
            Answered(200),
        )
        .unprobed(),
        case(
            "§6.8",
            "GOAWAY with a reason",
            &[post(1, "/fine", &[]), goaway_because(), last_data(1, "abc")],
            Answered(200),
        )
        .unprobed(),
        case(
            "§6.8",
            "GOAWAY twice",
            &[
                post(1, "/fine", &[]),
                Frame::goaway(u32::MAX >> 1, NO_ERROR),
                Frame::goaway(0, NO_ERROR),
                last_data(1, "abc"),
            ],
            Answered(200),
        )
        .unprobed(),
        case(
            "§6.8",
            "GOAWAY of a connection without streams",
            &[Frame::goaway(0, NO_ERROR)],
            super::case::Outcome::Closed,
        ),
    ];
    let large = |kind, lengths: &[usize], codes: &'static [u32]| -> Vec<Case> {
        let name = ["PRIORITY", "RST_STREAM", "", "", "PING", "GOAWAY", "WINDOW_UPDATE"][usize::from(kind) - 2];
        let stream = u32::from(!matches!(kind, kind::PING | kind::GOAWAY));
        let of = |length: &usize| {
            let frame = Frame::new(kind, flag::NONE, stream, vec![1; *length]);
            case("§4.2", format!("{name} of {length} bytes"), &[post(1, EVIL, &[]), frame], Ended(codes))
        };
        lengths.iter().map(of).collect()
    };
    cases.extend(large(kind::RST_STREAM, &[0, 3, 5], &[FRAME_SIZE_ERROR]));
    cases.extend(large(kind::PING, &[0, 7, 9], &[FRAME_SIZE_ERROR]));
    cases.extend(large(kind::GOAWAY, &[0, 7], &[FRAME_SIZE_ERROR]));
    cases.extend(large(kind::WINDOW_UPDATE, &[0, 3, 5], &[FRAME_SIZE_ERROR]));
    // An error of the stream may be one of the connection (§5.4.2).
    cases.extend(large(kind::PRIORITY, &[0, 4, 6], &[FRAME_SIZE_ERROR]));
    cases.push(case(
        "§4.2",
        "an answer to PING of 7 bytes",
        &[Frame::new(kind::PING, flag::ACK, 0, [0; 7])],
        Ended(&[FRAME_SIZE_ERROR]),
    ));
    cases
}

fn goaway_because() -> Frame {
    let mut frame = Frame::goaway(0, NO_ERROR);
    frame.payload.extend_from_slice(b"going home");
    frame
}

/// Answers have the payload; an answer that nobody waits for has none.
fn pings(client: &mut H2Client) -> Result<()> {
    client.send_frame(&Frame { flags: flag::ACK, ..ping() })?;
    for payload in [*b"12345678", [0; 8], [0xff; 8]] {
        client.send_frame(&Frame { payload: payload.to_vec(), ..ping() })?;
        let answer = loop {
            let frame = client.read_frame()?.context("the connection ends")?;
            if frame.kind == kind::PING {
                break frame;
            }
        };
        ensure!((answer.flags, answer.stream, &answer.payload[..]) == (flag::ACK, 0, &payload), "{answer:?}");
    }
    client.send_frame(&get(1, "/fine"))?;
    ensure!(client.response(1)?.status() == 200, "a request afterwards");
    Ok(())
}

#[test]
fn frames_of_the_connection() {
    table::run(&cases());
}
