//! Active health checks.

mod panic;

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use harness::{DEADLINE, Origin, Reply, get, h2::H2Origin, wait_for};
use serde_json::{Value, json};
use shared::value::Timestamp;

use crate::site::{Site, one_upstream};

/// Often enough for a test.
fn every(check: &Value) -> Value {
    let mut whole = json!({ "interval": "100ms", "interval_down": "100ms", "timeout": "5s", "rise": 2, "fall": 2 });
    for (name, value) in check.as_object().unwrap() {
        whole[name] = value.clone();
    }
    whole
}

fn site(addresses: &[&str], check: &Value) -> Site {
    let mut config = one_upstream(addresses.iter().map(|address| (*address, 1)), json!({}));
    config["upstreams"][0]["health_check"] = every(check);
    Site::start(config)
}

/// A backend whose `/healthz` says whether it `is_well`; its other answers are good either way.
fn backend(is_well: &Arc<AtomicBool>) -> Origin {
    let is_well = Arc::clone(is_well);
    Origin::start(move |request| match request.target() {
        "/healthz" if !is_well.load(SeqCst) => Reply::with(503, &[], "ill"),
        _ => Reply::text("good"),
    })
}

fn wait_for_state(site: &Site, backend: &str, state: &str) -> Value {
    wait_for(&format!("{backend} becomes {state}"), DEADLINE, || {
        let shown = site.endpoint("up", backend);
        (shown["state"] == state).then_some(shown)
    })
}

/// Requests that clients sent.
fn requests(origin: &Origin) -> usize {
    origin.received().iter().filter(|request| request.target() == "/").count()
}

