//! Clients that stay with their backends by a cookie.

use std::collections::BTreeSet;

use harness::{DEADLINE, Origin, RawClient, RawResponse, h2::H2Origin, wait_for};
use serde_json::{Value, json};
use shared::value::Timestamp;

use crate::site::{Site, one_upstream};

/// A site before backends that answer with their names, and those.
fn site(count: usize, sticky: Value, route: Value) -> (Site, Vec<Origin>) {
    let origins: Vec<Origin> = (0..count).map(|index| Origin::named(&format!("b{index}"))).collect();
    let mut config = one_upstream(origins.iter().map(|origin| (origin.address(), 1)), route);
    config["upstreams"][0]["sticky"] = sticky;
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true, "trusted_proxies": ["127.0.0.1"] }]);
    (Site::start(config), origins)
}

fn ask(client: &mut RawClient, cookie: &str) -> RawResponse {
    client.ask(format!("GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; {cookie}; b=2\r\n\r\n")).unwrap()
}

/// On a connection of its own.
fn ask_anew(site: &Site, cookie: &str) -> RawResponse {
    ask(&mut site.client(), cookie)
}

/// The cookie that came with a response, as it is sent back.
fn given(response: &RawResponse) -> Option<String> {
    Some(response.field("set-cookie")?.split(';').next().unwrap().to_owned())
}

/// The cookies of sessions at each of `count` backends, in the order of their names.
fn sessions(site: &Site, count: usize) -> Vec<String> {
    let mut sessions = vec![None; count];
    wait_for("each backend has a session", DEADLINE, || {
        let response = ask_anew(site, "c=3");
        let index: usize = response.text()[1..].parse().unwrap();
        sessions[index] = Some(given(&response).unwrap());
        sessions.iter().all(Option::is_some).then_some(())
    });
    sessions.into_iter().flatten().collect()
}

/// What the cookie of a session meets: the backend, and the cookie that replaces it.
fn met(site: &Site, cookie: &str) -> (String, Option<String>) {
    let response = ask_anew(site, cookie);
    assert_eq!(response.status, 200, "{response:?}");
    (response.text(), given(&response))
}

fn set_state(site: &Site, state: &Value) {
    site.reconfigure(|config| {
        let backend = &mut config["upstreams"][0]["backends"][0];
        for (name, value) in state.as_object().unwrap() {
            backend[name] = value.clone();
        }
    });
}

fn after(millis: i64) -> Timestamp {
    Timestamp::from_millis(Timestamp::now().as_millis() + millis).unwrap()
}

#[test]
fn a_client_stays_over_requests_connections_versions_and_restarts() {
    let (mut site, _origins) = site(3, json!({}), json!({}));
    let sessions = sessions(&site, 3);
    assert_eq!(sessions.iter().collect::<BTreeSet<_>>().len(), 3);
    for round in 0..2 {
        for (index, cookie) in sessions.iter().enumerate() {
            let mut client = site.client();
            let mut h2 = site.h2_client();
            for _ in 0..5 {
                let response = ask(&mut client, cookie);
                assert_eq!((response.text(), given(&response)), (format!("b{index}"), None), "{round}");
                assert_eq!(met(&site, cookie), (format!("b{index}"), None));
                let response = h2.ask("GET", "/", &[("cookie", "a=1"), ("cookie", cookie)], "").unwrap();
                assert_eq!((response.text(), response.field("set-cookie")), (format!("b{index}"), None));
            }
        }
        let response = site.h2_client().get("/").unwrap();
        let cookie = response.field("set-cookie").unwrap().split(';').next().unwrap();
        assert_eq!(met(&site, cookie), (response.text(), None), "what HTTP/2 gave holds for HTTP/1");
        site.plane.restart();
        site.plane.wait_until_ready();
    }
}

