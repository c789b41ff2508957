//! §5.1.1 and §5.1.2: the numbers of streams, and how many there are at a time.

use anyhow::{Result, ensure};
use harness::h2::{Frame, H2Client, code::*, flag};

use super::{
    case::{
        Case,
        Outcome::{Answered, Ended, Reset, Told},
        case,
    },
    message::{EVIL, get, headers, last_data, post},
    table,
};

const LAST: u32 = u32::MAX >> 1;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("§5.1.1", "an even number", &[get(2, EVIL)], Ended(&[PROTOCOL_ERROR])),
        case("§5.1.1", "the number of the connection", &[get(0, EVIL)], Ended(&[PROTOCOL_ERROR])),
        case("§5.1.1", "a lower number", &[get(5, "/fine")], Ended(&[PROTOCOL_ERROR, STREAM_CLOSED]))
            .after(5)
            .then(&[get(3, EVIL)]),
        case(
            "§5.1.1",
            "a lower number while the higher one is open",
            &[post(5, EVIL, &[]), get(3, EVIL)],
            Ended(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        case("§5.1.1", "numbers that are left out", &[get(1, "/fine"), get(77, "/fine")], Answered(200)).on(77),
        case("§5.1.1", "DATA of a number that was left out", &[get(5, "/fine")], Reset(&[STREAM_CLOSED]))
            .on(3)
            .after(5)
            .then(&[last_data(3, "x")]),
        case("§5.1.1", "the last number", &[get(LAST, "/fine")], Answered(200)).on(LAST).unprobed(),
        case("§5.1.2", "streams beyond the number that was advertised", &[], Told(too_many)),
    ]
}

/// 100 streams are open: further ones are refused until one ends. Nothing of them reaches a backend.
fn too_many(client: &mut H2Client) -> Result<()> {
    let streams: Vec<u32> = (0..100).map(|index| 2 * index + 1).collect();
    for stream in &streams {
        client.send_frame(&post(*stream, "/fine", &[]))?;
    }
    client.send_frame(&get(301, EVIL))?;
    client.send_frame(&post(303, EVIL, &[]))?;
    for stream in [301, 303] {
        let refused = client.response(stream)?;
        ensure!(refused.reset == Some(REFUSED_STREAM) && refused.status() == 0, "{refused:?}");
    }
    client.send_frame(&last_data(1, "x"))?;
    ensure!(client.response(1)?.text() == "POST 1", "the first stream");
    client.send_frame(&get(305, "/fine"))?;
    ensure!(client.response(305)?.status() == 200, "one more");
    // Those that were reset do not count.
    for (stream, next) in streams[1..3].iter().zip([307, 309]) {
        client.send_frame(&Frame::reset(*stream, CANCEL))?;
        client.send_frame(&headers(next, &super::message::pseudo("GET", "/fine"), flag::END_STREAM))?;
        ensure!(client.response(next)?.status() == 200, "one more for one that was reset");
    }
    Ok(())
}

#[test]
fn stream_ids() {
    table::run(&cases());
}