#[test]
fn a_backend_that_fails_its_checks_gets_nothing_until_it_passes_again() {
    let is_well = Arc::new(AtomicBool::new(true));
    let (failing, other) = (backend(&is_well), Origin::named("other"));
    let site = site(&[failing.address(), other.address()], &json!({ "http": { "path": "/healthz" } }));
    wait_for("it is healthy", DEADLINE, || (site.endpoint("up", "b0")["health"]["state"] == "healthy").then_some(()));
    is_well.store(false, SeqCst);
    let shown = wait_for_state(&site, "b0", "unhealthy");
    assert_eq!((&shown["reason"], &shown["health"]["state"]), (&json!("checks_failed"), &json!("unhealthy")));
    assert_eq!(shown["health"]["last_check"]["detail"], "status 503", "{shown}");
    // Each input has its own reason, though only one decides.
    assert_eq!((&shown["health"]["reason"], &shown["breaker"]["reason"]), (&json!("checks_failed"), &json!("closed")));
    let before = requests(&failing);
    for _ in 0..40 {
        assert_eq!(get(&site.address, "h", "/").unwrap().status, 200);
    }
    assert_eq!(requests(&failing), before);
    let text = site.plane.metrics();
    for line in [
        r#"tidegate_backend_state{upstream="up",backend="b0",state="unhealthy"} 1"#,
        r#"tidegate_backend_state{upstream="up",backend="b0",state="serving"} 0"#,
        r#"tidegate_endpoint_transitions_total{upstream="up",backend="b0",input="health",to="unhealthy"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    is_well.store(true, SeqCst);
    wait_for_state(&site, "b0", "serving");
    wait_for("it takes requests", DEADLINE, || {
        assert_eq!(get(&site.address, "h", "/").unwrap().status, 200);
        (requests(&failing) > before).then_some(())
    });
    let log = format!("{}{}", site.plane.process.output(), site.plane.process.errors()).replace('"', "");
    for words in ["input=health from=healthy to=unhealthy", "from=serving to=unhealthy reason=checks_failed"] {
        assert!(log.contains(words), "{words} is not in {log}");
    }
}

#[test]
fn a_first_check_that_is_waited_for_decides() {
    let is_well = Arc::new(AtomicBool::new(false));
    let origin = backend(&is_well);
    let check = json!({ "http": { "path": "/healthz" }, "first_state": "probe_first", "panic": false, "fall": 100 });
    let site = site(&[origin.address()], &check);
    let shown = wait_for("the first check ends", DEADLINE, || {
        assert_eq!(get(&site.address, "h", "/").unwrap().status, 503);
        let shown = site.endpoint("up", "b0");
        (shown["health"]["state"] == "unhealthy").then_some(shown)
    });
    assert_eq!(shown["state"], "unhealthy");
    assert_eq!(requests(&origin), 0);
}

#[test]
fn every_kind_of_check_says_what_it_saw() {
    let well = Origin::start(|request| {
        let is_as_said = request.method() == "POST"
            && request.head.field("host") == Some("inner.example")
            && request.head.field("x-check") == Some("yes")
            && request.target() == "/check?deep=1";
        Reply::with(if is_as_said { 204 } else { 400 }, &[], "")
    });
    let text = Origin::start(|_| Reply::text("all is well here"));
    let cut = Origin::start(|_| Reply::hang_up());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let grpc = H2Origin::start(&[], |request, stream| {
        let is_asked = request.field(":path") == "/grpc.health.v1.Health/Check" && request.field("te") == "trailers";
        let status = match &request.body[..] {
            [0, 0, 0, 0, 0] if is_asked => 1,
            [0, 0, 0, 0, 6, 0x0a, 4, b's', b'h', b'o', b'p'] if is_asked => 2,
            _ => return stream.answer(&[(":status", "200"), ("grpc-status", "5")], b"", &[]),
        };
        let head = [(":status", "200"), ("content-type", "application/grpc")];
        stream.answer(&head, &[0, 0, 0, 0, 2, 8, status], &[("grpc-status", "0")])
    });
    let h2 = H2Origin::start(&[], |request, stream| {
        let status = if request.field(":path") == "/well" { "200" } else { "500" };
        stream.answer(&[(":status", status)], b"h2 is well", &[])
    });

    let address = |origin: &Origin| origin.address().to_owned();
    let silent_address = silent.local_addr().unwrap().to_string();
    let asks = json!({ "method": "POST", "path": "/check?deep=1", "host": "inner.example",
        "headers": { "x-check": "yes" }, "expect": ["204"] });
    let body = |text: &str| json!({ "http": { "body_contains": text } });
    let cases = [
        ("tcp", address(&well), json!({ "tcp": {} }), "h1", true, "connected"),
        ("refused", closed, json!({ "tcp": {} }), "h1", false, "connection refused"),
        ("asks", address(&well), json!({ "http": asks }), "h1", true, "status 204"),
        ("status", address(&well), json!({ "http": {} }), "h1", false, "status 400"),
        ("body", address(&text), body("is well"), "h1", true, "status 200"),
        ("other", address(&text), body("is ill"), "h1", false, "does not contain"),
        ("cut", address(&cut), json!({ "http": {} }), "h1", false, "ended"),
        ("silent", silent_address, json!({ "http": {}, "timeout": "200ms" }), "h1", false, "no answer within 200ms"),
        ("grpc", h2_address(&grpc), json!({ "grpc": {} }), "h2c", true, "SERVING"),
        ("shop", h2_address(&grpc), json!({ "grpc": { "service": "shop" } }), "h2c", false, "NOT_SERVING"),
        ("unknown", h2_address(&grpc), json!({ "grpc": { "service": "x" } }), "h2c", false, "grpc-status 5"),
        (
            "h2",
            h2_address(&h2),
            json!({ "http": { "path": "/well", "body_contains": "h2 is" } }),
            "h2c",
            true,
            "status 200",
        ),
        ("h2-bad", h2_address(&h2), json!({ "http": {} }), "h2c", false, "status 500"),
    ];
    let upstreams: Vec<Value> = cases
        .iter()
        .map(|(name, address, check, protocol, ..)| {
            let backends = json!([{ "name": "b", "address": address }]);
            json!({ "name": name, "backends": backends, "protocol": protocol, "health_check": every(check) })
        })
        .collect();
    let site = Site::start(json!({ "upstreams": upstreams }));
    for (name, _, _, _, passes, detail) in &cases {
        let expected = if *passes { "healthy" } else { "unhealthy" };
        let shown = wait_for(&format!("{name} is {expected}"), DEADLINE, || {
            let shown = site.endpoint(name, "b");
            (shown["health"]["state"] == expected).then_some(shown)
        });
        let last = &shown["health"]["last_check"];
        assert_eq!(last["passed"], *passes, "{name}: {last}");
        assert!(last["detail"].as_str().unwrap().contains(detail), "{name}: {last}");
    }
}

fn h2_address(origin: &H2Origin) -> String {
    origin.address().to_owned()
}

#[test]
fn an_endpoint_is_checked_once_for_all_workers_and_not_at_all_once_it_is_gone() {
    let origins = [Origin::named("a"), Origin::named("b")];
    let mut config = one_upstream(origins.iter().map(|origin| (origin.address(), 1)), json!({}));
    config["upstreams"][0]["health_check"] = every(&json!({ "http": {} }));
    let site = Site::with_workers(4, config);
    let ended = |name: &str| {
        let start = format!(r#"tidegate_health_checks_total{{upstream="up",backend="{name}",result="passed"}} "#);
        let text = site.plane.metrics();
        text.lines().find_map(|line| line.strip_prefix(&start)).map_or(0, |count| count.parse::<usize>().unwrap())
    };
    wait_for("ten checks", DEADLINE, || (ended("b0") >= 10).then_some(()));
    let asked = origins[0].received().len();
    // One may be under way.
    assert!(asked <= ended("b0") + 1, "{asked}");
    site.reconfigure(|config| {
        config["upstreams"][0]["backends"].as_array_mut().unwrap().remove(0);
    });
    let (before, others) = (origins[0].received().len(), ended("b1"));
    wait_for("the other is checked on", DEADLINE, || (ended("b1") >= others + 10).then_some(()));
    assert!(origins[0].received().len() <= before + 1);
    assert!(!site.plane.metrics().contains(r#"backend="b0""#));
}

/// A backend that answers what begins with `header`, and closes every other connection; how many connections there were of the former.
fn greeted(header: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut first = vec![0; header.len()];
            if stream.read_exact(&mut first).is_err() || first != header {
                continue;
            }
            counted.fetch_add(1, SeqCst);
            let mut asked = [0; 4];
            if stream.read_exact(&mut asked).is_ok() && &asked == b"GET " {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                // Until the other side has closed: unread bytes would reset the connection.
                let _ = stream.read_to_end(&mut Vec::new());
            }
        }
    });
    (address, count)
}

#[test]
fn a_check_begins_with_the_header_that_the_backend_expects() {
    let (v1, v2) = (b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    for check in [json!({ "http": {} }), json!({ "tcp": {} })] {
        let [(first, of_first), (second, of_second)] = [greeted(v1), greeted(v2)];
        let upstream = |name: &str, address: &str| {
            let backends = json!([{ "name": "b", "address": address }]);
            json!({ "name": name, "backends": backends, "proxy_protocol": name, "health_check": every(&check) })
        };
        let site = Site::start(json!({ "upstreams": [upstream("v1", &first), upstream("v2", &second)] }));
        for (name, count) in [("v1", of_first), ("v2", of_second)] {
            wait_for(&format!("{name} is healthy"), DEADLINE, || {
                let shown = site.endpoint(name, "b");
                (shown["health"]["state"] == "healthy" && count.load(SeqCst) >= 2).then_some(())
            });
        }
    }
}

#[test]
fn backends_that_take_no_requests_are_shown_so_and_decide_on_no_panic() {
    let (well, ill) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let origins = [backend(&well), backend(&ill)];
    let addresses: Vec<&str> = origins.iter().map(Origin::address).collect();
    let site = site(&addresses, &json!({ "http": { "path": "/healthz" } }));
    wait_for_state(&site, "b1", "unhealthy");
    for state in ["draining", "disabled"] {
        let asked = Timestamp::now();
        site.reconfigure(|config| config["upstreams"][0]["backends"][0]["state"] = json!(state));
        let shown = wait_for_state(&site, "b0", state);
        assert_eq!((&shown["admin"], &shown["health"]["state"]), (&json!(state), &json!("healthy")), "{shown}");
        let since: Timestamp = serde_json::from_value(shown["admin_since"].clone()).unwrap();
        assert!(shown["reason"] == state && since >= asked, "{shown}");
        assert_eq!(shown["health"]["reason"], "checks_passed", "{shown}");
        // All that take requests fail.
        wait_for_state(&site, "b1", "panic");
        let before = requests(&origins[0]);
        assert_eq!(get(&site.address, "h", "/").unwrap().status, 200);
        assert_eq!(requests(&origins[0]), before);
        site.reconfigure(|config| config["upstreams"][0]["backends"][0]["state"] = json!("active"));
        wait_for_state(&site, "b0", "serving");
        wait_for_state(&site, "b1", "unhealthy");
    }
}
