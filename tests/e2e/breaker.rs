//! The circuit breaker of each backend.

mod dead;
mod grpc;
mod story;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use harness::{DEADLINE, Origin, Reply, Up, get, wait_for};
use serde_json::{Value, json};

use crate::site::Site;

/// Short enough for a test, and still several probes long.
fn breaker() -> Value {
    json!({
        "sliding_window_size": 20,
        "minimum_number_of_calls": 10,
        "failure_statuses": ["500-599"],
        "wait_duration_in_open_state": "500ms",
        "max_wait_duration_in_open_state": "2s",
        "permitted_number_of_calls_in_half_open_state": 3,
    })
}

fn site(origins: &[&Origin], breaker: &Value, route: &Value) -> Site {
    let mut config = crate::site::one_upstream(origins.iter().map(|origin| (origin.address(), 1)), route.clone());
    config["upstreams"][0]["breaker"] = breaker.clone();
    Site::start(config)
}

fn endpoint(site: &Site, name: &str) -> Value {
    site.endpoint("up", name)
}

fn transitions(site: &Site, name: &str, to: &str) -> u64 {
    let start = format!(
        "tidegate_endpoint_transitions_total{{upstream=\"up\",backend=\"{name}\",input=\"breaker\",to=\"{to}\"}} "
    );
    let text = site.plane.metrics();
    text.lines().find_map(|line| line.strip_prefix(&start)).map_or(0, |count| count.parse().unwrap())
}

/// Asks until `condition` holds; statuses by count.
fn ask_until(site: &Site, what: &str, mut condition: impl FnMut() -> bool) -> BTreeMap<u16, u32> {
    let mut statuses = BTreeMap::new();
    wait_for(what, DEADLINE, || {
        let status = get(&site.address, "h", "/").unwrap().status;
        *statuses.entry(status).or_default() += 1;
        condition().then_some(())
    });
    statuses
}

#[test]
fn the_transitions_of_a_flapping_backend_are_bounded_by_the_growing_wait() {
    let number = Arc::new(AtomicU32::new(0));
    let turn = Arc::clone(&number);
    // Good for as long as trial calls last, then bad again.
    let origin = Origin::start(move |_| {
        let is_trial = turn.fetch_add(1, SeqCst) % 13 < 3;
        if is_trial { Reply::text("good") } else { Reply::with(503, &[], "bad") }
    });
    let mut settings = breaker();
    settings["wait_duration_in_open_state"] = json!("100ms");
    settings["max_wait_duration_in_open_state"] = json!("1s");
    let site = site(&[&origin], &settings, &json!({}));
    let begin = Instant::now();
    ask_until(&site, "it opened five times", || transitions(&site, "b0", "open") >= 5);
    // 100 ms, 200 ms, 400 ms and 800 ms lie between.
    assert!(begin.elapsed() >= Duration::from_millis(1_500), "{:?}", begin.elapsed());
}

#[test]
fn an_operator_forces_a_breaker_and_releases_it() {
    let (good, bad) = (Origin::named("good"), Origin::start(|_| Reply::with(503, &[], "bad")));
    let site = site(&[&good, &bad], &breaker(), &json!({}));
    let change = |forced: [&str; 2]| {
        site.reconfigure(|config| {
            for (backend, word) in config["upstreams"][0]["backends"].as_array_mut().unwrap().iter_mut().zip(forced) {
                backend["breaker_override"] = json!(word);
            }
        });
    };
    change(["force_open", "force_closed"]);
    let received = good.received().len();
    for _ in 0..40 {
        assert_eq!(get(&site.address, "h", "/").unwrap().status, 503);
    }
    assert_eq!((good.received().len(), bad.received().len()), (received, 40));
    let shown = endpoint(&site, "b0");
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("breaker_open"), &json!("forced_open")));
    assert_eq!(endpoint(&site, "b1")["breaker"]["failed"], 20);
    change(["auto", "auto"]);
    ask_until(&site, "the bad one is left out by itself", || endpoint(&site, "b1")["state"] == "breaker_open");
    assert_eq!(endpoint(&site, "b0")["state"], "serving");
}

#[test]
fn an_unrelated_change_resets_no_window_and_no_state() {
    let [dead, good] = [Origin::start(|_| Reply::hang_up()), Origin::named("good")];
    let mut settings = breaker();
    settings["wait_duration_in_open_state"] = json!("1h");
    settings["max_wait_duration_in_open_state"] = json!("1h");
    let site = site(&[&dead, &good], &settings, &json!({}));
    ask_until(&site, "it opens", || endpoint(&site, "b0")["state"] == "breaker_open");
    let (dead_before, good_before) = (endpoint(&site, "b0"), endpoint(&site, "b1"));
    for round in 0..20 {
        site.reconfigure(|config| {
            config["upstreams"][0]["pool"] = json!({ "max_idle": round });
            config["routes"][0]["timeouts"] = json!({ "idle": format!("{}s", 60 + round) });
        });
    }
    let state = |shown: &Value| (shown["since"].clone(), shown["breaker"].clone(), shown["transitions"].clone());
    let mut after = endpoint(&site, "b0");
    // Computed from what is left.
    after["breaker"]["open_until"] = dead_before["breaker"]["open_until"].clone();
    assert_eq!(state(&after), state(&dead_before));
    assert_eq!(state(&endpoint(&site, "b1")), state(&good_before));
}

