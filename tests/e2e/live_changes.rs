//! A curl changes live traffic: atomically, confirmed, and without a failed request.

use std::time::Duration;

use harness::{DEADLINE, Load, Origin, Plan, RawClient, RawResponse, Unrelated, Up, free_port, get};
use serde_json::{Value, json};

/// Answers over `count` requests on a connection each.
fn answers(address: &str, count: usize) -> Vec<String> {
    (0..count).map(|_| get(address, "shop.localhost", "/").unwrap().text()).collect()
}

fn share(answers: &[String], name: &str) -> usize {
    answers.iter().filter(|answer| *answer == name).count()
}

#[test]
fn a_first_site_with_rest_calls_alone() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let up = Up::start();
    let (api, web) = (up.api(), up.listen_address());
    let first = get(&web, "shop.localhost", "/").unwrap();
    assert_eq!(first.status, 404);
    assert!(first.text().contains("/api/v1"), "the first answer says what to do: {}", first.text());

    api.post("upstreams", &json!({ "name": "shop" })).expect(201);
    api.post("upstreams/shop/backends", &json!({ "name": "a", "address": a.address(), "weight": 3 })).expect(201);
    api.post("upstreams/shop/backends", &json!({ "name": "b", "address": b.address() })).expect(201);
    let route = json!({ "name": "shop", "match": { "hosts": ["shop.localhost"] }, "action": { "forward": { "upstream": "shop" } } });
    api.post("routes?wait=5s", &route).expect(201);
    assert_eq!(share(&answers(&web, 8), "a"), 6);
    let other = get(&web, "other.localhost", "/").unwrap();
    assert!(
        other.status == 404 && !other.text().contains("/api/v1"),
        "afterwards it is the plain answer: {}",
        other.text()
    );

    api.patch("upstreams/shop/backends/a?wait=5s", &json!({ "weight": 1 })).expect(200);
    assert_eq!(share(&answers(&web, 8), "a"), 4);

    api.post("ip-rules?wait=5s", &json!({ "name": "me", "action": "deny", "cidr": "127.0.0.1" })).expect(201);
    assert_eq!(get(&web, "shop.localhost", "/").unwrap().status, 403);
    api.delete("ip-rules/me?wait=5s").expect(204);
    assert_eq!(get(&web, "shop.localhost", "/").unwrap().status, 200);

    let audit = api.get("audit").expect(200).body;
    assert_eq!(audit["items"][0]["action"], "delete");
    assert_eq!(audit["items"][0]["before"]["cidr"], "127.0.0.1/32");
    let planes = api.get("data-planes").expect(200).body;
    assert_eq!(planes["items"][0]["applied_revision"], api.get("revisions").expect(200).body["items"][0]["number"]);
}

#[test]
fn wait_answers_only_when_the_change_acts() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let up = Up::start();
    let (api, web) = (up.api(), up.listen_address());
    let config = |origin: &Origin| site(&web, origin.address(), "preserve");
    // Connections that are open already see it too, on every worker.
    let mut clients: Vec<RawClient> = (0..8).map(|_| RawClient::connect(&web).unwrap()).collect();
    for turn in 0..20 {
        let (origin, name) = if turn % 2 == 0 { (&a, "a") } else { (&b, "b") };
        api.put("config?wait=5s", &config(origin)).expect(200);
        for client in &mut clients {
            assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().text(), name);
        }
        assert_eq!(get(&web, "h", "/").unwrap().text(), name);
    }
}

fn site(web: &str, backend: &str, host: &str) -> Value {
    json!({
        "listeners": [{ "name": "web", "address": web }],
        "upstreams": [{ "name": "up", "backends": [{ "name": "b", "address": backend }] }],
        "routes": [{ "name": "r", "action": { "forward": { "upstream": "up" } }, "host": host }],
    })
}

#[test]
fn a_rollback_brings_the_traffic_back() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let up = Up::start();
    let (api, web) = (up.api(), up.listen_address());
    let before = api.put("config?wait=5s", &site(&web, a.address(), "preserve")).expect(200).revision();
    api.put("config?wait=5s", &site(&web, b.address(), "preserve")).expect(200);
    assert_eq!(get(&web, "h", "/").unwrap().text(), "b");
    let after = api.post(&format!("revisions/{before}/rollback?wait=5s"), &json!({})).expect(200).revision();
    assert_eq!((get(&web, "h", "/").unwrap().text().as_str(), after), ("a", before + 2));
}

