use super::*;

#[test]
fn requests_and_failures_are_shown_by_endpoint() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let up = Up::start();
    let (api, web) = (up.api(), up.listen_address());
    api.put("config?wait=10s", &site(&web, &[a.address(), b.address()])).expect(200);
    (0..20).for_each(|_| assert_eq!(get(&web, "h", "/").unwrap().status, 200));
    let shown = wait_for_status(&api, "ten requests each", |status| {
        let all = [0, 1].map(|endpoint| load(status, 0, endpoint, "requests"));
        (all == [10, 10]).then(|| status.clone())
    });
    let plane = &shown["data_planes"][0];
    assert_eq!((&plane["state"], &shown["upstream"]), (&json!("connected"), &json!("shop")));
    assert!(plane["age_ms"].as_u64().unwrap() < 60_000, "{shown}");
    for (endpoint, (name, origin)) in plane["endpoints"].as_array().unwrap().iter().zip([("a", &a), ("b", &b)]) {
        assert_eq!((&endpoint["backend"], &endpoint["address"]), (&json!(name), &json!(origin.address())));
        assert_eq!((&endpoint["state"], &endpoint["breaker"]["state"]), (&json!("serving"), &json!("closed")));
        assert_eq!(endpoint["load"]["in_flight"], 0, "{endpoint}");
        assert!(endpoint["load"]["requests_per_second"].is_number(), "{endpoint}");
    }
    // The whole list has the same.
    let list = api.get("status").expect(200).body;
    assert_eq!(list["items"][0]["data_planes"][0]["endpoints"][0]["load"]["requests"], 10, "{list}");

    // One of them dies.
    drop(b);
    let failures = wait_for("failures", DEADLINE, || {
        let _ = get(&web, "h", "/");
        let status = api.get("upstreams/shop/status").expect(200).body;
        (load(&status, 0, 1, "failures") > 0).then(|| load(&status, 0, 0, "failures"))
    });
    assert_eq!(failures, 0, "the other one has none");
    api.get("upstreams/nobody/status").expect(404);
    // What is no more is shown no more.
    api.delete("upstreams/shop/backends/b").expect(204);
    wait_for_status(&api, "one endpoint", |status| {
        (status["data_planes"][0]["endpoints"].as_array()?.len() == 1).then_some(())
    });
}

