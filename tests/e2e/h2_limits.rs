//! Limits and time-outs of listeners and routes hold for HTTP/2 clients as they do for others.

use std::{io::Write, net::TcpListener, time::Instant};

use harness::{
    DEADLINE, Origin,
    h2::{Frame, H2Client, H2Origin, code, flag, kind},
    wait_for,
};
use serde_json::{Value, json};

use crate::site::{Site, one_upstream};

fn site(address: &str, listener: Value, route: Value) -> Site {
    let mut config = one_upstream([(address, 1)].into_iter(), route);
    let mut whole = json!({ "name": "web", "allow_h2c": true });
    for (name, value) in listener.as_object().unwrap() {
        whole[name] = value.clone();
    }
    config["listeners"] = json!([whole]);
    Site::start(config)
}

#[test]
fn a_body_has_its_limit_declared_or_not() {
    let origin = Origin::named("ok");
    let backend = H2Origin::start(&[], |_, stream| stream.answer(&[(":status", "200")], b"ok", &[]));
    for (address, protocol) in [(origin.address(), "h1"), (backend.address(), "h2c")] {
        let mut config = one_upstream([(address, 1)].into_iter(), json!({}));
        config["upstreams"][0]["protocol"] = json!(protocol);
        config["listeners"] = json!([{ "name": "web", "allow_h2c": true, "limits": { "body": "10B" } }]);
        let site = Site::start(config);
        let mut client = site.h2_client();
        assert_eq!(client.ask("POST", "/fits", &[], "0123456789").unwrap().text(), "ok", "{protocol}");
        let declared = client.begin("POST", "/declared", &[("content-length", "11")], false).unwrap();
        assert_eq!(client.response(declared).unwrap().status(), 413, "{protocol}");
        let answer = client.ask("POST", "/more", &[], "0123456789a").unwrap();
        assert_eq!(answer.status(), 413, "{protocol}");
        assert_eq!(site.logged("/more")["reason"], "body_too_large");
        assert_eq!(client.get("/after").unwrap().text(), "ok", "{protocol}");
    }
}

#[test]
fn heads_have_the_limits_of_the_listener() {
    let origin = Origin::named("ok");
    let limits = json!({ "limits": { "head": "1KiB", "fields": 10, "target": "100B" } });
    let site = site(origin.address(), limits, json!({}));
    let mut client = site.h2_client();
    let large = "x".repeat(1000);
    assert_eq!(client.ask("GET", "/large", &[("a", &large)], "").unwrap().status(), 431);
    assert_eq!(client.ask("GET", "/many", &[("a", "1"); 11], "").unwrap().status(), 431);
    assert_eq!(client.get(&format!("/{large:.200}")).unwrap().status(), 414);
    assert_eq!(client.get("/x").unwrap().text(), "ok");
    assert_eq!(origin.received().len(), 1);
}

#[test]
fn after_its_last_request_a_connection_gets_goaway() {
    let origin = Origin::named("ok");
    let site = site(origin.address(), json!({ "limits": { "requests_per_connection": 3 } }), json!({}));
    let mut client = site.h2_client();
    for _ in 0..3 {
        assert_eq!(client.get("/x").unwrap().text(), "ok");
    }
    let goaway = client.goaways.pop().or_else(|| client.read_to_end().unwrap());
    assert_eq!(goaway.map(|frame| frame.code()), Some(code::NO_ERROR));
}

#[test]
fn a_client_that_does_not_hear_of_its_last_request_is_served_no_longer_than_a_moment() {
    let origin = Origin::named("ok");
    let site = site(origin.address(), json!({ "limits": { "requests_per_connection": 3 } }), json!({}));
    let mut client = site.h2_client();
    // It never says that it has read the first GOAWAY, and asks on.
    client.acknowledges = false;
    let begin = Instant::now();
    while client.get("/x").is_ok() {
        assert!(begin.elapsed() < DEADLINE, "it is served on and on");
    }
    assert_eq!(client.goaways.last().map(Frame::code), Some(code::NO_ERROR));
}

#[test]
fn an_unused_connection_ends_after_its_idle_time() {
    let origin = Origin::named("ok");
    let timeouts = json!({ "timeouts": { "keep_alive_idle": "300ms", "request_head": "300ms" } });
    let site = site(origin.address(), timeouts, json!({}));
    let mut client = site.h2_client();
    assert_eq!(client.get("/x").unwrap().text(), "ok");
    assert_eq!(client.read_to_end().unwrap().map(|frame| frame.code()), Some(code::NO_ERROR));
    // PINGs are no use of a connection, and neither is a head that does not end.
    let mut client = site.h2_client();
    let mut sender = client.sender().unwrap();
    let pinging = std::thread::spawn(move || {
        let ping = Frame::new(kind::PING, flag::NONE, 0, [0; 8]).bytes();
        wait_for("the connection ends", DEADLINE, || sender.write_all(&ping).is_err().then_some(()));
    });
    client.send_frame(&Frame::new(kind::HEADERS, flag::NONE, 1, [])).unwrap();
    client.acknowledges = false;
    client.read_to_end().unwrap();
    pinging.join().unwrap();
    // Half a preface.
    let mut client = H2Client::silent(&site.address).unwrap();
    client.send("PRI * HTTP/2.0\r\n\r\n").unwrap();
    client.read_to_end().unwrap();
}

