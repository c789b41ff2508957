//! HTTP/2 with a peer that is slow: what waits for it is bounded, and others go on.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use harness::{
    DEADLINE, Origin, Reply,
    h2::{Frame, H2Client, flag, kind},
    wait_for,
};
use serde_json::json;

use crate::{
    floods::attack::{MEMORY, peak_memory, served},
    site::{Site, one_upstream},
};

const GIB: usize = 1 << 30;

/// After so many bytes the slow peer stops for a while.
const STRETCH: usize = 128 << 20;

fn site(slow: &str, other: &Origin) -> Site {
    let mut config = one_upstream([(slow, 1)].into_iter(), json!({}));
    let others = one_upstream(
        [(other.address(), 1)].into_iter(),
        json!({ "name": "others", "match": { "path": { "exact": "/other" } }, "action": { "forward": { "upstream": "others" } } }),
    );
    config["routes"].as_array_mut().unwrap().extend(others["routes"].as_array().unwrap().iter().cloned());
    let mut upstream = others["upstreams"][0].clone();
    upstream["name"] = json!("others");
    config["upstreams"].as_array_mut().unwrap().push(upstream);
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    Site::start(config)
}

/// The pause of a slow peer: as long as it takes to serve others.
fn pause(other: &mut H2Client) {
    for _ in 0..50 {
        served(other, "while the slow peer takes nothing");
    }
}

fn is_bounded(site: &Site) {
    let peak = peak_memory(site.plane.process.pid());
    assert!(peak < MEMORY, "{peak} KiB");
}

#[test]
fn a_gigabyte_down_to_a_slow_client() {
    let origin = Origin::start(|_| {
        Reply::script(true, |stream| {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {GIB}\r\n\r\n")?;
            let stretch = vec![b'x'; 1 << 20];
            (0..GIB >> 20).try_for_each(|_| stream.write_all(&stretch))
        })
    });
    let others = Origin::named("ok");
    let site = site(origin.address(), &others);
    let mut other = site.h2_client();
    let mut client = site.h2_client();
    client.begin("GET", "/big", &[], true).unwrap();
    let (mut received, mut stop) = (0, STRETCH);
    loop {
        let frame = client.read_frame().unwrap().expect("more of the body");
        assert!(!matches!(frame.kind, kind::RST_STREAM | kind::GOAWAY), "{frame:?} after {received} bytes");
        if frame.kind == kind::DATA {
            received += frame.payload.len();
            if frame.has(flag::END_STREAM) {
                break;
            }
        }
        if received >= stop {
            stop += STRETCH;
            pause(&mut other);
        }
    }
    assert_eq!(received, GIB);
    is_bounded(&site);
}

#[test]
fn a_gigabyte_up_to_a_slow_backend() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stopped, has_stopped) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    let backend = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        skip_head(&mut stream);
        let mut bytes = vec![0; 1 << 20];
        for _ in 0..GIB / STRETCH {
            for _ in 0..STRETCH >> 20 {
                stream.read_exact(&mut bytes).unwrap();
                assert!(bytes.iter().step_by(997).all(|byte| *byte == b'y'));
            }
            stopped.send(()).unwrap();
            may_go.recv_timeout(DEADLINE).unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").unwrap();
    });
    let others = Origin::named("ok");
    let site = site(&address, &others);
    let mut other = site.h2_client();
    let mut client = site.h2_client();
    let uploading = thread::spawn(move || {
        let length = GIB.to_string();
        let stream = client.begin("POST", "/big", &[("content-length", &length)], false).unwrap();
        let mut sent = 0;
        while sent < GIB {
            let count = client.window(stream).min(16_384).min(GIB - sent);
            if count == 0 {
                let frame = client.read_frame().unwrap().expect("more room");
                assert!(!matches!(frame.kind, kind::RST_STREAM | kind::GOAWAY), "{frame:?} after {sent} bytes");
                continue;
            }
            sent += count;
            client.send_data(stream, vec![b'y'; count], sent == GIB).unwrap();
        }
        client.response(stream).unwrap()
    });
    for _ in 0..GIB / STRETCH {
        has_stopped.recv_timeout(DEADLINE).unwrap();
        pause(&mut other);
        go.send(()).unwrap();
    }
    assert_eq!(uploading.join().unwrap().text(), "done");
    backend.join().unwrap();
    is_bounded(&site);
}

/// Of a backend that takes everything, but never all that there is, as one behind a network that is slower than the client's.
#[test]
fn an_upload_whose_backend_is_always_behind() {
    const BODY: usize = 48 << 20;
    const FRAME: usize = 16_384;
    // What may be on its way: the windows of the proxy, and what it and the two sockets hold.
    const BEHIND: usize = 128 << 10;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // As on a network, so that the system takes little from the proxy at a time. The loopback's own segments let it take megabytes.
    socket2::SockRef::from(&listener).set_tcp_mss(536).unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 4096).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let sent = Arc::new(AtomicUsize::new(0));
    let offered = Arc::clone(&sent);
    let backend = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        skip_head(&mut stream);
        let mut bytes = [0; 4096];
        for taken in (0..BODY).step_by(bytes.len()) {
            wait_for("more to come", DEADLINE, || {
                let offered = offered.load(Ordering::Relaxed);
                (offered >= taken + BEHIND || offered == BODY).then_some(())
            });
            stream.read_exact(&mut bytes).unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").unwrap();
    });
    let others = Origin::named("ok");
    let site = site(&address, &others);
    let mut client = site.h2_client();
    let length = BODY.to_string();
    let stream = client.begin("POST", "/big", &[("content-length", &length)], false).unwrap();
    for at in (0..BODY).step_by(FRAME) {
        while client.window(stream) < FRAME {
            let frame = client.read_frame().unwrap().expect("more room");
            assert!(!matches!(frame.kind, kind::RST_STREAM | kind::GOAWAY), "{frame:?} after {at} bytes");
        }
        client.send_data(stream, vec![b'y'; FRAME], at + FRAME == BODY).unwrap();
        sent.store(at + FRAME, Ordering::Relaxed);
    }
    assert_eq!(client.response(stream).unwrap().text(), "done");
    backend.join().unwrap();
    is_bounded(&site);
}

fn skip_head(stream: &mut TcpStream) {
    let mut last = [0; 4];
    while &last != b"\r\n\r\n" {
        last.rotate_left(1);
        stream.read_exact(&mut last[3..]).unwrap();
    }
}

#[test]
fn of_a_hundred_streams_one_stalls_and_the_others_go_on() {
    const BODY: usize = 300_000;
    let origin = Origin::start(|_| Reply::text("x".repeat(BODY)));
    let site = site(origin.address(), &origin);
    let mut client = site.h2_client();
    client.opens_windows = false;
    let streams: Vec<u32> = (0..100).map(|_| client.begin("GET", "/big", &[], true).unwrap()).collect();
    let stalled = streams[0];
    // Every window is opened but that of one stream.
    client.send_frame(&Frame::window_update(0, 1 << 30)).unwrap();
    for stream in &streams[1..] {
        client.send_frame(&Frame::window_update(*stream, 1 << 30)).unwrap();
    }
    for stream in &streams[1..] {
        let response = client.response(*stream).unwrap();
        assert!(response.is_ended && response.body.len() == BODY, "{stream}: {} bytes", response.body.len());
    }
    let so_far = client.read_until(stalled, |response| response.body.len() == 65_535).unwrap();
    assert!(!so_far.is_ended);
    client.send_frame(&Frame::window_update(stalled, 1 << 30)).unwrap();
    assert_eq!(client.response(stalled).unwrap().body.len(), BODY);
    is_bounded(&site);
}