#[test]
fn a_cookie_says_what_was_configured_and_what_is_none_of_ours_is_replaced() {
    let sticky = json!({ "cookie": "s", "path": "/a", "max_age": "90s", "same_site": "strict" });
    let rules = json!({ "response_headers": { "allow": ["x-none"], "remove": ["set-cookie"] } });
    let (site, origins) = site(1, sticky, rules);
    let response = ask_anew(&site, "x=1");
    let token = given(&response).unwrap();
    assert!(token.len() == 18 && token.starts_with("s="), "{token}");
    let attributes = "; Path=/a; Max-Age=90; SameSite=Strict; HttpOnly";
    assert_eq!(response.field("set-cookie").unwrap(), format!("{token}{attributes}"));
    let https = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\n\r\n";
    let response = site.client().ask(https).unwrap();
    assert_eq!(response.field("set-cookie").unwrap(), format!("{token}{attributes}; Secure"));
    for made_up in ["s=", "s=0000000000000000", "s=x", &format!("S{}", &token[1..])] {
        assert_eq!(given(&ask_anew(&site, made_up)), Some(token.clone()), "{made_up}");
    }
    origins[0].take_received();
    let begun = |site: &Site| site.endpoint("up", "b0")["load"]["sessions"].clone();
    // Two without a cookie, and four with one of nobody's.
    assert_eq!(begun(&site), 6);
    assert_eq!(given(&ask_anew(&site, &token)), None);
    assert_eq!(begun(&site), 6, "it went on");
    assert_eq!(origins[0].received()[0].head.field("cookie"), Some(format!("a=1; {token}; b=2").as_str()));
    site.reconfigure(|config| config["upstreams"][0]["sticky"] = Value::Null);
    assert_eq!(given(&ask_anew(&site, "x=1")), None);
    assert_eq!(begun(&site), Value::Null, "there are none any more");
}

#[test]
fn a_draining_backend_keeps_its_sessions_until_the_deadline_and_takes_no_new_ones() {
    let (site, _origins) = site(2, json!({}), json!({}));
    let sessions = sessions(&site, 2);
    for deadline in [json!(null), json!(after(3_600_000))] {
        set_state(&site, &json!({ "state": "draining", "drain_until": deadline }));
        for _ in 0..6 {
            assert_eq!(met(&site, &sessions[0]), ("b0".to_owned(), None));
            assert_eq!(met(&site, "c=3"), ("b1".to_owned(), Some(sessions[1].clone())));
        }
    }
    // It passes without a new revision.
    set_state(&site, &json!({ "drain_until": after(500) }));
    let moved =
        wait_for("the session moves", DEADLINE, || Some(met(&site, &sessions[0])).filter(|met| met.1.is_some()));
    assert_eq!(moved, ("b1".to_owned(), Some(sessions[1].clone())));
    set_state(&site, &json!({ "state": "active", "drain_until": null }));
    assert_eq!(met(&site, &sessions[0]), ("b0".to_owned(), None));
    set_state(&site, &json!({ "weight": 0 }));
    assert_eq!(met(&site, &sessions[0]), ("b0".to_owned(), None));
    assert_eq!(met(&site, "c=3").0, "b1");
    set_state(&site, &json!({ "weight": 1, "state": "disabled" }));
    assert_eq!(met(&site, &sessions[0]), ("b1".to_owned(), Some(sessions[1].clone())));
    assert_eq!(met(&site, &sessions[1]), ("b1".to_owned(), None));
}

#[test]
fn the_sessions_of_a_lost_backend_move_within_the_request() {
    for is_h2 in [false, true] {
        let mut origins: Vec<_> = (0..2).map(|index| Origin::named(&format!("b{index}"))).collect();
        let mut config = one_upstream(origins.iter().map(|origin| (origin.address(), 1)), json!({}));
        config["upstreams"][0]["sticky"] = json!({});
        config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
        let site = Site::start(config);
        let sessions = sessions(&site, 2);
        let lost = origins.remove(0);
        lost.drop_connections();
        drop(lost);
        let moved = if is_h2 {
            let response = site.h2_client().ask("GET", "/", &[("cookie", &sessions[0])], "").unwrap();
            let cookie = response.field("set-cookie").map(|line| line.split(';').next().unwrap().to_owned());
            (response.text(), cookie)
        } else {
            met(&site, &sessions[0])
        };
        assert_eq!(moved, ("b1".to_owned(), Some(sessions[1].clone())), "the cookie names who answered");
        assert_eq!(met(&site, &sessions[1]), ("b1".to_owned(), None));
    }
}

#[test]
fn sessions_hold_before_http2_backends() {
    let origins: Vec<H2Origin> = (0..2)
        .map(|index| {
            H2Origin::start(&[], move |_, stream| {
                stream.answer(&[(":status", "200")], format!("b{index}").as_bytes(), &[])
            })
        })
        .collect();
    let mut config = one_upstream(origins.iter().map(|origin| (origin.address(), 1)), json!({}));
    config["upstreams"][0]["sticky"] = json!({});
    config["upstreams"][0]["protocol"] = json!("h2c");
    let site = Site::start(config);
    for (index, cookie) in sessions(&site, 2).iter().enumerate() {
        for _ in 0..4 {
            assert_eq!(met(&site, cookie), (format!("b{index}"), None));
        }
    }
}
