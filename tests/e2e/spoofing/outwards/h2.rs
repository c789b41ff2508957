//! The same for HTTP/2 backends, whose connections carry many requests at a time.

use std::sync::{Mutex, mpsc};

use harness::{
    DEADLINE, RawClient, connect_from,
    h2::{Frame, H2Client, H2Origin, PREFACE},
    wait_for,
};
use serde_json::{Value, json};

use super::{GET, expected};
use crate::site::{Site, one_upstream};

/// An HTTP/2 backend that answers each request with the header that its connection began with, and the connection's number.
fn greeted() -> H2Origin {
    H2Origin::start(&[], |request, stream| {
        let body = format!("{} #{}", request.greeting, request.connection);
        stream.answer(&[(":status", "200")], body.as_bytes(), &[])
    })
}

fn site(origin: &H2Origin, workers: u16, backend: Value) -> Site {
    let mut config = one_upstream([(origin.address(), 1)].into_iter(), json!({}));
    config["upstreams"][0]["proxy_protocol"] = json!("v1");
    config["upstreams"][0]["protocol"] = json!("h2c");
    for (name, value) in backend.as_object().unwrap() {
        config["upstreams"][0]["backends"][0][name] = value.clone();
    }
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    Site::with_workers(workers, config)
}

/// A client from `peer`, and what the backend has to be told of it.
fn h1_from(site: &Site, peer: &str) -> (String, RawClient) {
    let stream = connect_from(peer.parse().unwrap(), &site.address).unwrap();
    (expected("v1", &stream), RawClient::on(stream).unwrap())
}

fn h2_from(site: &Site, peer: &str) -> (String, H2Client) {
    let stream = connect_from(peer.parse().unwrap(), &site.address).unwrap();
    let told = expected("v1", &stream);
    let mut client = H2Client::on(stream).unwrap();
    client.send(PREFACE).unwrap();
    client.send_frame(&Frame::settings(&[])).unwrap();
    (told, client)
}

#[test]
fn no_connection_to_an_http_2_backend_is_used_for_two_clients() {
    let origin = greeted();
    let site = site(&origin, 1, json!({}));
    let mut raw = ["127.0.0.7", "127.0.0.8", "127.0.0.7"].map(|peer| h1_from(&site, peer));
    let mut h2 = ["127.0.0.7", "127.0.0.9"].map(|peer| h2_from(&site, peer));
    for _ in 0..10 {
        for (told, client) in &mut raw {
            let text = client.ask(GET).unwrap().text();
            assert!(text.starts_with(&*told), "{text} is not of {told}");
        }
        for (told, client) in &mut h2 {
            // Those of one client share a connection.
            let streams: Vec<u32> = (0..20).map(|_| client.begin("GET", "/", &[], true).unwrap()).collect();
            for stream in streams {
                let text = client.response(stream).unwrap().text();
                assert!(text.starts_with(&*told), "{text} is not of {told}");
            }
        }
    }
    assert_eq!(origin.connections(), 5, "each client has one and keeps it");
    drop((raw, h2));
}

#[test]
fn at_the_cap_a_shared_connection_of_another_client_makes_room() {
    for workers in [1, 2] {
        let origin = greeted();
        let site = site(&origin, workers, json!({ "max_connections": 1 }));
        let mut raw = ["127.0.0.7", "127.0.0.8"].map(|peer| h1_from(&site, peer));
        let mut h2 = ["127.0.0.8", "127.0.0.9"].map(|peer| h2_from(&site, peer));
        for _ in 0..5 {
            for (told, client) in &mut raw {
                let answer = client.ask(GET).unwrap();
                assert!(
                    answer.status == 200 && answer.text().starts_with(&*told),
                    "{} is not of {told}",
                    answer.text()
                );
            }
            for (told, client) in &mut h2 {
                let text = client.get("/").unwrap().text();
                assert!(text.starts_with(&*told), "{text} is not of {told}");
            }
        }
        wait_for("all but the last to be seen closed", DEADLINE, || (origin.open_connections() == 1).then_some(()));
    }
}

#[test]
fn idle_connections_are_kept_by_endpoint_and_not_by_client() {
    let origin = greeted();
    let site = site(&origin, 1, json!({}));
    site.reconfigure(|config| config["upstreams"][0]["pool"] = json!({ "max_idle": 1 }));
    let mut clients = ["127.0.0.7", "127.0.0.8", "127.0.0.9"].map(|peer| h1_from(&site, peer));
    for (told, client) in &mut clients {
        assert!(client.ask(GET).unwrap().text().starts_with(&*told));
    }
    assert_eq!(origin.connections(), 3);
    wait_for("all but one to be closed", DEADLINE, || (origin.open_connections() == 1).then_some(()));
}

/// An origin that answers `/long` only when it is told to, each time.
fn held() -> (mpsc::Sender<()>, H2Origin) {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let origin = H2Origin::start(&[], move |request, stream| {
        if request.field(":path") == "/long" {
            let _ = released.lock().unwrap().recv_timeout(DEADLINE * 2);
        }
        stream.answer(&[(":status", "200")], b"ok", &[])
    });
    (release, origin)
}

/// A connection that is to make room, but whose request goes on and on, does not stand in the way of another that can.
#[test]
fn idle_connections_make_room_beside_one_that_cannot() {
    let (release, origin) = held();
    let site = site(&origin, 1, json!({ "max_connections": 1, "queue_timeout": "4s" }));
    let (_, mut long) = h2_from(&site, "127.0.0.7");
    let stream = long.begin("GET", "/long", &[], true).unwrap();
    wait_for("it is at the backend", DEADLINE, || (origin.received().len() == 1).then_some(()));
    // Its connection is to go for this one, which waits in vain.
    let (_, mut second) = h1_from(&site, "127.0.0.8");
    assert_eq!(second.ask(GET).unwrap().status, 503);
    site.reconfigure(|config| config["upstreams"][0]["backends"][0]["max_connections"] = json!(2));
    assert_eq!(second.ask(GET).unwrap().status, 200);
    // Now that of the second goes for a third, and so on.
    for peer in ["127.0.0.9", "127.0.0.10", "127.0.0.8"] {
        let (_, mut other) = h1_from(&site, peer);
        assert_eq!(other.ask(GET).unwrap().status, 200, "{peer}");
    }
    release.send(()).unwrap();
    assert_eq!(long.response(stream).unwrap().text(), "ok");
}

/// A connection that the backend has ended has no place any more that somebody could be waiting for.
#[test]
fn what_the_backend_has_ended_makes_no_room_and_the_next_connection_does() {
    let (release, origin) = held();
    let site = site(&origin, 1, json!({ "max_connections": 1, "queue_timeout": "4s" }));
    for turn in 0..5 {
        assert_eq!(h1_from(&site, "127.0.0.7").1.ask(GET).unwrap().status, 200);
        origin.drop_connections();
        let (_, mut long) = h2_from(&site, "127.0.0.8");
        let stream = long.begin("GET", "/long", &[], true).unwrap();
        let is_there = || origin.received().iter().filter(|request| request.field(":path") == "/long").count() > turn;
        wait_for("it is at the backend", DEADLINE, || is_there().then_some(()));
        let (_, mut waiting) = h1_from(&site, "127.0.0.9");
        waiting.send(GET).unwrap();
        wait_for("another waits", DEADLINE, || (site.endpoint("up", "b0")["load"]["queued"] == 1).then_some(()));
        release.send(()).unwrap();
        assert_eq!(long.response(stream).unwrap().status(), 200);
        assert_eq!(waiting.read_response().unwrap().status, 200, "turn {turn}");
    }
}