#[test]
fn a_reset_closes_it_on_every_connected_data_plane() {
    let dead = Origin::start(|_| Reply::hang_up());
    let up = Up::start();
    let api = up.api();
    let settings = json!({ "minimum_number_of_calls": 5, "wait_duration_in_open_state": "1h" });
    let backends = json!([{ "name": "b", "address": dead.address() }]);
    api.put("upstreams/up", &json!({ "backends": backends, "breaker": settings })).expect(201);
    let revision = api
        .put("routes/all?wait=20s", &json!({ "action": { "forward": { "upstream": "up" } } }))
        .expect(201)
        .revision();
    let refused = || get(&up.listen_address(), "h", "/").unwrap().status;
    wait_for("it opens", DEADLINE, || (refused() == 503).then_some(()));
    let done = api.post("upstreams/up/backends/b/breaker/reset", &json!({})).expect(200).body;
    assert_eq!(done["data_planes"][0]["reset"], true, "{done}");
    assert_eq!(refused(), 502, "it is tried again");
    let change =
        api.patch("upstreams/up/backends/b?wait=20s", &json!({ "breaker_override": "force_open" })).expect(200);
    assert_eq!(change.revision(), revision + 1, "the reset made no revision");
    let done = api.post("upstreams/up/backends/b/breaker/reset", &json!({})).expect(200).body;
    assert_eq!(done["data_planes"][0]["reset"], false, "{done}");
    assert!(done["data_planes"][0]["reason"].as_str().unwrap().contains("breaker_override"), "{done}");
    api.post("upstreams/up/backends/x/breaker/reset", &json!({})).expect(404);
}

#[test]
fn a_tunnel_is_judged_by_its_handshake() {
    let origin = Origin::start(|request| match request.target() {
        "/tunnel" => {
            Reply::raw("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n", false)
        }
        _ => Reply::with(503, &[], "no"),
    });
    let site = site(&[&origin], &breaker(), &json!({ "retries": { "attempts": 0 } }));
    let upgrade = |path: &str| {
        let mut client = site.client();
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
        let status = client.ask(request).unwrap().status;
        assert!(status != 101 || client.is_closed(), "the backend has ended the tunnel");
        status
    };
    (0..10).for_each(|_| assert_eq!(upgrade("/tunnel"), 101));
    let shown = endpoint(&site, "b0")["breaker"].clone();
    assert_eq!((&shown["state"], &shown["calls"], &shown["failed"]), (&json!("closed"), &json!(10), &json!(0)));
    assert_eq!((&shown["failure_rate"], &shown["slow_call_rate"]), (&json!(0.0), &json!(0.0)), "{shown}");
    // Half of the window.
    (0..10).for_each(|_| assert_eq!(upgrade("/refused"), 503));
    assert_eq!(endpoint(&site, "b0")["state"], "breaker_open");
}

#[test]
fn half_open_shows_its_permits_and_refuses_who_has_none() {
    static IS_BAD: AtomicBool = AtomicBool::new(true);
    static HOLDS: (Mutex<bool>, Condvar) = (Mutex::new(true), Condvar::new());
    let origin = Origin::start(|_| {
        if IS_BAD.load(SeqCst) {
            return Reply::with(503, &[], "bad");
        }
        drop(HOLDS.1.wait_timeout_while(HOLDS.0.lock().unwrap(), 2 * DEADLINE, |holds| *holds).unwrap());
        Reply::text("good")
    });
    let site = site(&[&origin], &breaker(), &json!({ "retries": { "attempts": 0 } }));
    ask_until(&site, "it opens", || endpoint(&site, "b0")["state"] == "breaker_open");
    IS_BAD.store(false, SeqCst);
    let shown = wait_for("it is half-open", DEADLINE, || {
        Some(endpoint(&site, "b0")).filter(|shown| shown["breaker"]["state"] == "half_open")
    });
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("probing"), &json!("wait_over")), "{shown}");
    assert_eq!((&shown["breaker"]["permits"], &shown["breaker"]["calls"]), (&json!(3), &json!(0)), "{shown}");
    let mut trials: Vec<_> = (0..3)
        .map(|taken| {
            let mut client = site.client();
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            wait_for("a permit is taken", DEADLINE, || {
                (endpoint(&site, "b0")["breaker"]["permits"] == 2 - taken).then_some(())
            });
            client
        })
        .collect();
    let refused = get(&site.address, "h", "/refused").unwrap();
    assert_eq!((refused.status, refused.field("retry-after")), (503, Some("1")));
    assert_eq!(site.logged("/refused")["reason"], "breaker_open");
    *HOLDS.0.lock().unwrap() = false;
    HOLDS.1.notify_all();
    for client in &mut trials {
        assert_eq!(client.read_response().unwrap().text(), "good");
    }
    let shown = endpoint(&site, "b0");
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("serving"), &json!("trial_calls_passed")), "{shown}");
}
