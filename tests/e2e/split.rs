//! Requests of one route that several upstreams share.

use harness::Origin;
use serde_json::{Value, json};

use crate::site::Site;

/// A site with upstreams `a` and `b`, which answer with their names, and a split between them.
fn site(origins: [&Origin; 2], split: Value, route: Value) -> Site {
    let upstreams = origins
        .iter()
        .zip(["a", "b"])
        .map(|(origin, name)| json!({ "name": name, "backends": [{ "name": "x", "address": origin.address() }] }));
    let mut whole = json!({ "name": "all", "action": { "split": split } });
    for (name, value) in route.as_object().unwrap() {
        whole[name] = value.clone();
    }
    Site::start(json!({
        "listeners": [{ "name": "web", "trusted_proxies": ["127.0.0.1"], "allow_h2c": true }],
        "upstreams": upstreams.collect::<Vec<_>>(),
        "routes": [whole],
    }))
}

fn named() -> [Origin; 2] {
    [Origin::named("a"), Origin::named("b")]
}

#[test]
fn shares_follow_the_weights() {
    let [a, b] = named();
    let split = json!([{ "upstream": "a", "weight": 80 }, { "upstream": "b", "weight": 20 }]);
    let site = site([&a, &b], split, json!({}));
    let mut client = site.client();
    let mut of_b = 0;
    for _ in 0..2_000 {
        of_b += u32::from(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().text() == "b");
    }
    // Five standard deviations of a fair draw on each side.
    assert!((310..=490).contains(&of_b), "{of_b} of 2,000 went to an upstream with a fifth of the weights");
    assert_eq!((a.received().len() + b.received().len(), b.received().len()), (2_000, of_b as usize));
}

#[test]
fn a_client_goes_the_same_way_every_time() {
    let [a, b] = named();
    let split = json!([{ "upstream": "a", "weight": 1 }, { "upstream": "b", "weight": 1 }]);
    let site = site([&a, &b], split, json!({ "split_by": "client_address" }));
    let mut client = site.client();
    let mut ask = |address: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {address}\r\n\r\n");
        client.ask(request).unwrap().text()
    };
    let addresses: Vec<String> =
        (0..200).map(|n| if n % 2 == 0 { format!("203.0.113.{n}") } else { format!("2001:db8::{n:x}") }).collect();
    let first: Vec<String> = addresses.iter().map(|address| ask(address)).collect();
    for _ in 0..4 {
        for (address, first) in addresses.iter().zip(&first) {
            assert_eq!(ask(address), *first, "{address}");
        }
    }
    let of_b = first.iter().filter(|name| *name == "b").count();
    assert!((60..=140).contains(&of_b), "{of_b} of 200 clients went to an upstream with half of the weights");
}

#[test]
fn headers_and_cookies_choose_whatever_the_weights() {
    let [a, b] = named();
    let split = json!([
        { "upstream": "a" },
        { "upstream": "b", "weight": 0, "when": {
            "headers": { "x-canary": { "exact": "yes" }, "x-group": { "prefix": "b-" } },
            "cookies": { "canary": { "present": true }, "group": { "regex": "b[0-9]+" } },
        } },
    ]);
    let site = site([&a, &b], split, json!({}));
    for (fields, name) in [
        (&[][..], "a"),
        (&[("x-canary", "yes")], "b"),
        (&[("x-canary", "no")], "a"),
        (&[("x-group", "b-2")], "b"),
        (&[("cookie", "canary=")], "b"),
        (&[("cookie", "x=1; canary=0; y=2")], "b"),
        (&[("cookie", "canaries=1; Canary=1")], "a"),
        (&[("cookie", "group=b12")], "b"),
        (&[("cookie", "group=b12x")], "a"),
        (&[("cookie", "x=canary=1")], "a"),
        (&[("cookie", "canary")], "a"),
    ] {
        for told in crate::both::ask(&site, "GET", "/", fields) {
            assert_eq!((told.status, told.body.as_str()), (200, name), "{fields:?}");
        }
    }
    assert_eq!(site.logged("/")["upstream"], "a");
}

#[test]
fn a_split_without_weights_has_no_backend() {
    let [a, b] = named();
    let split = json!([
        { "upstream": "a", "weight": 0 },
        { "upstream": "b", "weight": 0, "when": { "headers": { "x-b": { "present": true } } } },
    ]);
    let site = site([&a, &b], split, json!({}));
    for (fields, status) in [(&[][..], 503), (&[("x-b", "1")], 200)] {
        for told in crate::both::ask(&site, "GET", "/", fields) {
            assert_eq!(told.status, status, "{told:?}");
        }
    }
    assert_eq!(site.logged("/")["reason"], "no_backend");
}
