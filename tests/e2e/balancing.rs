//! Which backend takes a request, as an upstream's policy says. What shares they get to within what is in the unit tests of balancing.

use std::{
    collections::BTreeSet,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use harness::{DEADLINE, Origin, RawClient, Reply, rest, wait_for};
use serde_json::{Value, json};

use crate::{
    both::ask,
    site::{Site, one_upstream},
};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// The target and the fields of a request with the key number so many, in one of two ways.
type Requests<'a> = &'a dyn Fn(u8, u8) -> (String, Vec<(&'static str, String)>);

/// Upstreams of the same backends that choose by these keys, each with a route of its name.
fn by_keys(origins: &[Origin], hashes: &[(&str, Value)]) -> Site {
    let backends: Vec<Value> = (origins.iter().enumerate())
        .map(|(index, origin)| json!({ "name": format!("b{index}"), "address": origin.address() }))
        .collect();
    let upstreams = hashes.iter().map(|(name, hash)| {
        json!({ "name": name, "balance": { "policy": "consistent_hash", "hash": hash }, "backends": backends })
    });
    let routes = hashes.iter().map(|(name, _)| {
        let path = json!({ "prefix": format!("/{name}") });
        json!({ "name": name, "match": { "path": path }, "action": { "forward": { "upstream": name } } })
    });
    Site::start(json!({
        "listeners": [{ "name": "web", "allow_h2c": true, "trusted_proxies": ["127.0.0.1"] }],
        "upstreams": upstreams.collect::<Vec<_>>(),
        "routes": routes.collect::<Vec<_>>(),
    }))
}

/// Who answers, over both versions.
fn answers(site: &Site, target: &str, fields: &[(&str, &str)]) -> BTreeSet<String> {
    let told = ask(site, "GET", target, fields);
    told.into_iter().inspect(|told| assert_eq!(told.status, 200, "{target}: {told:?}")).map(|told| told.body).collect()
}

#[test]
fn one_key_leads_to_one_backend_whatever_else_a_request_says() {
    let origins: Vec<Origin> = (0..6).map(|index| Origin::named(&format!("b{index}"))).collect();
    let hashes = [
        ("client", json!({})),
        ("path", json!({ "key": "path" })),
        ("header", json!({ "key": { "header": "X-User" } })),
        ("cookie", json!({ "key": { "cookie": "user" } })),
        ("query", json!({ "key": { "query": "user" } })),
        ("random", json!({ "key": { "header": "X-User" }, "fallback": "random" })),
    ];
    let site = by_keys(&origins, &hashes);
    let client = |address: u8| ("x-forwarded-for", format!("203.0.113.{address}"));
    let requests: [(&str, Requests<'_>); 6] = [
        ("the client's address", &|key, way| (format!("/client/{way}?{way}"), vec![client(key)])),
        ("the path", &|key, way| (format!("/path/{key}?{way}"), vec![client(way)])),
        ("a header field", &|key, way| (format!("/header/{way}"), vec![("x-user", format!("u{key}")), client(way)])),
        ("a cookie", &|key, way| {
            (format!("/cookie/{way}"), vec![("cookie", format!("a={way}; user=u{key}; user=z{way}")), client(way)])
        }),
        ("a query parameter", &|key, way| {
            let named = ["user=u", "us%65r=%75"][usize::from(way)];
            (format!("/query/{way}?a={way}&{named}{key}&user={way}"), vec![client(way)])
        }),
        ("the client's address for want of a field", &|key, way| (format!("/header/{way}"), vec![client(key)])),
    ];
    for (what, request) in requests {
        let mut all = BTreeSet::new();
        for key in 0..16 {
            let mut here = BTreeSet::new();
            for way in [0, 1] {
                let (target, fields) = request(key, way);
                let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
                here.extend(answers(&site, &target, &fields));
            }
            assert_eq!(here.len(), 1, "{what}, key {key}: {here:?}");
            all.extend(here);
        }
        assert!(all.len() >= 3, "{what}: {all:?}");
    }
    // One client, and no key.
    let all: BTreeSet<String> = (0..20).flat_map(|_| answers(&site, "/random", &[])).collect();
    assert!(all.len() >= 3, "{all:?}");
    let all: BTreeSet<String> = (0..20).flat_map(|_| answers(&site, "/random", &[("x-user", "u")])).collect();
    assert_eq!(all.len(), 1, "{all:?}");
}

/// Two backends with these weights and the rest of the upstream.
fn of_two(origins: [&Origin; 2], weights: [u16; 2], upstream: &Value) -> Site {
    let backends = origins.iter().zip(weights).map(|(origin, weight)| (origin.address(), weight));
    let mut config = one_upstream(backends, json!({}));
    for (name, value) in upstream.as_object().unwrap() {
        config["upstreams"][0][name] = value.clone();
    }
    Site::start(config)
}

/// Who answers so many requests of one client.
fn sequence(client: &mut RawClient, count: usize) -> Vec<String> {
    (0..count).map(|_| client.ask(GET).unwrap().text()).collect()
}

fn of_a(answers: &[String]) -> usize {
    answers.iter().filter(|answer| *answer == "a").count()
}

#[test]
fn chance_chooses_by_the_weights_and_not_in_turn() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    for (policy, in_turn) in [("round_robin", true), ("random", false)] {
        let site = of_two([&a, &b], [3, 1], &json!({ "balance": { "policy": policy } }));
        let answers = sequence(&mut site.client(), 800);
        assert_eq!(answers.chunks(4).all(|four| of_a(four) == 3), in_turn, "{policy}");
        // Six standard deviations of a fair draw on each side.
        assert!((526..=674).contains(&of_a(&answers)), "{policy}: {} of 800", of_a(&answers));
    }
}

#[test]
fn the_one_with_fewer_requests_under_way_takes_the_next() {
    static HELD: AtomicUsize = AtomicUsize::new(0);
    static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
    let a = Origin::start(|_| {
        HELD.fetch_add(1, SeqCst);
        let is_open = GATE.1.wait_timeout_while(GATE.0.lock().unwrap(), 2 * DEADLINE, |is_open| !*is_open);
        drop(is_open.unwrap());
        Reply::text("a")
    });
    let b = Origin::named("b");
    let site = of_two([&a, &b], [1, 1], &json!({ "balance": { "policy": "least_connections" } }));
    let mut held = Vec::new();
    wait_for("one is held", DEADLINE, || {
        let (mut client, before) = (site.client(), b.received().len());
        client.send(GET).unwrap();
        wait_for("it has come", DEADLINE, || (HELD.load(SeqCst) + b.received().len() > before).then_some(()));
        held.push(client);
        (HELD.load(SeqCst) > 0).then_some(())
    });
    assert_eq!(of_a(&sequence(&mut site.client(), 20)), 0);
    *GATE.0.lock().unwrap() = true;
    GATE.1.notify_all();
    assert_eq!(held.last_mut().unwrap().read_response().unwrap().text(), "a");
    wait_for("it takes requests again", DEADLINE, || (of_a(&sequence(&mut site.client(), 10)) > 0).then_some(()));
}

#[test]
fn a_slow_backend_gets_few_by_peak_ewma() {
    let a = Origin::start(|_| {
        rest(Duration::from_millis(100));
        Reply::text("a")
    });
    let b = Origin::named("b");
    let site = of_two([&a, &b], [1, 1], &json!({ "balance": { "policy": "peak_ewma" } }));
    let of_slow = of_a(&sequence(&mut site.client(), 100));
    assert!(of_slow <= 10, "{of_slow} of 100");
}

#[test]
fn backups_take_requests_only_while_no_other_may_be_used() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    for policy in ["round_robin", "random", "least_connections", "peak_ewma", "consistent_hash"] {
        let site = of_two([&a, &b], [1, 1], &json!({ "balance": { "policy": policy } }));
        site.reconfigure(|config| config["upstreams"][0]["backends"][1]["backup"] = json!(true));
        assert_eq!(of_a(&sequence(&mut site.client(), 20)), 20, "{policy}");
        for (field, away, back) in [("breaker_override", "force_open", "auto"), ("state", "disabled", "active")] {
            for (word, expected) in [(away, 0), (back, 20)] {
                site.reconfigure(|config| config["upstreams"][0]["backends"][0][field] = json!(word));
                assert_eq!(of_a(&sequence(&mut site.client(), 20)), expected, "{policy}: {field} {word}");
            }
        }
        assert_eq!(site.endpoint("up", "b1")["backup"], true);
    }
}

#[test]
fn a_backend_that_is_enabled_begins_with_little() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    for (slow_start, most) in [(json!("1h"), 100), (json!(null), 200)] {
        let balance = json!({ "slow_start": slow_start });
        let site = of_two([&a, &b], [1, 1], &json!({ "balance": balance }));
        for state in ["disabled", "active"] {
            site.reconfigure(|config| config["upstreams"][0]["backends"][1]["state"] = json!(state));
        }
        let of_b = 400 - of_a(&sequence(&mut site.client(), 400));
        assert!((1..=most).contains(&of_b) && (of_b == 200) == (most == 200), "{slow_start}: {of_b} of 400");
    }
}
