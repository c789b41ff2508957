//! Requests that wait at the cap of a backend: in what order, how many, how long.

mod held;

use std::{io::Write, net::TcpListener};

use harness::h2::H2Origin;
use rustix::net::sockopt;

use self::held::{Asking, Held, read_head};
use super::*;

/// The setting of HTTP/2 that says how many streams there may be.
const MAX_CONCURRENT_STREAMS: u16 = 3;

/// A site before backends of one upstream, each with further fields; routes give connecting `connect`.
fn site(workers: u16, protocol: &str, connect: &str, backends: &[(&Held, Value)]) -> Site {
    let backends = backends.iter().zip(["b", "c"]).map(|((held, fields), name)| {
        let mut backend = json!({ "name": name, "address": held.address });
        backend.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        backend
    });
    let config = json!({
        "listeners": [{ "name": "web", "allow_h2c": true }],
        "upstreams": [{ "name": "up", "protocol": protocol, "backends": backends.collect::<Vec<_>>() }],
        "routes": [{
            "name": "all",
            "action": { "forward": { "upstream": "up" } },
            "timeouts": { "connect": connect },
            "retries": { "on": [] },
        }],
    });
    Site::with_workers(workers, config)
}

/// Waits until so many requests wait, as metrics and status say.
fn wait_for_queued(site: &Site, count: u64) {
    wait_for("requests wait", DEADLINE, || (metric(site, "backend_queued") == count).then_some(()));
    assert_eq!(site.endpoint("up", "b")["load"]["queued"], count);
}

/// Sends the requests `/0` and so on; one after the other begins to wait.
fn wait_in_turn(site: &Site, held: &Held, versions: &[u8]) -> Vec<Asking> {
    let mut asking = vec![Asking::send(site, versions[0], "GET", "/0")];
    held.wait_for_arrivals(1);
    for (index, version) in versions.iter().enumerate().skip(1) {
        asking.push(Asking::send(site, *version, "GET", &format!("/{index}")));
        wait_for_queued(site, index as u64);
    }
    asking
}

/// Lets all go that were sent in turn.
fn all_are_answered_in_turn(held: &Held, asking: &mut [Asking]) {
    held.release();
    for asking in &mut *asking {
        assert_eq!(asking.answer().0, 200);
    }
    let expected: Vec<String> = (0..asking.len()).map(|index| format!("/{index}")).collect();
    assert_eq!(held.arrived(), expected);
}

/// Protocols of backends, and the workers over which the order of requests is one: requests of a worker share connections of HTTP/2.
const PROTOCOLS: [(&str, u16); 2] = [("h1", 2), ("h2c", 1)];

#[test]
fn requests_are_served_in_the_order_in_which_they_came() {
    for (protocol, workers) in PROTOCOLS {
        let held = Held::start(protocol);
        let site = site(workers, protocol, "1m", &[(&held, json!({ "max_connections": 1 }))]);
        let mut asking = wait_in_turn(&site, &held, &[1, 2, 1, 2, 1, 1]);
        // What has nothing to do with the backend leaves them where they are.
        site.reconfigure(|config| {
            config["upstreams"][0]["pool"] = json!({ "max_idle": 7 });
            config["routes"][0]["retries"] = json!({});
            config["routes"].as_array_mut().unwrap().push(
                json!({ "name": "new", "match": { "hosts": ["new.test"] }, "action": { "respond": { "status": 204 } } }),
            );
        });
        wait_for_queued(&site, 5);
        all_are_answered_in_turn(&held, &mut asking);
        assert_eq!(metric(&site, "backend_connection_waits_total"), 5, "{protocol}");
        wait_for_queued(&site, 0);
    }
}