#[test]
fn the_figures_are_those_of_what_happened() {
    static HOLDS: (Mutex<bool>, Condvar) = (Mutex::new(true), Condvar::new());
    let a = Origin::start(|request| {
        if request.target() == "/hold" {
            drop(HOLDS.1.wait_timeout_while(HOLDS.0.lock().unwrap(), 2 * DEADLINE, |holds| *holds).unwrap());
        }
        Reply::text("a")
    });
    let b = Origin::start(|_| Reply::with(503, &[], "b"));
    let up = Up::start();
    let (api, web) = (up.api(), up.listen_address());
    let mut config = site(&web, &[a.address(), b.address()]);
    config["upstreams"][0]["retry_budget"] = json!({ "percent": 0, "min_per_second": 1 });
    config["routes"][0]["retries"] = json!({ "on": ["503"] });
    api.put("config?wait=10s", &config).expect(200);
    // In turn: half of them come to `b`, and are tried again at `a`, which is nobody's turn.
    (0..10).for_each(|_| assert_eq!(get(&web, "h", "/").unwrap().status, 200));
    let shown = wait_for_status(&api, "all tries", |status| {
        let all = [0, 1].map(|endpoint| load(status, 0, endpoint, "requests"));
        (all == [10, 5] && load(status, 0, 0, "in_flight") == 0).then(|| status["data_planes"][0].clone())
    });
    let budget = &shown["retry_budget"];
    assert_eq!((&budget["spent"], &budget["refused"]), (&json!(5), &json!(0)), "{budget}");
    // What was spent comes back after ten seconds.
    assert!((5..=10).contains(&budget["available"].as_u64().unwrap()), "{budget}");
    let [of_a, of_b] = [&shown["endpoints"][0], &shown["endpoints"][1]];
    for (endpoint, calls, failed) in [(of_a, 10, 0), (of_b, 5, 5)] {
        let breaker = &endpoint["breaker"];
        assert_eq!((&breaker["calls"], &breaker["failed"]), (&json!(calls), &json!(failed)), "{endpoint}");
        assert_eq!(endpoint["load"]["failures"], failed, "{endpoint}");
    }
    let micros = |member: &str| of_a["load"][member].as_u64().unwrap();
    assert!(0 < micros("latency_p50_us") && micros("latency_p50_us") <= micros("latency_p99_us"), "{of_a}");
    assert!(micros("latency_ewma_us") > 0, "{of_a}");

    let mut client = RawClient::connect(&web).unwrap();
    client.send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    wait_for_status(&api, "one under way", |status| {
        let all = ["in_flight", "connections_busy"].map(|member| load(status, 0, 0, member));
        (all == [1, 1]).then_some(())
    });
    *HOLDS.0.lock().unwrap() = false;
    HOLDS.1.notify_all();
    assert_eq!(client.read_response().unwrap().text(), "a");
    wait_for_status(&api, "its connection is kept", |status| {
        let all = ["in_flight", "connections_busy"].map(|member| load(status, 0, 0, member));
        (all == [0, 0] && load(status, 0, 0, "connections_idle") > 0).then_some(())
    });

    api.patch("upstreams/shop?wait=10s", &json!({ "retry_budget": { "min_per_second": 0 } })).expect(200);
    let mut statuses = [0, 1].map(|_| get(&web, "h", "/").unwrap().status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
    wait_for_status(&api, "a retry is refused", |status| {
        let budget = &status["data_planes"][0]["retry_budget"];
        (budget["refused"] == 1 && budget["available"] == 0).then_some(())
    });
}

#[test]
fn two_data_planes_are_shown_apart_and_a_lost_one_as_disconnected() {
    let origin = Origin::named("a");
    let directory = tempfile::tempdir().unwrap();
    let control = ControlPlane::start(&directory.path().join("control"), &[]);
    let api = control.api();
    let web = format!("127.0.0.1:{}", free_port());
    let mut planes = [0, 1].map(|number| {
        let state = directory.path().join(format!("state{number}"));
        let mut plane = DataPlane::follow(&control.control_socket(), &state, &["--workers", "1"]);
        wait_for("it is connected", DEADLINE, || {
            (api.get("data-planes").expect(200).body["items"].as_array()?.len() == number + 1).then_some(())
        });
        if number == 0 {
            api.put("config?wait=10s", &site(&web, &[origin.address()])).expect(200);
            plane.wait_until_ready();
        }
        plane
    });
    // Only the first could bind the listener; the second has the same configuration.
    (0..7).for_each(|_| assert_eq!(get(&web, "h", "/").unwrap().status, 200));
    let shown = wait_for_status(&api, "seven requests at one of two", |status| {
        let planes = status["data_planes"].as_array()?.len();
        let mut requests = [0, 1].map(|plane| load(status, plane, 0, "requests"));
        requests.sort_unstable();
        (planes == 2 && requests == [0, 7]).then(|| status.clone())
    });
    assert_ne!(shown["data_planes"][0]["data_plane"], shown["data_planes"][1]["data_plane"]);
    planes[0].process.kill();
    wait_for_status(&api, "its last word stays", |status| {
        let lost = status["data_planes"].as_array()?.iter().find(|plane| plane["state"] == "disconnected")?;
        (lost["endpoints"][0]["load"]["requests"] == 7).then_some(())
    });
}

#[test]
fn a_thousand_endpoints_are_reported() {
    let up = Up::start();
    let api = up.api();
    let backends = |_| -> Vec<Value> {
        (0..250).map(|n| json!({ "name": format!("b{n}"), "address": format!("127.0.0.1:{}", n + 1) })).collect()
    };
    let upstreams: Vec<_> = (0..4).map(|n| json!({ "name": format!("u{n}"), "backends": backends(n) })).collect();
    api.put("config?wait=30s", &json!({ "upstreams": upstreams })).expect(200);
    wait_for("all of them", DEADLINE, || {
        let list = api.get("status").expect(200).body;
        let count: usize = list["items"]
            .as_array()?
            .iter()
            .filter_map(|upstream| Some(upstream["data_planes"][0]["endpoints"].as_array()?.len()))
            .sum();
        (count == 1000).then_some(())
    });
    let plane = api.get("data-planes").expect(200).body["items"][0].clone();
    assert_eq!((&plane["state"], &plane["dropped_reports"]), (&json!("connected"), &json!(0)), "{plane}");
}

#[test]
fn a_data_plane_of_a_file_shows_the_same_on_its_admin_address() {
    let origin = Origin::named("a");
    let directory = tempfile::tempdir().unwrap();
    let (file, web) = (directory.path().join("site.json"), format!("127.0.0.1:{}", free_port()));
    fs::write(&file, site(&web, &[origin.address()]).to_string()).unwrap();
    let plane = DataPlane::of_file(&file, &["--workers", "1"]);
    (0..3).for_each(|_| assert_eq!(get(&web, "h", "/").unwrap().status, 200));
    let status = wait_for("three requests", DEADLINE, || {
        let answer = get(&plane.admin_address(), "h", "/status").unwrap();
        assert_eq!((answer.status, answer.field("content-type")), (200, Some("application/json")));
        let status: Value = serde_json::from_str(&answer.text()).unwrap();
        (status["upstreams"][0]["endpoints"][0]["load"]["requests"] == 3).then_some(status)
    });
    assert_eq!((&status["revision"], &status["upstreams"][0]["upstream"]), (&json!(1), &json!("shop")));
    assert_eq!(status["upstreams"][0]["endpoints"][0]["address"], origin.address());
}
