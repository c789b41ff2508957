//! Frames that cost the client little and us something each.

use harness::h2::{Frame, code::*, encode_fields, encode_integer, flag, kind};

use super::attack::{Attack, PATH, run};

const CALM: u32 = ENHANCE_YOUR_CALM;

fn block() -> Vec<u8> {
    encode_fields(&[(":method", "POST"), (":scheme", "http"), (":authority", "h"), (":path", PATH)])
}

fn post(flags: u8) -> Frame {
    Frame::new(kind::HEADERS, flags, 1, block())
}

fn flood(name: &'static str, guards: &'static [&'static str], round: fn(u32) -> Vec<Frame>) -> Attack {
    Attack { name, opening: vec![post(flag::END_HEADERS)], round, code: CALM, guards, most: 0 }
}

#[test]
fn frames_without_use() {
    run(&[
        flood("PING (CVE-2019-9512)", &["ping"], |_| vec![Frame::new(kind::PING, flag::NONE, 0, [0; 8])]),
        flood("SETTINGS (CVE-2019-9515)", &["settings"], |_| vec![Frame::settings(&[])]),
        flood("SETTINGS with many values", &["settings"], |round| {
            vec![Frame::settings(&[(4, 65_535 + round % 2); 2000])]
        }),
        flood("empty DATA (CVE-2019-9518)", &["empty_data"], |_| vec![Frame::new(kind::DATA, flag::NONE, 1, [])]),
        flood("DATA of nothing but padding", &["empty_data"], |_| vec![Frame::new(kind::DATA, flag::PADDED, 1, [0])]),
        flood("WINDOW_UPDATE of the connection", &["window_update"], |_| vec![Frame::window_update(0, 1)]),
        flood("WINDOW_UPDATE of a stream", &["window_update"], |_| vec![Frame::window_update(1, 1)]),
        flood("PRIORITY (CVE-2019-9513)", &["passed_over"], |round| {
            vec![Frame::new(kind::PRIORITY, flag::NONE, 2 * round + 3, [0, 0, 0, 1, 7])]
        }),
        flood("unknown frames", &["passed_over"], |_| vec![Frame::new(0xbb, 0, 0, [0; 100])]),
    ]);
}

#[test]
fn heads_without_end() {
    let head = |block: Vec<u8>| Frame::new(kind::HEADERS, flag::END_STREAM, 1, block);
    let opening = vec![head(block())];
    let flood =
        |name, round| Attack { name, opening: opening.clone(), round, code: CALM, guards: &["continuation"], most: 0 };
    run(&[
        flood("CONTINUATION (CVE-2024-27316)", |_| {
            let fields = encode_fields(&[("x", &"x".repeat(16_000))]);
            vec![Frame::new(kind::CONTINUATION, flag::NONE, 1, fields)]
        }),
        flood("CONTINUATION of a byte", |_| {
            vec![Frame::new(kind::CONTINUATION, flag::NONE, 1, encode_fields(&[("x", "")]))]
        }),
        flood("CONTINUATION without bytes", |_| vec![Frame::new(kind::CONTINUATION, flag::NONE, 1, [])]),
        // One value that is longer than all that a head may be: it stays in pieces.
        flood("CONTINUATION of one value", |_| vec![Frame::new(kind::CONTINUATION, flag::NONE, 1, [b'a'; 16_384])]),
    ]);
}

/// Each frame of a few bytes stands for more than a head may have. The connection's own task reads them, so nobody else of the worker
/// was served.
#[test]
fn trailers_of_a_stream_that_was_reset() {
    // Malformed, for it has no path; its field is in the table all the same.
    let mut opening = encode_fields(&[(":method", "POST"), (":scheme", "http"), (":authority", "h")]);
    opening.extend([0x40, 1, b'x']);
    encode_integer(&mut opening, 7, 0, 4000);
    opening.extend([b'x'; 4000]);
    run(&[Attack {
        name: "trailers of a stream that was reset",
        opening: vec![Frame::new(kind::HEADERS, flag::END_HEADERS, 1, opening)],
        round: |_| vec![Frame::new(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, [0x80 | 62; 17])],
        code: CALM,
        guards: &["passed_over"],
        most: 0,
    }]);
}

#[test]
fn hpack_bombs() {
    run(&[
        Attack {
            name: "HPACK bomb (CVE-2016-1544)",
            opening: vec![],
            round: |round| {
                // An entry of 4,000 bytes, and 12,000 references to it: a frame of 16 KiB has fields of 48 MB.
                let mut bomb = block();
                bomb.extend([0x40, 1, b'x']);
                encode_integer(&mut bomb, 7, 0, 4000);
                bomb.extend([b'x'; 4000]);
                bomb.extend([0x80 | 62; 12_000]);
                vec![Frame::new(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 2 * round + 1, bomb)]
            },
            code: CALM,
            guards: &["header_list"],
            most: 0,
        },
        Attack {
            name: "lists of fields without bytes",
            opening: vec![],
            round: |round| {
                let mut bomb = block();
                // `accept-encoding: gzip, deflate` of the static table, 16,000 times.
                bomb.extend([0x80 | 16; 16_000]);
                vec![Frame::new(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 2 * round + 1, bomb)]
            },
            code: CALM,
            guards: &["header_list"],
            most: 0,
        },
    ]);
}