#[test]
fn the_time_outs_of_a_route_hold() {
    let silent = H2Origin::eager(&[], |_, _| Ok(()));
    // One that takes connections and answers nothing.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = deaf.local_addr().map(|address| (deaf, address.to_string())).unwrap();
    for (address, protocol, timeouts, reason) in [
        (silent.address(), "h2c", json!({ "first_byte": "100ms" }), "upstream_timeout"),
        (silent.address(), "h2c", json!({ "total": "100ms" }), "total_timeout"),
        (&*deaf.1, "h1", json!({ "first_byte": "100ms" }), "upstream_timeout"),
        (&*deaf.1, "h1", json!({ "total": "100ms" }), "total_timeout"),
        // It never says hello.
        (&*deaf.1, "h2c", json!({ "connect": "100ms" }), "connect_timeout"),
    ] {
        let mut config = one_upstream([(address, 1)].into_iter(), json!({ "timeouts": timeouts }));
        config["upstreams"][0]["protocol"] = json!(protocol);
        config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
        let site = Site::start(config);
        assert_eq!(site.h2_client().get("/h2").unwrap().status(), 504, "{protocol} {reason}");
        assert_eq!(site.logged("/h2")["reason"], reason, "{protocol}");
        assert_eq!(
            site.client().ask("GET /h1 HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().status,
            504,
            "{protocol} {reason}"
        );
        assert_eq!(site.logged("/h1")["reason"], reason, "{protocol}");
    }
    // A client that sends nothing of its body.
    let site = site(&deaf.1, json!({}), json!({ "timeouts": { "request_body_idle": "100ms" } }));
    let mut client = site.h2_client();
    let stream = client.begin("POST", "/stalls", &[("content-length", "5")], false).unwrap();
    assert_eq!(client.response(stream).unwrap().status(), 408);
}

/// Reads until the next PING that is no answer.
fn ping(client: &mut H2Client) {
    loop {
        let frame = client.read_frame().unwrap().expect("the connection is open");
        if frame.kind == kind::PING && !frame.has(flag::ACK) {
            return;
        }
    }
}

#[test]
fn a_silent_client_is_asked_for_a_sign_of_life_and_let_go_without_one() {
    let origin = H2Origin::eager(&[], |_, _| Ok(()));
    let start = |timeouts: Value| {
        let mut config = one_upstream([(origin.address(), 1)].into_iter(), json!({}));
        config["upstreams"][0]["protocol"] = json!("h2c");
        config["listeners"] = json!([{ "name": "web", "allow_h2c": true, "timeouts": timeouts }]);
        Site::start(config)
    };
    // The answers are what keeps it: many times what it may be silent for passes.
    let asked = start(json!({ "ping_interval": "100ms", "ping_timeout": "5s" }));
    let mut client = asked.h2_client();
    let stream = client.begin("GET", "/waits", &[], true).unwrap();
    for _ in 0..4 {
        ping(&mut client);
    }
    client.send_frame(&Frame::reset(stream, code::CANCEL)).unwrap();
    assert_eq!(asked.logged("/waits")["reason"], "client_gone");

    let gone = start(json!({ "ping_interval": "100ms", "ping_timeout": "200ms" }));
    let mut client = gone.h2_client();
    client.acknowledges = false;
    client.begin("POST", "/gone", &[], false).unwrap();
    ping(&mut client);
    client.read_to_end().unwrap();
    assert_eq!(gone.logged("/gone")["reason"], "client_gone");
    let given_up = wait_for("the backend learns of it", DEADLINE, || {
        origin.received().into_iter().find(|request| request.field(":path") == "/gone")
    });
    assert_eq!(given_up.reset, Some(code::CANCEL));
}

#[test]
fn a_silent_backend_is_asked_for_a_sign_of_life_and_left_without_one() {
    // It reads, and so answers PINGs, but no request.
    let slow = H2Origin::eager(&[], |_, _| Ok(()));
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let dead = H2Origin::eager(&[], move |_, _| {
        // Reads nothing more until the test is over.
        let _ = held.lock().unwrap().recv();
        Ok(())
    });
    let start = |address: &str| {
        let mut config = one_upstream([(address, 1)].into_iter(), json!({ "timeouts": { "first_byte": "3s" } }));
        config["upstreams"][0]["protocol"] = json!("h2c");
        config["upstreams"][0]["pool"] = json!({ "ping_interval": "100ms", "ping_timeout": "200ms" });
        config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
        Site::start(config)
    };
    for (address, status, reason) in
        [(slow.address(), 504, "upstream_timeout"), (dead.address(), 502, "upstream_reset")]
    {
        let site = start(address);
        assert_eq!(site.h2_client().get("/x").unwrap().status(), status, "{reason}");
        assert_eq!(site.logged("/x")["reason"], reason);
    }
    drop(release);
}
