//! Requests of one route that several upstreams share.

use harness::{DEADLINE, Origin, wait_for};
use serde_json::{Value, json};

use crate::{both::Told, site::Site};

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

/// The cookie of the split that came with an answer, as it is sent back.
fn given(told: &Told) -> Option<String> {
    let cookie = told.all("set-cookie").into_iter().find(|cookie| cookie.starts_with("tidegate_split="))?;
    Some(cookie.split(';').next().unwrap().to_owned())
}

/// Where the clients with `cookie` of HTTP/1.1 and HTTP/2 come, and which cookie they get.
fn met(site: &Site, cookie: &str) -> [(String, Option<String>); 2] {
    crate::both::ask(site, "GET", "/", &[("cookie", &format!("x=1; {cookie}"))]).map(|told| {
        assert_eq!(told.status, 200, "{told:?}");
        (told.body.clone(), given(&told))
    })
}

/// The cookies with which clients stay with each of the two upstreams.
fn cookies(site: &Site) -> [String; 2] {
    let mut cookies = [None, None];
    wait_for("each upstream is drawn", DEADLINE, || {
        for (name, cookie) in met(site, "none=1") {
            cookies[usize::from(name == "b")] = cookie;
        }
        cookies.iter().all(Option::is_some).then_some(())
    });
    cookies.map(Option::unwrap)
}

fn set_weights(site: &Site, weights: [u16; 2]) {
    site.reconfigure(|config| {
        let split = &mut config["routes"][0]["action"]["split"];
        split[0]["weight"] = json!(weights[0]);
        split[1]["weight"] = json!(weights[1]);
    });
}

#[test]
fn a_client_stays_with_its_upstream_by_a_cookie_though_weights_change() {
    let [a, b] = named();
    let split = json!([{ "upstream": "a", "weight": 1 }, { "upstream": "b", "weight": 1 }]);
    let mut site = site([&a, &b], split, json!({ "split_by": { "cookie": {} } }));
    let kept = cookies(&site);
    assert_ne!(kept[0], kept[1]);
    let stays = |site: &Site, index: usize| {
        for met in met(site, &kept[index]) {
            assert_eq!(met, (["a", "b"][index].to_owned(), None));
        }
    };
    for weights in [[1, 1], [1, 1000], [1000, 1]] {
        set_weights(&site, weights);
        (0..6).for_each(|turn| stays(&site, turn % 2));
    }
    site.plane.restart();
    site.plane.wait_until_ready();
    (0..6).for_each(|turn| stays(&site, turn % 2));
    // Without a weight, and not named any more: a new draw, which holds from then on.
    let moves = |site: &Site| {
        for met in met(site, &kept[1]) {
            assert_eq!(met, ("a".to_owned(), Some(kept[0].clone())));
        }
    };
    set_weights(&site, [1, 0]);
    moves(&site);
    stays(&site, 0);
    site.reconfigure(|config| drop(config["routes"][0]["action"]["split"].as_array_mut().unwrap().pop()));
    moves(&site);
    // What is none of ours is replaced.
    for made_up in ["tidegate_split=", "tidegate_split=0000000000000000", "tidegate_split=x"] {
        assert_eq!(met(&site, made_up).map(|met| met.1), [(); 2].map(|()| Some(kept[0].clone())), "{made_up}");
    }
}

#[test]
fn first_visits_are_drawn_by_the_weights_and_conditions_leave_the_cookie_alone() {
    let [a, b] = named();
    let when = json!({ "headers": { "x-b": { "present": true } } });
    let split = json!([{ "upstream": "a", "weight": 80 }, { "upstream": "b", "weight": 20, "when": when }]);
    let site = site([&a, &b], split, json!({ "split_by": { "cookie": { "max_age": "1d" } } }));
    let mut client = site.client();
    let mut of_b = 0;
    for _ in 0..2_000 {
        of_b += u32::from(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().text() == "b");
    }
    assert!((310..=490).contains(&of_b), "{of_b} of 2,000 went to an upstream with a fifth of the weights");
    let kept = cookies(&site);
    for told in crate::both::ask(&site, "GET", "/", &[("x-b", "1"), ("cookie", &kept[0])]) {
        assert_eq!((told.body.as_str(), told.all("set-cookie")), ("b", Vec::<&str>::new()));
    }
    for told in crate::both::ask(&site, "GET", "/", &[("x-forwarded-proto", "https")]) {
        let attributes = "; Path=/; Max-Age=86400; SameSite=Lax; HttpOnly; Secure";
        let cookie = given(&told).unwrap();
        assert_eq!(told.all("set-cookie"), [format!("{cookie}{attributes}")]);
    }
}

#[test]
fn a_client_has_a_cookie_of_the_split_and_one_of_its_session() {
    let lost = Origin::start(|_| harness::Reply::hang_up());
    let [a, b] = named();
    let split = json!([{ "upstream": "a", "weight": 1 }]);
    // The head for a backend names it, so that it is made anew for a further try.
    let site = site([&a, &b], split, json!({ "split_by": { "cookie": {} }, "host": "backend" }));
    site.reconfigure(|config| {
        config["upstreams"][0]["sticky"] = json!({});
        let backends = json!([{ "name": "lost", "address": lost.address() }, { "name": "x", "address": a.address() }]);
        config["upstreams"][0]["backends"] = backends;
        config["upstreams"][0]["breaker"] = json!({ "minimum_number_of_calls": 1000 });
    });
    for _ in 0..4 {
        for told in crate::both::ask(&site, "GET", "/", &[]) {
            let names: Vec<&str> =
                told.all("set-cookie").iter().map(|cookie| cookie.split('=').next().unwrap()).collect();
            assert_eq!((told.body.as_str(), names), ("a", vec!["tidegate_split", "tidegate_session"]));
        }
    }
    assert!(!lost.received().is_empty());
}
