//! What happens when no endpoint may be used.

use harness::{DEADLINE, wait_for};

use super::*;

/// A route to an upstream without backends, with `fallback`, and another upstream at `other`.
fn without_backends(fallback: Value, other: &str) -> Site {
    let mut config = one_upstream(std::iter::empty(), json!({ "fallback": fallback }));
    let other = json!({ "name": "other", "backends": [{ "name": "b", "address": other }] });
    config["upstreams"].as_array_mut().unwrap().push(other);
    config["upstreams"].as_array_mut().unwrap().push(json!({ "name": "empty" }));
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    Site::start(config)
}

#[test]
fn another_upstream_takes_the_request() {
    let other = Origin::named("other");
    let site = without_backends(json!({ "forward": { "upstream": "other" } }), other.address());
    let response = site.client().ask(put("/a", "abc")).unwrap();
    assert_eq!((response.status, response.text().as_str()), (200, "other"));
    let response = site.h2_client().ask("PUT", "/a", &[], "abc").unwrap();
    assert_eq!((response.status(), response.text().as_str()), (200, "other"));
    assert!(other.received().iter().all(|got| got.body == b"abc"));
    let line = site.logged("/a");
    assert_eq!((&line["upstream"], &line["fallback"]), (&json!("other"), &json!("no_backend")), "{line}");
    assert_eq!((&line["reason"], &line["tries"]), (&Value::Null, &json!(1)), "{line}");
    assert_eq!(metric(&site, "fallbacks_total", "all"), 2);
}

#[test]
fn a_fixed_answer_stands_in() {
    let fallback = json!({ "respond": { "status": 200, "headers": { "x-path": "{path}" }, "body": "later" } });
    let site = without_backends(fallback, &nobody());
    let response = site.client().ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!((response.status, response.text().as_str(), response.field("x-path")), (200, "later", Some("/a")));
    assert_eq!(site.h2_client().get("/a").unwrap().text(), "later");
    let line = site.logged("/a");
    assert_eq!((&line["fallback"], &line["tries"]), (&json!("no_backend"), &json!(0)), "{line}");
}

#[test]
fn it_is_applied_once_and_without_it_503() {
    let site = without_backends(json!({ "forward": { "upstream": "empty" } }), &nobody());
    let response = site.client().ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!(response.status, 503);
    let line = site.logged("/a");
    assert_eq!((&line["fallback"], &line["reason"]), (&json!("no_backend"), &json!("no_backend")), "{line}");
    // A request that was sent somewhere and failed there has had its turn.
    let other = Origin::named("other");
    let mut config = one_upstream(
        [(&*nobody(), 1)].into_iter(),
        json!({ "retries": { "attempts": 0 }, "fallback": { "forward": { "upstream": "other" } } }),
    );
    let other_upstream = json!({ "name": "other", "backends": [{ "name": "b", "address": other.address() }] });
    config["upstreams"].as_array_mut().unwrap().push(other_upstream);
    let site = Site::start(config);
    assert_eq!(site.client().ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().status, 502);
    assert!(other.received().is_empty());
}

#[test]
fn it_stands_in_for_breakers_that_are_open() {
    let other = Origin::named("other");
    let respond = json!({ "respond": { "status": 200, "body": "later" } });
    for (fallback, text) in [(json!({ "forward": { "upstream": "other" } }), "other"), (respond, "later")] {
        let mut config = one_upstream([(&*nobody(), 1), (&*nobody(), 1)].into_iter(), json!({ "fallback": fallback }));
        config["upstreams"][0]["breaker"] =
            json!({ "minimum_number_of_calls": 2, "wait_duration_in_open_state": "1h" });
        let other = json!({ "name": "other", "backends": [{ "name": "b", "address": other.address() }] });
        config["upstreams"].as_array_mut().unwrap().push(other);
        config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
        let site = Site::start(config);
        let mut client = site.client();
        // While one is closed requests are sent there and fail.
        let answer = wait_for("both breakers are open", DEADLINE, || {
            let answer = client.ask(put("/before", "abc")).unwrap();
            assert!(matches!(answer.status, 200 | 502), "{}", answer.text());
            (answer.status == 200).then_some(answer)
        });
        assert_eq!(answer.text(), text);
        assert!(["b0", "b1"].iter().all(|name| site.endpoint("up", name)["state"] == "breaker_open"));
        let before = metric(&site, "fallbacks_total", "all");
        assert_eq!(client.ask(put("/a", "abc")).unwrap().text(), text);
        assert_eq!(site.h2_client().ask("PUT", "/a", &[], "abc").unwrap().text(), text);
        assert_eq!(metric(&site, "fallbacks_total", "all"), before + 2);
        let line = site.logged("/a");
        assert_eq!((&line["fallback"], &line["reason"]), (&json!("breaker_open"), &Value::Null), "{line}");
    }
    assert!(other.received().iter().all(|got| got.body == b"abc"));
}

#[test]
fn it_stands_in_for_endpoints_that_all_fail_their_checks_without_panic() {
    let other = Origin::named("other");
    let ill = Origin::start(|request| Reply::with(if request.target() == "/" { 500 } else { 200 }, &[], "ill"));
    let route = json!({ "fallback": { "forward": { "upstream": "other" } } });
    let mut config = one_upstream([(ill.address(), 1)].into_iter(), route);
    let check = json!({ "http": {}, "interval": "100ms", "timeout": "5s", "fall": 1, "panic": false });
    config["upstreams"][0]["health_check"] = check;
    let upstream = json!({ "name": "other", "backends": [{ "name": "b", "address": other.address() }] });
    config["upstreams"].as_array_mut().unwrap().push(upstream);
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    let site = Site::start(config);
    wait_for("it fails its checks", DEADLINE, || (site.endpoint("up", "b0")["state"] == "unhealthy").then_some(()));
    assert_eq!(site.client().ask(put("/a", "abc")).unwrap().text(), "other");
    assert_eq!(site.h2_client().get("/a").unwrap().text(), "other");
    assert!(ill.received().iter().all(|got| got.target() == "/"), "checks and nothing else");
    let line = site.logged("/a");
    assert_eq!((&line["upstream"], &line["fallback"]), (&json!("other"), &json!("no_backend")), "{line}");
    // With panic it is asked all the same, and nothing stands in.
    site.reconfigure(|config| config["upstreams"][0]["health_check"]["panic"] = json!(true));
    wait_for("it is asked", DEADLINE, || {
        (site.client().ask("GET /b HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().text() == "ill").then_some(())
    });
}
