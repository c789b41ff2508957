//! Which pages of other origins may use a route, over HTTP/1.1 and HTTP/2 alike.

use harness::{Origin, Reply, h2::H2Origin};
use serde_json::{Value, json};

use crate::{
    both::{Told, ask, site},
    h2_pairs,
};

/// What a response says about CORS: each field and all its values, and `Vary`.
fn said(told: &Told) -> Vec<(String, String)> {
    let fields = told.fields.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
    let mut said: Vec<_> = fields.filter(|(name, _)| name.starts_with("access-control-") || name == "vary").collect();
    said.sort();
    said
}

fn expected(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn route(name: &str, cors: Value) -> Value {
    json!({
        "name": name,
        "match": { "path": { "prefix": format!("/{name}") } },
        "action": { "forward": { "upstream": "up" } },
        "cors": cors,
    })
}

/// Policies under the names of their routes.
fn policies() -> Value {
    json!([
        route("any", json!({ "allow_origins": ["*"] })),
        route("one", json!({ "allow_origins": ["https://shop.example"], "allow_credentials": true, "expose_headers": ["X-Total", "etag"] })),
        route("many", json!({
            "allow_origins": ["https://*.shop.example", "http://localhost:3000", "null"],
            "allow_origin_regex": ["https://pr-[0-9]+\\.test\\.example"],
            "allow_methods": ["GET", "PUT"], "allow_headers": ["X-Token", "content-type"], "max_age": "10m",
        })),
        route("echo", json!({ "allow_origin_regex": [".*"], "allow_methods": ["*"], "allow_headers": ["*"] })),
        { "name": "plain", "match": { "path": { "prefix": "/plain" } }, "action": { "forward": { "upstream": "up" } } },
    ])
}

const ORIGIN: &str = "access-control-allow-origin";
const CREDENTIALS: (&str, &str) = ("access-control-allow-credentials", "true");
const EXPOSED: (&str, &str) = ("access-control-expose-headers", "X-Total, Etag");
const VARY: (&str, &str) = ("vary", "Origin");

#[test]
fn responses_say_which_pages_may_read_them() {
    let origin = Origin::start(|_| {
        Reply::with(
            200,
            &[
                ("Access-Control-Allow-Origin", "https://old.example"),
                ("access-control-max-age", "9"),
                ("X-Total", "3"),
            ],
            "body",
        )
    });
    let site = site(&origin, policies());
    let shop = "https://shop.example";
    for (target, from, fields) in [
        ("/any", Some(shop), vec![(ORIGIN, "*")]),
        ("/any", None, vec![(ORIGIN, "*")]),
        ("/any", Some("null"), vec![(ORIGIN, "*")]),
        ("/one", Some(shop), vec![CREDENTIALS, (ORIGIN, shop), EXPOSED, VARY]),
        ("/one", Some("https://evil.example"), vec![VARY]),
        ("/one", Some("http://shop.example"), vec![VARY]),
        ("/one", Some("https://shop.example:443"), vec![VARY]),
        ("/one", Some("https://shop.example.evil"), vec![VARY]),
        ("/one", Some("null"), vec![VARY]),
        ("/one", None, vec![VARY]),
        ("/many", Some("https://a.shop.example"), vec![(ORIGIN, "https://a.shop.example"), VARY]),
        ("/many", Some("https://b.a.shop.example"), vec![(ORIGIN, "https://b.a.shop.example"), VARY]),
        ("/many", Some(shop), vec![VARY]),
        ("/many", Some("https://evil.example/.shop.example"), vec![VARY]),
        ("/many", Some("https://evilshop.example"), vec![VARY]),
        ("/many", Some("http://localhost:3000"), vec![(ORIGIN, "http://localhost:3000"), VARY]),
        ("/many", Some("null"), vec![(ORIGIN, "null"), VARY]),
        ("/many", Some("https://pr-12.test.example"), vec![(ORIGIN, "https://pr-12.test.example"), VARY]),
        ("/many", Some("https://pr-12.test.example.evil"), vec![VARY]),
        ("/many", Some("https://pr-12xtest.example"), vec![VARY]),
        ("/echo", Some("https://who.example"), vec![(ORIGIN, "https://who.example"), VARY]),
        ("/echo", Some("null"), vec![VARY]),
        ("/plain", Some(shop), vec![(ORIGIN, "https://old.example"), ("access-control-max-age", "9")]),
    ] {
        let sent: Vec<_> = from.map(|from| ("origin", from)).into_iter().collect();
        for told in ask(&site, "GET", target, &sent) {
            assert_eq!((told.status, told.body.as_str(), told.field("x-total")), (200, "body", Some("3")), "{told:?}");
            assert_eq!(said(&told), expected(&fields), "{target} {from:?}");
        }
    }
    // Two origins are none.
    for told in ask(&site, "GET", "/one", &[("origin", shop), ("origin", shop)]) {
        assert_eq!(said(&told), expected(&[VARY]));
    }
}

#[test]
fn preflights_are_answered_without_a_backend() {
    let origin = Origin::named("origin");
    let site = site(&origin, policies());
    let vary = ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    let preflight = |from: &'static str, headers: Option<&'static str>| {
        let mut fields = vec![("origin", from), ("access-control-request-method", "PUT")];
        fields.extend(headers.map(|headers| ("access-control-request-headers", headers)));
        fields
    };
    let (methods, headers) = ("access-control-allow-methods", "access-control-allow-headers");
    let age = ("access-control-max-age", "600");
    for (target, sent, fields) in [
        ("/any", preflight("https://a", None), vec![(methods, "GET, HEAD, POST"), (ORIGIN, "*"), vary]),
        (
            "/one",
            preflight("https://shop.example", Some("x-a")),
            vec![CREDENTIALS, (methods, "GET, HEAD, POST"), (ORIGIN, "https://shop.example"), vary],
        ),
        ("/one", preflight("https://evil.example", None), vec![vary]),
        (
            "/many",
            preflight("null", Some("x-token")),
            vec![(headers, "X-Token, Content-Type"), (methods, "GET, PUT"), (ORIGIN, "null"), age, vary],
        ),
        (
            "/echo",
            preflight("https://a", Some("x-a,x-b")),
            vec![(headers, "x-a,x-b"), (methods, "PUT"), (ORIGIN, "https://a"), vary],
        ),
        ("/echo", preflight("https://a", None), vec![(methods, "PUT"), (ORIGIN, "https://a"), vary]),
    ] {
        for told in ask(&site, "OPTIONS", target, &sent) {
            assert_eq!((told.status, told.body.as_str()), (204, ""), "{target}: {told:?}");
            assert_eq!(said(&told), expected(&fields), "{target} {sent:?}");
            assert!(told.field("content-length").is_none() && told.field("proxy-status").is_none(), "{told:?}");
        }
    }
    assert!(origin.received().is_empty());
    let line = site.logged("/any");
    assert_eq!((&line["status"], &line["reason"], &line["route"]), (&json!(204), &Value::Null, &json!("any")));
    // What is no preflight goes to the backend.
    for sent in [&[("origin", "https://a")][..], &[("access-control-request-method", "PUT")], &[]] {
        for told in ask(&site, "OPTIONS", "/any", sent) {
            assert_eq!((told.status, told.body.as_str()), (200, "origin"), "{sent:?}: {told:?}");
        }
    }
    for told in ask(&site, "OPTIONS", "/plain", &preflight("https://a", None)) {
        assert_eq!((told.status, told.body.as_str()), (200, "origin"), "{told:?}");
    }
}

#[test]
fn vary_is_added_where_it_is_missing_and_rules_of_the_route_act_too() {
    let origin = Origin::start(|request| {
        let vary = request.head.field("x-vary").unwrap_or("Accept-Encoding");
        Reply::with(200, &[("Vary", vary), ("Server", "s")], "body")
    });
    let mut policy = route("one", json!({ "allow_origins": ["https://a"] }));
    policy["response_headers"] = json!({ "remove": ["server"], "set": { "x-new": "{status}" } });
    let mut bare = route("bare", json!({ "allow_origins": ["https://a"] }));
    bare["response_headers"] = json!({ "allow": [] });
    let site = site(&origin, json!([policy, bare]));
    for (sent, vary) in [
        ("Accept-Encoding", vec!["Accept-Encoding", "Origin"]),
        ("accept, origin", vec!["accept, origin"]),
        ("*", vec!["*"]),
        ("X-Origin", vec!["X-Origin", "Origin"]),
    ] {
        for told in ask(&site, "GET", "/one", &[("origin", "https://a"), ("x-vary", sent)]) {
            assert_eq!(told.all("vary"), vary, "{told:?}");
            assert_eq!((told.field("server"), told.field("x-new")), (None, Some("200")), "{told:?}");
            assert_eq!(told.field(ORIGIN), Some("https://a"), "{told:?}");
        }
    }
    for told in ask(&site, "GET", "/bare", &[("origin", "https://a")]) {
        assert_eq!((told.all("vary"), told.field(ORIGIN)), (vec!["Origin"], Some("https://a")), "{told:?}");
    }
}

#[test]
fn answers_of_the_proxy_can_be_read_and_maintenance_and_ip_rules_come_first() {
    let origin = Origin::start(|_| Reply::with(500, &[], "x"));
    let cors = json!({ "allow_origins": ["https://a"] });
    let mut off = route("off", cors.clone());
    off["maintenance"] = json!({ "enabled": true });
    let mut fixed = route("fixed", cors.clone());
    fixed["action"] = json!({ "respond": { "body": "x", "headers": { "access-control-allow-origin": "*" } } });
    let mut failing = route("failing", cors.clone());
    failing["errors"] = json!({ "replace_backend": true });
    let mut denied = route("denied", cors);
    denied["match"]["client_cidrs"] = json!(["10.0.0.0/8"]);
    let site = site(&origin, json!([off, fixed, failing, denied]));
    for (target, status) in [("/off", 503), ("/fixed", 200), ("/failing", 500)] {
        for told in ask(&site, "GET", target, &[("origin", "https://a")]) {
            assert_eq!((told.status, said(&told)), (status, expected(&[(ORIGIN, "https://a"), VARY])), "{target}");
        }
    }
    for (target, status) in [("/off", 503), ("/denied", 404), ("/fixed", 204)] {
        let sent = [("origin", "https://a"), ("access-control-request-method", "GET")];
        for told in ask(&site, "OPTIONS", target, &sent) {
            assert_eq!(told.status, status, "{target}: {told:?}");
        }
    }
}

#[test]
fn http_2_backends_are_no_exception() {
    let origin = H2Origin::start(&[], |_, stream| {
        stream.answer(&[(":status", "200"), ("access-control-allow-origin", "*"), ("vary", "accept")], b"body", &[])
    });
    let site = h2_pairs::site(origin.address(), "h2c", json!({ "cors": { "allow_origins": ["https://a"] } }));
    for (from, fields) in [
        ("https://a", vec![(ORIGIN, "https://a"), VARY, ("vary", "accept")]),
        ("https://b", vec![VARY, ("vary", "accept")]),
    ] {
        for told in ask(&site, "GET", "/x", &[("origin", from)]) {
            assert_eq!((told.status, said(&told)), (200, expected(&fields)), "{from}");
        }
    }
    for told in ask(&site, "OPTIONS", "/x", &[("origin", "https://a"), ("access-control-request-method", "GET")]) {
        assert_eq!(told.status, 204, "{told:?}");
    }
    assert_eq!(origin.received().len(), 4);
}
