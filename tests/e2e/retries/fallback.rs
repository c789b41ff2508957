//! What happens when no endpoint may be used.

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
