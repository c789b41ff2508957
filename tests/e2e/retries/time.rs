//! How long tries may take, and what is waited for.

use std::{io::Write, net::TcpStream, time::Duration};

use super::{
    backend::{Backend, Hold, Way},
    *,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn a_backend_that_says_when_is_given_that_time() {
    let origin = failing(503, &[("Retry-After", "1")], 2);
    let site = site(&[origin.address()], json!({ "retries": { "on": ["503"] } }), json!({}));
    let response = site.client().ask(GET).unwrap();
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    let line = site.logged("/");
    assert_eq!(line["tries"], 2);
    assert!(line["duration_ms"].as_f64().unwrap() >= 1000.0, "{line}");
}

#[test]
fn a_backend_that_wants_too_much_time_is_passed_on() {
    for (after, timeouts) in [("6", json!({})), ("4000000000000", json!({})), ("3", json!({ "total": "2s" }))] {
        let fields: &'static [(&str, &str)] = Box::leak(Box::new([("Retry-After", after)]));
        let origin = failing(503, fields, usize::MAX);
        let route = json!({ "retries": { "on": ["503"] }, "timeouts": timeouts });
        let site = site(&[origin.address()], route, json!({}));
        let response = site.client().ask(GET).unwrap();
        assert_eq!((response.status, response.text().as_str()), (503, "busy"));
        assert_eq!(response.field("retry-after"), Some(after));
        let response = site.h2_client().get("/").unwrap();
        assert_eq!((response.status(), response.field("retry-after")), (503, Some(after)));
        assert_eq!(origin.received().len(), 2);
        assert_eq!(metric(&site, "retries_total", "too_late"), 2);
    }
}

#[test]
fn an_endpoint_that_was_too_slow_is_not_tried_again_itself() {
    for backends_h2 in [false, true] {
        let hold = Hold::default();
        let slow = Backend::start(backends_h2, Way::Hangs, &hold);
        let route = json!({ "retries": { "attempts": 5, "per_try_timeout": "300ms" } });
        let upstream = json!({ "protocol": if backends_h2 { "h2c" } else { "h1" } });
        let site = site(&[slow.address()], route, upstream);
        assert_eq!(site.client().ask(GET).unwrap().status, 504);
        let line = site.logged("/");
        assert_eq!((&line["reason"], &line["tries"]), (&json!("upstream_timeout"), &json!(1)), "{line}");
        assert_eq!(metric(&site, "retries_total", "no_endpoint"), 1);
        hold.end();
    }
}

#[test]
fn the_total_holds_over_all_tries_and_pauses() {
    for backends_h2 in [false, true] {
        let hold = Hold::default();
        let slow: Vec<Backend> = (0..8).map(|_| Backend::start(backends_h2, Way::Hangs, &hold)).collect();
        let addresses: Vec<&str> = slow.iter().map(Backend::address).collect();
        let route = json!({
            "retries": { "attempts": 7, "per_try_timeout": "300ms" },
            "timeouts": { "total": "1s" },
        });
        let upstream = json!({ "protocol": if backends_h2 { "h2c" } else { "h1" } });
        let site = site(&addresses, route, upstream);
        for client_h2 in [false, true] {
            let path = format!("/{client_h2}");
            let status = if client_h2 {
                site.h2_client().get(&path).unwrap().status()
            } else {
                site.client().ask(GET.replace("/ ", &format!("{path} "))).unwrap().status
            };
            assert_eq!(status, 504);
            let line = site.logged(&path);
            // The last try ended by the total, or there was no time for a pause before another one.
            assert!(line["reason"] == "total_timeout" || line["reason"] == "upstream_timeout", "{line}");
            let tries = line["tries"].as_u64().unwrap();
            assert!((2..=4).contains(&tries), "{line}");
            println!("{backends_h2} {client_h2} {line}");
        }
        hold.end();
    }
}

#[test]
fn the_total_holds_over_waiting_for_a_connection() {
    let hold = Hold::default();
    let slow = Backend::start(false, Way::Hangs, &hold);
    let route = json!({ "timeouts": { "connect": "20s", "total": "1s" } });
    let mut config = one_upstream([(slow.address(), 1)].into_iter(), route);
    config["upstreams"][0]["backends"][0]["max_connections"] = json!(1);
    // The first takes the only connection.
    config["routes"].as_array_mut().unwrap().push(json!({
        "name": "long", "match": { "path": { "exact": "/long" } }, "action": { "forward": { "upstream": "up" } },
    }));
    config["listeners"] = json!([{ "name": "web" }]);
    let site = Site::start(config);
    let mut first = site.client();
    first.send(GET.replace("/ ", "/long ")).unwrap();
    harness::wait_for("the first", harness::DEADLINE, || {
        (metric(&site, "backend_requests_total", "") == 1).then_some(())
    });
    assert_eq!(site.client().ask(GET).unwrap().status, 504);
    let line = site.logged("/");
    assert_eq!((&line["reason"], &line["tries"]), (&json!("total_timeout"), &json!(1)), "{line}");
    hold.end();
}

#[test]
fn a_client_that_goes_away_in_a_pause_ends_the_request() {
    let origin = failing(503, &[("Retry-After", "4")], usize::MAX);
    let route = json!({ "retries": { "on": ["503"], "attempts": 5 } });
    let site = site(&[origin.address()], route, json!({}));
    let mut stream = TcpStream::connect(&site.address).unwrap();
    stream.write_all(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc").unwrap();
    harness::wait_for("the pause", harness::DEADLINE, || (metric(&site, "retries_total", "made") == 1).then_some(()));
    // By a reset: a mere end may be a half-close, of a client that waits for its answer.
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
    let line = site.logged("/");
    assert_eq!((&line["reason"], &line["tries"]), (&json!("client_gone"), &json!(1)), "{line}");
    assert_eq!(metric(&site, "replay_buffer_bytes", ""), 0);
    assert_eq!(metric(&site, "backend_in_flight", ""), 0);
}

#[test]
fn a_client_that_has_sent_all_and_closed_its_side_gets_the_answer_of_a_further_try() {
    let origin = failing(503, &[("Retry-After", "1")], 2);
    let site = site(&[origin.address()], json!({ "retries": { "on": ["503"] } }), json!({}));
    let mut client = site.client();
    client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc").unwrap();
    client.half_close().unwrap();
    assert_eq!(client.read_response().unwrap().status, 200);
    assert_eq!(site.logged("/")["tries"], 2);
}
