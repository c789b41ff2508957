//! §5.2 and §6.9: flow control of what clients send, and of the windows that they open.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use harness::h2::{Frame, H2Client, code::*, flag, kind};
use serde_json::json;

use super::{
    case::{
        Case,
        Outcome::{Answered, Ended, Reset, Told},
        case,
    },
    message::{EVIL, data, get, last_data, post},
    table,
};
use crate::site::{Site, one_upstream};

const MOST: u32 = u32::MAX >> 1;

pub(super) fn cases() -> Vec<Case> {
    let open = post(1, EVIL, &[]);
    let beside = |what: &str, frame: Frame, outcome| case("§6.9", what, &[open.clone(), frame], outcome);
    vec![
        beside("an increment of 0 of a stream", Frame::window_update(1, 0), Ended(&[PROTOCOL_ERROR])),
        beside("an increment of 0 of the connection", Frame::window_update(0, 0), Ended(&[PROTOCOL_ERROR])),
        beside("an increment of 0 with the reserved bit", Frame::window_update(0, 1 << 31), Ended(&[PROTOCOL_ERROR])),
        case(
            "§6.9.1",
            "the window of a stream grows beyond 2^31-1",
            &[open.clone(), Frame::window_update(1, MOST)],
            Reset(&[FLOW_CONTROL_ERROR]),
        ),
        case(
            "§6.9.1",
            "the window of the connection grows beyond 2^31-1",
            &[open.clone(), Frame::window_update(0, MOST)],
            Ended(&[FLOW_CONTROL_ERROR]),
        ),
        case(
            "§6.9.1",
            "the window of a stream grows beyond 2^31-1 in two steps",
            &[open.clone(), Frame::window_update(1, MOST - 65_535), Frame::window_update(1, 1)],
            Reset(&[FLOW_CONTROL_ERROR]),
        ),
        case(
            "§6.9.1",
            "the windows grow to 2^31-1",
            &[
                post(1, "/fine", &[]),
                Frame::window_update(1, MOST - 65_535),
                Frame::window_update(0, MOST - 65_535),
                last_data(1, "abc"),
            ],
            Answered(200),
        ),
        case(
            "§6.9.2",
            "SETTINGS let the window of a stream grow beyond 2^31-1",
            &[open.clone(), Frame::window_update(1, 1), Frame::settings(&[(4, MOST)])],
            Ended(&[FLOW_CONTROL_ERROR]),
        ),
        case(
            "§6.9.1",
            "empty DATA without a window",
            &[post(1, "/fine", &[]), data(1, ""), last_data(1, "")],
            Answered(200),
        ),
        case("§6.9", "padding is part of the flow, and given back", &[], Told(padding_is_given_back)),
        case(
            "§6.9",
            "DATA of streams that were reset is given back to the connection",
            &[],
            Told(refused_data_is_given_back),
        ),
        case("§6.9", "a body larger than all windows", &[], Told(large_body)),
        case("§5.2.2", "the windows of a stream that is not read", &[get(1, "/fine")], Answered(200)),
    ]
}

/// Padding of 8 MiB, on windows of 128 KiB and 1 MiB.
fn padding_is_given_back(client: &mut H2Client) -> Result<()> {
    client.send_frame(&post(1, "/fine", &[]))?;
    let frame = Frame::new(kind::DATA, flag::PADDED, 1, [&[255][..], b"x", &[0; 255]].concat());
    let size = frame.payload.len() as i64;
    let (mut stream, mut connection) = (65_535_i64, 65_535_i64);
    for _ in 0..(8 << 20) / size {
        while stream.min(connection) < size {
            let update = client.read_frame()?.context("the connection ends")?;
            match (update.kind, update.stream) {
                (kind::WINDOW_UPDATE, 0) => connection += i64::from(update.code()),
                (kind::WINDOW_UPDATE, 1) => stream += i64::from(update.code()),
                (kind::RST_STREAM | kind::GOAWAY, _) => anyhow::bail!("{update:?}"),
                _ => {}
            }
        }
        client.send_frame(&frame)?;
        (stream, connection) = (stream - size, connection - size);
    }
    client.send_frame(&last_data(1, ""))?;
    let expected = format!("POST {}", (8 << 20) / size);
    ensure!(client.response(1)?.text() == expected, "not {expected}");
    Ok(())
}

/// Each stream that is refused has 16 KiB of a body: without the connection's share they would fill its window.
fn refused_data_is_given_back(client: &mut H2Client) -> Result<()> {
    for stream in (1..400).step_by(2) {
        while client.window(0) < 16_384 {
            client.read_frame()?.context("the connection ends")?;
        }
        client.send_frame(&post(stream, EVIL, &[("content-length", "1")]))?;
        client.send_data(stream, [b'x'; 16_384], false)?;
        if stream >= 180 {
            break;
        }
    }
    Ok(())
}

fn large_body(client: &mut H2Client) -> Result<()> {
    client.send_frame(&post(1, "/fine", &[]))?;
    client.upload(1, &vec![b'x'; 4 << 20])?;
    ensure!(client.response(1)?.text() == format!("POST {}", 4 << 20), "not the whole body");
    Ok(())
}

#[test]
fn windows() {
    table::run(&cases());
}

#[test]
fn a_client_that_sends_more_than_its_windows_is_stopped() {
    // A backend that reads nothing: sooner or later no window is opened again.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = deaf.local_addr().unwrap().to_string();
    let mut config = one_upstream([(&*address, 1)].into_iter(), json!({}));
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    let site = Site::start(config);
    // On one stream its own window is the smaller one.
    let mut client = site.h2_client();
    client.send_frame(&post(1, EVIL, &[])).unwrap();
    let reset = loop {
        if client.window(0) >= 1 << 14 {
            client.send_data(1, [0; 1 << 14], false).unwrap();
            continue;
        }
        let frame = client.read_frame().unwrap().expect("a frame that says why");
        if matches!(frame.kind, kind::RST_STREAM | kind::GOAWAY) {
            break frame;
        }
    };
    assert_eq!((reset.kind, reset.code()), (kind::RST_STREAM, FLOW_CONTROL_ERROR));
    // On many that of the connection is.
    let mut client = site.h2_client();
    let mut sender = client.sender().unwrap();
    let sending = std::thread::spawn(move || {
        let streams = (1..100).step_by(2);
        let opening: Vec<u8> = streams.clone().flat_map(|stream| post(stream, EVIL, &[]).bytes()).collect();
        let round: Vec<u8> = streams.flat_map(|stream| data(stream, [0; 1 << 14]).bytes()).collect();
        let mut is_sent = sender.write_all(&opening).is_ok();
        while is_sent {
            is_sent = sender.write_all(&round).is_ok();
        }
    });
    let goaway = client.read_to_end().unwrap().expect("a frame that says why");
    assert_eq!(goaway.code(), FLOW_CONTROL_ERROR);
    sending.join().unwrap();
}