#[test]
fn no_more_requests_wait_than_may_and_others_are_answered_at_once() {
    for (protocol, workers) in PROTOCOLS {
        for version in [1, 2] {
            let held = Held::start(protocol);
            let fields = json!({ "max_connections": 1, "max_pending": 2, "queue_timeout": "1h" });
            let site = site(workers, protocol, "1m", &[(&held, fields)]);
            let mut asking = wait_in_turn(&site, &held, &[1, 2, 1]);
            let (status, proxy_status) = Asking::send(&site, version, "POST", "/refused").answer();
            assert_eq!(status, 503, "{protocol} {version}");
            assert!(proxy_status.contains("connection_limit_reached") && proxy_status.contains("queue_full"));
            assert_eq!(site.logged("/refused")["reason"], "queue_full");
            assert_eq!(metric(&site, "backend_connection_wait_refusals_total"), 1);
            // A lower limit sends nobody away that waits already, and a higher one acts at once.
            site.reconfigure(|config| config["upstreams"][0]["backends"][0]["max_pending"] = json!(0));
            assert_eq!(Asking::send(&site, version, "GET", "/refused").answer().0, 503);
            site.reconfigure(|config| config["upstreams"][0]["backends"][0]["max_pending"] = json!(3));
            wait_for_queued(&site, 2);
            asking.push(Asking::send(&site, version, "GET", "/3"));
            wait_for_queued(&site, 3);
            all_are_answered_in_turn(&held, &mut asking);
            assert_eq!(metric_of(&site, "backend_failures_total", "kind=\"connect\""), 0);
        }
    }
}

#[test]
fn where_nobody_may_wait_idle_connections_of_other_workers_are_used_all_the_same() {
    for (protocol, _) in PROTOCOLS {
        let held = Held::start(protocol);
        held.release();
        let site = site(2, protocol, "1m", &[(&held, json!({ "max_connections": 1, "max_pending": 0 }))]);
        for turn in 0..30 {
            let idle = || metric_of(&site, "backend_connections_open", "state=\"busy\"") == 0;
            wait_for("the connection is idle", DEADLINE, || idle().then_some(()));
            assert_eq!(Asking::send(&site, 1 + turn % 2, "GET", "/").answer().0, 200, "{protocol} {turn}");
        }
    }
}

#[test]
fn where_nobody_may_wait_a_connection_that_the_backend_has_ended_is_replaced_all_the_same() {
    // What cannot be sent twice goes to no connection of HTTP/1.1 that has ended, however soon before.
    for (protocol, method) in [("h1", "POST"), ("h2c", "GET")] {
        let held = Held::start(protocol);
        held.release();
        let site = site(1, protocol, "1m", &[(&held, json!({ "max_connections": 1, "max_pending": 0 }))]);
        for turn in 0..10 {
            assert_eq!(Asking::send(&site, 1 + turn % 2, method, "/").answer().0, 200, "{protocol} {turn}");
            let idle = || metric_of(&site, "backend_connections_open", "state=\"busy\"") == 0;
            wait_for("the connection is idle", DEADLINE, || idle().then_some(()));
            (held.drop_connections)();
        }
    }
}

#[test]
fn a_request_that_finds_a_full_queue_goes_to_another_backend() {
    for (protocol, workers) in PROTOCOLS {
        let [first, second] = [(); 2].map(|()| Held::start(protocol));
        let full = json!({ "max_connections": 1, "max_pending": 0, "queue_timeout": "1h" });
        let site = site(workers, protocol, "1m", &[(&first, full.clone()), (&second, full)]);
        // The turn comes to each of them twice; what is not idempotent goes on all the same, since it was sent nowhere.
        let mut asking = Vec::new();
        for version in [1, 2] {
            asking.push(Asking::send(&site, version, "POST", "/taken"));
            let arrived = || first.arrived().len() + second.arrived().len() >= asking.len();
            wait_for("requests at the backends", DEADLINE, || arrived().then_some(()));
        }
        assert_eq!((first.arrived().len(), second.arrived().len()), (1, 1), "{protocol}");
        for version in [1, 2] {
            assert_eq!(Asking::send(&site, version, "GET", "/none").answer().0, 503, "{protocol}");
        }
        second.release();
        let mut moved = 0;
        for turn in 0..6 {
            wait_for("the second is free", DEADLINE, || {
                (site.endpoint("up", "c")["load"]["connections_busy"] == 0).then_some(())
            });
            let path = format!("/moved/{turn}");
            assert_eq!(Asking::send(&site, 1 + turn % 2, "POST", &path).answer().0, 200, "{protocol} {turn}");
            let line = site.logged(&path);
            assert_eq!(line["backend"], "c");
            moved += u32::from(line["retried_for"] == "queue_full");
        }
        assert!(moved >= 2, "half of the turns are of the first: {moved}");
        let text = site.plane.metrics();
        assert!(text.contains("result=\"made\"} 0"), "it is no retry: {text}");
        first.release();
        for asking in &mut asking {
            assert_eq!(asking.answer().0, 200);
        }
    }
}