/// Must hold 3 of the first issue: route and backend change together in every revision, so a response from backend `a` that saw
/// the host of a `b` revision would be a mixture of two.
#[test]
fn a_thousand_changes_under_load_fail_no_request_and_mix_no_revisions() {
    let echo = |name: &'static str| {
        Origin::start(move |request| {
            harness::Reply::text(format!("{name} {}", request.head.field("host").unwrap_or_default()))
        })
    };
    let (a, b) = (echo("a"), echo("b"));
    let up = Up::start();
    let (api, web) = (up.api(), up.listen_address());
    api.put("config?wait=5s", &site(&web, a.address(), "a.example")).expect(200);

    let plan = Plan {
        address: web.clone(),
        host: "h".to_owned(),
        path: "/".to_owned(),
        kept: 3,
        fresh: 2,
        pause: Duration::from_millis(1),
    };
    let load = Load::start(&plan, RawResponse::text);
    let (extra_a, extra_b) = (free_port(), free_port());
    for turn in 0..1000 {
        let (origin, host, extra) = if turn % 2 == 0 { (&b, "b.example", extra_b) } else { (&a, "a.example", extra_a) };
        let mut config = site(&web, origin.address(), host);
        // Every tenth change another listener comes, and the one of ten changes before goes.
        if turn % 20 < 10 {
            let extra = json!({ "name": "extra", "address": format!("127.0.0.1:{extra}") });
            config["listeners"].as_array_mut().unwrap().push(extra);
        }
        // One in ten is waited for: then the listener that it names accepts.
        let wait = if turn % 10 == 0 { "config?wait=10s" } else { "config" };
        api.put(wait, &config).expect(200);
        if turn % 20 == 0 {
            assert_eq!(get(&format!("127.0.0.1:{extra}"), "h", "/").unwrap().status, 200);
        }
    }
    api.put("config?wait=10s", &site(&web, a.address(), "a.example")).expect(200);
    let tally = load.stop();
    tally.expect_only(&["a a.example", "b b.example"]);
    assert!(tally.counts.len() == 2, "both were seen: {tally}");
    assert!(up.metrics().contains("tidegate_panics_total 0"));
}

#[test]
fn an_unrelated_change_resets_no_turn_and_no_connection() {
    let (a, b, c) = (Origin::named("a"), Origin::named("b"), Origin::named("c"));
    let up = Up::start();
    let (api, web) = (up.api(), up.listen_address());
    let mut config = site(&web, a.address(), "preserve");
    let backend =
        |(index, origin): (usize, &&Origin)| json!({ "name": format!("b{index}"), "address": origin.address() });
    config["upstreams"][0]["backends"] = [&a, &b, &c].iter().enumerate().map(backend).collect();
    api.put("config?wait=5s", &config).expect(200);
    let mut client = RawClient::connect(&web).unwrap();
    let mut seen = Vec::new();
    for turn in 0..12 {
        seen.push(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().text());
        api.put(&format!("ip-rules/r{turn}?wait=5s"), &json!({ "action": "deny", "cidr": format!("192.0.2.{turn}") }))
            .expect(201);
    }
    assert_eq!(seen.join(""), "abcabcabcabc");
    assert_eq!([a.connections(), b.connections(), c.connections()], [1, 1, 1]);
}

#[test]
fn a_listener_moves_to_the_wildcard_address_of_its_port() {
    let origin = Origin::named("a");
    let up = Up::start();
    let (api, web) = (up.api(), up.listen_address());
    let port = web.rsplit(':').next().unwrap();
    api.put("config?wait=5s", &site(&web, origin.address(), "preserve")).expect(200);
    api.patch("listeners/web?wait=5s", &json!({ "address": format!("0.0.0.0:{port}") })).expect(200);
    assert_eq!(get(&web, "h", "/").unwrap().text(), "a");
    api.patch("listeners/web?wait=5s", &json!({ "address": web })).expect(200);
    assert_eq!(get(&web, "h", "/").unwrap().text(), "a");
}

#[test]
fn a_port_in_use_is_refused_before_anything_is_committed() {
    let up = Up::start();
    let api = up.api();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let before = api.get("config").expect(200).body;
    let listener = json!({ "name": "more", "address": taken.local_addr().unwrap() });
    let refused = api.post("listeners", &listener).expect(422);
    assert_eq!(refused.code(), "listener_unavailable");
    assert_eq!(refused.body["findings"][0]["pointer"], "/address");
    assert_eq!(api.get("config").expect(200).body, before);
    drop(taken);
    api.post("listeners?wait=5s", &listener).expect(201);
    assert_eq!(get(listener["address"].as_str().unwrap(), "h", "/").unwrap().status, 404);
}

#[test]
fn a_removed_listener_closes_and_an_idle_connection_of_it_too() {
    let up = Up::start();
    let (api, web) = (up.api(), up.listen_address());
    let extra = format!("127.0.0.1:{}", free_port());
    api.post("listeners?wait=5s", &json!({ "name": "extra", "address": extra })).expect(201);
    let mut idle = RawClient::connect(&extra).unwrap();
    assert_eq!(idle.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().status, 404);
    api.delete("listeners/extra?wait=5s").expect(204);
    assert!(RawClient::connect(&extra).is_err());
    assert_ne!(idle.state_after(DEADLINE), harness::Connection::Kept);
    assert_eq!(get(&web, "h", "/").unwrap().status, 404);
}

/// Must hold 4 of balancing and 5 of health, in small; `cargo bench -p tidegate-tests --bench changes` makes ten thousand.
#[test]
fn a_thousand_unrelated_changes_reset_nothing_and_leave_nothing_behind() {
    let mut site = Unrelated::start();
    site.change(200);
    let before = site.footprint();
    site.change(800);
    let after = site.footprint();
    // Connections of the load come and go.
    assert!(after.descriptors <= before.descriptors + 6, "{before:?}, then {after:?}");
    assert!(after.tasks <= before.tasks + 12, "{before:?}, then {after:?}");
    assert!(after.threads <= before.threads + 4, "{before:?}, then {after:?}");
    assert!(after.memory <= before.memory + (8 << 10), "{before:?}, then {after:?}");
    assert!(site.finish() > 0);
}
