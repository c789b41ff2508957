//! Clients that take nothing, or never end.

use std::{io::Write, net::TcpListener, thread, time::Duration};

use harness::h2::{Frame, H2Client, flag, kind};
use serde_json::json;

use super::attack::{Target, served};
use crate::site::{Site, one_upstream};

/// Opens 100 streams for `/big`.
fn ask_for_much(client: &mut H2Client) {
    for _ in 0..100 {
        client.begin("GET", "/big", &[], true).unwrap();
    }
}

#[test]
fn responses_that_no_window_lets_pass() {
    let target = Target::start();
    let mut other = target.site.h2_client();
    for name in ["no window (CVE-2019-9511)", "the window of the connection (CVE-2019-9517)"] {
        let settings = if name.starts_with("no window") { (4, 0) } else { (4, (1 << 31) - 1) };
        let mut client = H2Client::with_settings(&target.site.address, &[settings]).unwrap();
        client.opens_windows = false;
        ask_for_much(&mut client);
        let mut heads = 0;
        while heads < 100 {
            let frame = client.read_frame().unwrap().unwrap();
            heads += u32::from(frame.kind == kind::HEADERS);
        }
        // Byte by byte.
        for stream in (1..200).step_by(2) {
            client.send_frame(&Frame::window_update(stream, 1)).unwrap();
            client.send_frame(&Frame::window_update(0, 1)).unwrap();
        }
        for _ in 0..100 {
            served(&mut other, name);
        }
        target.is_sound(name, 0);
        client.end();
    }
}

#[test]
fn a_socket_that_nobody_reads() {
    let target = Target::start();
    let mut other = target.site.h2_client();
    // 100 responses wait, each with the 132 KiB of its stream.
    let mut client = H2Client::with_settings(&target.site.address, &[(4, (1 << 31) - 1)]).unwrap();
    client.send_frame(&Frame::window_update(0, (1 << 31) - 1 - 65_535)).unwrap();
    ask_for_much(&mut client);
    for _ in 0..100 {
        served(&mut other, "a socket that nobody reads");
    }
    // Answers to PING wait for the socket as well: there is an end to how many.
    let mut sender = client.sender().unwrap();
    sender.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let pings = Frame::new(kind::PING, flag::NONE, 0, [0; 8]).bytes().repeat(1000);
    for _ in 0..1000 {
        if sender.write_all(&pings).is_err() {
            break;
        }
    }
    served(&mut other, "a socket that nobody reads");
    target.is_sound("a socket that nobody reads", 0);
}

#[test]
fn bodies_that_never_end() {
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::start();
    let mut config =
        one_upstream([(target.origin.address(), 1)].into_iter(), json!({ "match": { "path": { "exact": "/other" } } }));
    let address = deaf.local_addr().unwrap().to_string();
    let mut second = one_upstream([(&*address, 1)].into_iter(), json!({}));
    second["upstreams"][0]["name"] = json!("deaf");
    second["routes"][0]["name"] = json!("rest");
    second["routes"][0]["action"] = json!({ "forward": { "upstream": "deaf" } });
    config["upstreams"].as_array_mut().unwrap().push(second["upstreams"][0].take());
    config["routes"].as_array_mut().unwrap().push(second["routes"][0].take());
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    let target = Target { site: Site::start(config), origin: target.origin };
    let mut other = target.site.h2_client();
    let mut client = target.site.h2_client();
    let streams: Vec<u32> = (0..100).map(|_| client.begin("POST", "/attack", &[], false).unwrap()).collect();
    // As much as the windows take.
    let reading = thread::spawn(move || {
        let mut sent = 0_u64;
        for _ in 0..64 {
            for stream in &streams {
                let count = client.window(*stream).min(16_384);
                if count > 0 {
                    client.send_data(*stream, vec![b'x'; count], false).unwrap();
                    sent += count as u64;
                }
            }
            // The answer comes behind what opens windows.
            client.send_frame(&Frame::new(kind::PING, flag::NONE, 0, [0; 8])).unwrap();
            while client.read_frame().unwrap().is_none_or(|frame| frame.kind != kind::PING) {}
        }
        (client, sent)
    });
    while !reading.is_finished() {
        served(&mut other, "bodies that never end");
    }
    let (client, sent) = reading.join().unwrap();
    assert!(sent > 1 << 20, "{sent} bytes");
    served(&mut other, "bodies that never end");
    target.is_sound("bodies that never end", 0);
    client.end();
}