#[test]
fn where_no_backend_has_room_the_fallback_acts() {
    let fields = json!({ "max_connections": 1, "max_pending": 0, "queue_timeout": "1h" });
    for (protocol, workers) in PROTOCOLS {
        let [first, second] = [(); 2].map(|()| Held::start(protocol));
        let site = site(workers, protocol, "1m", &[(&first, fields.clone()), (&second, fields.clone())]);
        let http1 = Origin::named("other");
        let http2 = H2Origin::start(&[], |request, stream| {
            assert_eq!(request.body, b"abc");
            stream.answer(&[(":status", "200")], b"other", &[])
        });
        let mut holding: Vec<_> = ["/0", "/1"].iter().map(|path| Asking::send(&site, 1, "GET", path)).collect();
        let arrived = || first.arrived().len() + second.arrived().len() == 2;
        wait_for("requests at the backends", DEADLINE, || arrived().then_some(()));
        let ask = |version: u8, path: &str| {
            if version == 1 {
                let request = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
                let answer = site.client().ask(request).unwrap();
                return (answer.status, answer.text());
            }
            let answer = site.h2_client().ask("POST", path, &[], "abc").unwrap();
            (answer.status(), answer.text())
        };
        let falls_back = |fallback: Value| {
            site.reconfigure(move |config| config["routes"][0]["fallback"] = fallback);
        };
        for (other, address) in [("h1", http1.address()), ("h2c", http2.address())] {
            site.reconfigure(|config| {
                config["upstreams"].as_array_mut().unwrap().truncate(1);
                config["upstreams"].as_array_mut().unwrap().push(json!({
                    "name": "other", "protocol": other, "backends": [{ "name": "x", "address": address }],
                }));
                config["routes"][0]["host"] = json!("backend");
                config["routes"][0]["fallback"] = json!({ "forward": { "upstream": "other" } });
            });
            for version in [1, 2] {
                let path = format!("/{other}/{version}");
                assert_eq!(ask(version, &path), (200, "other".to_owned()), "{protocol} {path}");
                let line = site.logged(&path);
                assert_eq!((&line["fallback"], &line["upstream"]), (&json!("queue_full"), &json!("other")), "{line}");
                assert_eq!((&line["reason"], &line["bytes_in"]), (&Value::Null, &json!(3)), "{line}");
            }
        }
        let received = http1.received();
        assert!(received.iter().all(|got| got.body == b"abc" && got.head.field("host") == Some(http1.address())));
        assert_eq!((received.len(), http2.received().len()), (2, 2));
        falls_back(json!({ "respond": { "status": 200, "body": "later" } }));
        assert_eq!(ask(1, "/a"), (200, "later".to_owned()), "{protocol}");
        assert_eq!(ask(2, "/b"), (200, "later".to_owned()), "{protocol}");
        // Those that waited in vain, and those whose fallback has no endpoint either.
        site.reconfigure(|config| {
            for backend in config["upstreams"][0]["backends"].as_array_mut().unwrap() {
                (backend["max_pending"], backend["queue_timeout"]) = (json!(1), json!("20ms"));
            }
        });
        assert_eq!(ask(1, "/c"), (200, "later".to_owned()), "{protocol}");
        assert_eq!(ask(2, "/d"), (200, "later".to_owned()), "{protocol}");
        assert_eq!(site.logged("/d")["fallback"], "connections_exhausted");
        site.reconfigure(|config| {
            config["upstreams"].as_array_mut().unwrap().push(json!({ "name": "empty" }));
            config["routes"][0]["fallback"] = json!({ "forward": { "upstream": "empty" } });
        });
        assert_eq!((ask(1, "/e").0, ask(2, "/f").0), (503, 503), "{protocol}");
        assert_eq!(site.logged("/f")["reason"], "no_backend");
        let text = site.plane.metrics();
        assert!(text.contains("tidegate_fallbacks_total{route=\"all\"} 10\n"), "{text}");
        for held in [&first, &second] {
            held.release();
        }
        assert!(holding.iter_mut().all(|asking| asking.answer().0 == 200));
        assert!(arrived(), "nothing else came to them");
    }
}

