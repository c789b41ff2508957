//! Which guard fires, and that it is counted.

use std::io::Write;

use harness::{
    DEADLINE,
    h2::{Frame, code, encode_fields, encode_integer, flag, kind},
    wait_for,
};
use serde_json::json;

use crate::{
    h2::{origin, told},
    site::Site,
};

#[test]
fn floods_end_the_connection_and_are_counted() {
    let origin = origin();
    let site = Site::of_h2(&[&origin], json!({}));
    let mut other = site.h2_client();
    let floods: [(&str, Vec<u8>); 5] = [
        ("ping", Frame::new(kind::PING, flag::NONE, 0, [0; 8]).bytes()),
        ("settings", Frame::settings(&[]).bytes()),
        ("window_update", Frame::window_update(0, 1).bytes()),
        ("passed_over", Frame::new(kind::PRIORITY, flag::NONE, 1, [0, 0, 0, 3, 0]).bytes()),
        ("passed_over", Frame::new(0x55, flag::NONE, 0, []).bytes()),
    ];
    for (guard, frame) in floods {
        let mut client = site.h2_client();
        let mut sender = client.sender().unwrap();
        let flood = frame.repeat(200);
        let sending = std::thread::spawn(move || while sender.write_all(&flood).is_ok() {});
        let goaway = client.read_to_end().unwrap();
        assert!(goaway.is_none_or(|frame| frame.code() == code::ENHANCE_YOUR_CALM), "{guard}");
        sending.join().unwrap();
        let counted = format!("tidegate_http2_guards_total{{guard=\"{guard}\"}} ");
        wait_for(guard, DEADLINE, || {
            let metrics = site.plane.metrics();
            metrics.lines().find_map(|line| line.strip_prefix(&counted)).filter(|count| *count != "0").map(|_| ())
        });
        assert_eq!(told(&other.get("/x").unwrap()), (200, "GET 0".into()), "others are served");
    }
    // Requests that are reset at once: few of them reach the backend.
    let mut client = site.h2_client();
    let before = origin.take_received().len();
    let mut sent = 0;
    while sent < 50_000 {
        let begun = client.begin("GET", "/reset", &[], true);
        let reset = begun.and_then(|stream| client.send_frame(&Frame::reset(stream, code::CANCEL)));
        if reset.is_err() {
            break;
        }
        sent += 1;
    }
    assert!(client.read_to_end().unwrap().is_none_or(|frame| frame.code() == code::ENHANCE_YOUR_CALM));
    assert!(sent < 50_000 && before > 0);
    assert!(origin.received().len() <= 220, "{}", origin.received().len());
}

/// Begins a connection by `first`, repeats `again` until the connection ends, and says what ended it.
fn flooded(site: &Site, first: &[u8], again: &[u8]) -> Option<u32> {
    let mut client = site.h2_client();
    // Nothing may come between the frames of a header block.
    client.acknowledges = false;
    client.send(first).unwrap();
    let mut sender = client.sender().unwrap();
    let flood = again.repeat((64 << 10) / again.len() + 1);
    let sending = std::thread::spawn(move || while sender.write_all(&flood).is_ok() {});
    let goaway = client.read_to_end().unwrap();
    sending.join().unwrap();
    goaway.map(|frame| frame.code())
}

#[test]
fn what_makes_much_of_few_bytes_ends_the_connection() {
    let origin = origin();
    let site = Site::of_h2(&[&origin], json!({}));
    let mut other = site.h2_client();
    let path =
        |method, path| encode_fields(&[(":method", method), (":scheme", "http"), (":authority", "h"), (":path", path)]);
    let head = |flags, stream, block: Vec<u8>| Frame::new(kind::HEADERS, flags, stream, block).bytes();
    // A block that is never ended, and one of 16,000 references to a field of 4,000 bytes.
    let continued = Frame::new(kind::CONTINUATION, flag::NONE, 1, []).bytes();
    let mut bomb = path("GET", "/bomb");
    bomb.push(0x40);
    encode_integer(&mut bomb, 7, 0, 1);
    bomb.push(b'x');
    encode_integer(&mut bomb, 7, 0, 3900);
    bomb.extend([b'y'; 3900]);
    bomb.extend([0x80 | 62; 10_000]);
    let upload = head(flag::END_HEADERS, 1, path("POST", "/empty-data"));
    for (what, guards, first, again) in [
        ("CONTINUATION", &["continuation"][..], head(flag::NONE, 1, path("GET", "/c")), continued),
        ("HPACK bomb", &["header_list"], head(flag::END_HEADERS | flag::END_STREAM, 1, bomb), vec![0]),
        ("PING answers", &["ping"], Vec::new(), Frame::new(kind::PING, flag::ACK, 0, [0; 8]).bytes()),
        ("empty DATA", &["empty_data"], upload, Frame::new(kind::DATA, flag::NONE, 1, []).bytes()),
    ] {
        let fired = |guards: &[&str]| -> u64 {
            let metrics = site.plane.metrics();
            let count = |guard: &&str| -> Option<u64> {
                let line = format!("tidegate_http2_guards_total{{guard=\"{guard}\"}} ");
                metrics.lines().find_map(|text| text.strip_prefix(&line)?.parse().ok())
            };
            guards.iter().filter_map(count).sum()
        };
        let before = fired(guards);
        let code = flooded(&site, &first, &again);
        assert!(code.is_none_or(|code| code == code::ENHANCE_YOUR_CALM), "{what}: {code:?}");
        wait_for(what, DEADLINE, || (fired(guards) > before).then_some(()));
        assert_eq!(told(&other.get("/x").unwrap()), (200, "GET 0".into()), "{what}: others are served");
    }
    // Malformed requests, each of which is answered with a reset.
    let mut client = site.h2_client();
    let refused = (0..500).take_while(|_| {
        let stream = client.begin("GET", "*", &[], true);
        stream.and_then(|stream| client.response(stream)).is_ok()
    });
    assert!((100..200).contains(&refused.count()));
    assert!(site.plane.metrics().contains("tidegate_http2_guards_total{guard=\"malformed\"} 1"));
    let reached = origin.received();
    assert!(reached.iter().all(|request| matches!(request.target(), "/x" | "/empty-data")), "{reached:?}");
}
