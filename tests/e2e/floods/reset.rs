//! Streams that end as soon as they begin, by a reset of the client's or by one that it provokes.

use harness::h2::{Frame, H2Client, code::*, encode_fields, flag, kind};

use super::attack::{Attack, PATH, Target, run, served};

const CALM: u32 = ENHANCE_YOUR_CALM;

/// No attack gets so far.
const ROUNDS: u32 = 10_000;

fn request(round: u32, method: &str, fields: &[(&str, &str)], flags: u8) -> Frame {
    let pseudo = [(":method", method), (":scheme", "http"), (":authority", "h"), (":path", PATH)];
    let block = encode_fields(&[&pseudo[..], fields].concat());
    Frame::new(kind::HEADERS, flag::END_HEADERS | flags, stream(round), block)
}

fn stream(round: u32) -> u32 {
    2 * round + 1
}

fn get(round: u32) -> Frame {
    request(round, "GET", &[], flag::END_STREAM)
}

#[test]
fn resets_by_the_client() {
    run(&[
        Attack {
            name: "rapid reset (CVE-2023-44487)",
            opening: vec![],
            round: |round| vec![get(round), Frame::reset(stream(round), CANCEL)],
            code: CALM,
            guards: &["rapid_reset"],
            most: 220,
        },
        Attack {
            name: "rapid reset of bodies",
            opening: vec![],
            round: |round| {
                let data = Frame::new(kind::DATA, flag::NONE, stream(round), *b"x");
                vec![request(round, "POST", &[], flag::NONE), data, Frame::reset(stream(round), CANCEL)]
            },
            code: CALM,
            guards: &["rapid_reset"],
            most: 0,
        },
        Attack {
            name: "resets of one stream",
            opening: vec![get(0)],
            round: |_| vec![Frame::reset(1, CANCEL)],
            code: CALM,
            guards: &["rapid_reset"],
            most: 1,
        },
    ]);
}

#[test]
fn resets_that_the_client_provokes() {
    run(&[
        Attack {
            name: "made you reset (CVE-2025-8671): a window beyond its limit",
            opening: vec![],
            round: |round| vec![get(round), Frame::window_update(stream(round), u32::MAX >> 1)],
            code: CALM,
            guards: &["provoked_reset"],
            most: 150,
        },
        Attack {
            name: "made you reset: an increment of 0",
            opening: vec![],
            round: |round| vec![get(round), Frame::window_update(stream(round), 0)],
            code: PROTOCOL_ERROR,
            guards: &[],
            most: 1,
        },
        Attack {
            name: "made you reset: HEADERS behind the end",
            opening: vec![],
            round: |round| vec![get(round), get(round)],
            code: STREAM_CLOSED,
            guards: &[],
            most: 1,
        },
        Attack {
            name: "made you reset: DATA behind the end",
            opening: vec![],
            round: |round| vec![get(round), Frame::new(kind::DATA, flag::NONE, stream(round), *b"x")],
            code: STREAM_CLOSED,
            guards: &[],
            most: 1,
        },
        Attack {
            name: "made you reset: a stream that depends on itself",
            opening: vec![],
            round: |round| {
                let priority = [&stream(round).to_be_bytes()[..], &[0]].concat();
                vec![get(round), Frame::new(kind::PRIORITY, flag::NONE, stream(round), priority)]
            },
            code: CALM,
            guards: &["provoked_reset"],
            most: 600,
        },
        Attack {
            name: "made you reset: more than declared",
            opening: vec![],
            round: |round| {
                let data = Frame::new(kind::DATA, flag::END_STREAM, stream(round), *b"more");
                vec![request(round, "POST", &[("content-length", "1")], flag::NONE), data]
            },
            code: CALM,
            guards: &["provoked_reset"],
            most: 0,
        },
        Attack {
            name: "made you reset: less than declared",
            opening: vec![],
            round: |round| {
                let data = Frame::new(kind::DATA, flag::END_STREAM, stream(round), *b"less");
                vec![request(round, "POST", &[("content-length", "9")], flag::NONE), data]
            },
            code: CALM,
            guards: &["provoked_reset"],
            most: 0,
        },
        Attack {
            name: "made you reset: a field of the connection",
            opening: vec![],
            round: |round| vec![request(round, "GET", &[("connection", "close")], flag::END_STREAM)],
            code: CALM,
            guards: &["malformed"],
            most: 0,
        },
        Attack {
            name: "made you reset: a request that only we find malformed",
            opening: vec![],
            round: |round| vec![request(round, "GET", &[("x", " 1")], flag::END_STREAM)],
            code: CALM,
            guards: &["malformed"],
            most: 0,
        },
        Attack {
            name: "made you reset: DATA of a stream that was left out",
            opening: vec![get(1)],
            round: |_| vec![Frame::new(kind::DATA, flag::NONE, 1, *b"x")],
            code: CALM,
            guards: &["provoked_reset"],
            most: 1,
        },
        Attack {
            name: "streams beyond those that were advertised",
            opening: (0..100).map(|round| request(round, "POST", &[], flag::NONE)).collect(),
            round: |round| vec![get(round + 100)],
            code: CALM,
            guards: &["provoked_reset"],
            most: 0,
        },
    ]);
}

#[test]
fn resets_of_requests_that_backends_have() {
    // The client waits until each request is at the backend, so that all of them cost it something.
    let target = Target::start();
    let mut other = target.site.h2_client();
    let mut client = H2Client::with_settings(&target.site.address, &[(4, 0)]).unwrap();
    let mut rounds = 0..ROUNDS;
    let end = 'attack: loop {
        let batch: Vec<u32> = rounds.by_ref().take(50).collect();
        assert!(!batch.is_empty(), "nobody stopped it");
        // Who is being ended may not be able to send.
        let _ = batch.iter().try_for_each(|round| client.send_frame(&get(*round)));
        let mut heads = 0;
        while heads < batch.len() {
            let Ok(Some(frame)) = client.read_frame() else { break 'attack None };
            match frame.kind {
                kind::HEADERS => heads += 1,
                kind::GOAWAY => break 'attack Some(frame.code()),
                _ => {}
            }
        }
        let _ = batch.iter().try_for_each(|round| client.send_frame(&Frame::reset(stream(*round), CANCEL)));
        served(&mut other, "rapid reset of requests under way");
    };
    assert!(end.is_none_or(|code| code == CALM), "{end:?}");
    // 200 at once and 20 a second, and those that were under way at the end.
    target.is_sound("rapid reset of requests under way", 400);
}