#[test]
fn a_request_waits_as_long_as_its_backend_says_and_else_as_connecting_may_take() {
    for (protocol, workers) in PROTOCOLS {
        for version in [1, 2] {
            let held = Held::start(protocol);
            // Connecting has ages, the queue has not.
            let fields = json!({ "max_connections": 1, "queue_timeout": "50ms" });
            let long = site(workers, protocol, "1m", &[(&held, fields)]);
            let mut holding = Asking::send(&long, version, "GET", "/0");
            held.wait_for_arrivals(1);
            let (status, proxy_status) = Asking::send(&long, version, "GET", "/late").answer();
            assert_eq!(status, 503, "{protocol} {version}");
            assert!(proxy_status.contains("connections_exhausted"), "{proxy_status}");
            assert_eq!(metric(&long, "backend_connection_wait_timeouts_total"), 1);
            assert_eq!(metric(&long, "backend_queued"), 0);
            held.release();
            assert_eq!(holding.answer().0, 200);

            // The other way round.
            let held = Held::start(protocol);
            let fields = json!({ "max_connections": 1, "queue_timeout": "1h" });
            let short = site(workers, protocol, "50ms", &[(&held, fields)]);
            let mut asking = wait_in_turn(&short, &held, &[version, version]);
            // Another one, for which only the route says how long, waits in vain meanwhile.
            short.reconfigure(|config| {
                let mut upstream = config["upstreams"][0].clone();
                upstream["name"] = json!("other");
                drop(upstream["backends"][0].as_object_mut().unwrap().remove("queue_timeout"));
                config["upstreams"].as_array_mut().unwrap().push(upstream);
                let mut route = config["routes"][0].clone();
                route["name"] = json!("other");
                route["match"] = json!({ "path": { "prefix": "/other" } });
                route["action"]["forward"]["upstream"] = json!("other");
                config["routes"].as_array_mut().unwrap().push(route);
            });
            let _other = Asking::send(&short, version, "GET", "/other");
            held.wait_for_arrivals(2);
            assert_eq!(Asking::send(&short, version, "GET", "/other").answer().0, 503);
            held.arrived.lock().unwrap().pop();
            wait_for_queued(&short, 1);
            all_are_answered_in_turn(&held, &mut asking);
        }
    }
}

#[test]
fn who_goes_away_while_waiting_leaves_room_for_another() {
    for (protocol, workers) in PROTOCOLS {
        for version in [1, 2] {
            let held = Held::start(protocol);
            let fields = json!({ "max_connections": 1, "max_pending": 1, "queue_timeout": "1h" });
            let site = site(workers, protocol, "1m", &[(&held, fields)]);
            let mut asking = wait_in_turn(&site, &held, &[1, version]);
            match asking.pop().unwrap() {
                Asking::Http1(client) => drop(client),
                Asking::Http2(mut client, stream) => {
                    client.send_frame(&harness::h2::Frame::reset(stream, 8)).unwrap();
                    wait_for_queued(&site, 0);
                }
            }
            wait_for_queued(&site, 0);
            assert_eq!(site.logged("/1")["reason"], "client_gone", "{protocol} {version}");
            asking.push(Asking::send(&site, version, "GET", "/1"));
            wait_for_queued(&site, 1);
            all_are_answered_in_turn(&held, &mut asking);
        }
    }
}

