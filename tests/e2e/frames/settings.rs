//! §6.5: SETTINGS.

use anyhow::{Context, Result, ensure};
use harness::h2::{Frame, H2Client, code::*, flag, kind};

use super::{
    case::{
        Case,
        Outcome::{Answered, Ended, PassedOver, Told},
        case,
    },
    message::{EVIL, get, ping},
    table,
};

const ENABLE_PUSH: u16 = 2;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case(
            "§6.5",
            "an acknowledgement with a payload",
            &[Frame::new(kind::SETTINGS, flag::ACK, 0, [0; 6])],
            Ended(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "§6.5",
            "SETTINGS of a stream",
            &[Frame { stream: 1, ..Frame::settings(&[]) }, get(1, EVIL)],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "§6.5",
            "an acknowledgement of a stream",
            &[Frame::new(kind::SETTINGS, flag::ACK, 1, [])],
            Ended(&[PROTOCOL_ERROR]),
        ),
        case(
            "§6.5.2",
            "a setting that nobody knows",
            &[Frame::settings(&[(0xbbbb, 7), (0, 0)]), get(1, "/fine")],
            Answered(200),
        ),
        case("§6.5.3", "SETTINGS are acknowledged, each once and in their order", &[], Told(acknowledged)),
        case(
            "§6.5.3",
            "the values of one frame count in their order",
            &[Frame::settings(&[(INITIAL_WINDOW_SIZE, 0), (INITIAL_WINDOW_SIZE, 100)]), get(1, "/abc")],
            Answered(200),
        ),
        case(
            "§6.5.2",
            "a large table, no streams, and a small list",
            &[Frame::settings(&[(1, u32::MAX), (3, 0), (6, 0)]), get(1, "/fine")],
            Answered(200),
        ),
    ];
    for length in [1, 5, 7, 11] {
        cases.push(case(
            "§6.5",
            format!("a payload of {length} bytes"),
            &[Frame::new(kind::SETTINGS, 0, 0, vec![0; length])],
            Ended(&[FRAME_SIZE_ERROR]),
        ));
    }
    for (id, value, codes) in [
        (ENABLE_PUSH, 2, &[PROTOCOL_ERROR][..]),
        (ENABLE_PUSH, u32::MAX, &[PROTOCOL_ERROR]),
        (INITIAL_WINDOW_SIZE, 1 << 31, &[FLOW_CONTROL_ERROR]),
        (INITIAL_WINDOW_SIZE, u32::MAX, &[FLOW_CONTROL_ERROR]),
        (MAX_FRAME_SIZE, 0, &[PROTOCOL_ERROR]),
        (MAX_FRAME_SIZE, 16_383, &[PROTOCOL_ERROR]),
        (MAX_FRAME_SIZE, 1 << 24, &[PROTOCOL_ERROR]),
        // RFC 8441 §3.
        (8, 2, &[PROTOCOL_ERROR]),
    ] {
        cases.push(case(
            "§6.5.2",
            format!("the setting {id} of {value}"),
            &[Frame::settings(&[(id, value)])],
            Ended(codes),
        ));
    }
    for (id, value) in [
        (ENABLE_PUSH, 0),
        (ENABLE_PUSH, 1),
        (INITIAL_WINDOW_SIZE, (1 << 31) - 1),
        (MAX_FRAME_SIZE, 16_384),
        (MAX_FRAME_SIZE, (1 << 24) - 1),
    ] {
        let frames = [Frame::settings(&[(id, value)]), get(1, "/fine")];
        cases.push(case("§6.5.2", format!("the setting {id} of {value}, which is allowed"), &frames, Answered(200)));
    }
    cases.push(
        case("§6.5.2", "a setting that is not allowed, in the preface", &[get(1, EVIL)], Ended(&[PROTOCOL_ERROR]))
            .settings(&[(ENABLE_PUSH, 7)]),
    );
    cases.push(case("§6.5", "SETTINGS within an open stream", &[Frame::settings(&[]), ping()], PassedOver));
    cases
}

/// Five SETTINGS and those of the preface: six acknowledgements, none more.
fn acknowledged(client: &mut H2Client) -> Result<()> {
    for value in 1..=5 {
        client.send_frame(&Frame::settings(&[(3, value)]))?;
    }
    client.send_frame(&ping())?;
    let mut acks = 0;
    loop {
        let frame = client.read_frame()?.context("the connection ends")?;
        match frame.kind {
            kind::SETTINGS if frame.has(flag::ACK) => {
                ensure!(frame.payload.is_empty() && frame.stream == 0, "{frame:?}");
                acks += 1;
            }
            kind::PING if frame.has(flag::ACK) => break,
            _ => {}
        }
    }
    ensure!(acks == 6, "{acks} acknowledgements");
    Ok(())
}

#[test]
fn settings() {
    table::run(&cases());
}