#[test]
fn a_raised_cap_lets_those_go_that_wait() {
    for (protocol, workers) in PROTOCOLS {
        let held = Held::start(protocol);
        let fields = json!({ "max_connections": 1, "queue_timeout": "1h" });
        let site = site(workers, protocol, "1m", &[(&held, fields)]);
        let mut asking = wait_in_turn(&site, &held, &[1, 2, 1, 2]);
        site.reconfigure(|config| config["upstreams"][0]["backends"][0]["max_connections"] = json!(3));
        held.wait_for_arrivals(3);
        wait_for_queued(&site, 1);
        let mut first = held.arrived();
        first.sort();
        assert_eq!(first, ["/0", "/1", "/2"], "{protocol}");
        site.reconfigure(|config| {
            drop(config["upstreams"][0]["backends"][0].as_object_mut().unwrap().remove("max_connections"))
        });
        held.wait_for_arrivals(4);
        wait_for_queued(&site, 0);
        held.release();
        for asking in &mut asking {
            assert_eq!(asking.answer().0, 200);
        }
    }
}

#[test]
fn who_waits_gets_no_connection_that_ended_with_the_response_before() {
    for version in [1, 2] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let held = Held {
            address: listener.local_addr().unwrap().to_string(),
            drop_connections: Box::new(|| ()),
            arrived: Arc::default(),
            open: Arc::default(),
        };
        let (arrived, open) = (Arc::clone(&held.arrived), Arc::clone(&held.open));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let head = read_head(&mut stream);
                arrived.lock().unwrap().push(head.split(' ').nth(1).unwrap().to_owned());
                let (lock, opened) = &*open;
                drop(opened.wait_timeout_while(lock.lock().unwrap(), DEADLINE, |open| !*open).unwrap());
                // The response and the end of the connection come in one segment.
                sockopt::set_tcp_cork(&stream, true).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
            }
        });
        let fields = json!({ "max_connections": 1, "queue_timeout": "1h" });
        let site = site(1, "h1", "1m", &[(&held, fields)]);
        let mut asking = vec![Asking::send(&site, 1, "GET", "/0")];
        held.wait_for_arrivals(1);
        for (index, method) in ["POST", "GET", "POST"].into_iter().enumerate() {
            asking.push(Asking::send(&site, version, method, &format!("/{}", index + 1)));
            wait_for_queued(&site, index as u64 + 1);
        }
        all_are_answered_in_turn(&held, &mut asking);
    }
}

#[test]
fn busy_workers_pass_the_only_connection_to_an_http2_backend_on_to_one_another() {
    const CLIENTS: u32 = 12;
    const EACH: u32 = 60;
    let origin =
        H2Origin::start(&[(MAX_CONCURRENT_STREAMS, 2)], |_, stream| stream.answer(&[(":status", "200")], b"ok", &[]));
    let mut config = config(origin.address(), &json!({}), Some(1));
    config["upstreams"][0]["protocol"] = json!("h2c");
    config["upstreams"][0]["backends"][0]["queue_timeout"] = json!("1h");
    config["routes"][0]["timeouts"] = json!({ "connect": "1m" });
    let site = Site::start(config);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = site.client();
                for request in 0..EACH {
                    if request % 20 == 19 {
                        // Perhaps to the other worker.
                        client = site.client();
                    }
                    assert_eq!(client.ask(GET).unwrap().status, 200);
                }
            });
        }
    });
    assert!(origin.connections() > 1, "both workers had it");
    assert_eq!(origin.most_open(), 1, "one after the other");
    assert!(metric(&site, "backend_connection_waits_total") > 0);
}
