use serde_json::{Value, json};

use super::{ask, route, start};

#[test]
fn preflights_are_answered_by_the_proxy() {
    let cors = json!({
        "allow_origins": ["https://app.example", "https://*.app.example"],
        "allow_credentials": true,
        "allow_methods": ["GET", "PUT"],
        "allow_headers": ["X-Token"],
        "expose_headers": ["X-Total"],
        "max_age": "1h",
    });
    let (_nginx, site) = start(json!([route("api", json!({ "cors": cors }))]));
    let asked = ["-H", "Access-Control-Request-Method: PUT", "-H", "Access-Control-Request-Headers: x-token"];
    for (origin, is_let_in) in
        [("https://app.example", true), ("https://a.b.app.example", true), ("https://evil.example", false)]
    {
        let field = format!("Origin: {origin}");
        let from = ["-H", field.as_str()];
        let allowed = is_let_in.then_some(origin);
        for told in ask(&site, &[&["-X", "OPTIONS"], &from[..], &asked].concat(), "http://shop.example/api/x") {
            assert_eq!((told.status, told.body.as_str()), (204, ""), "{told:?}");
            assert_eq!(told.field("access-control-allow-origin"), allowed, "{told:?}");
            assert_eq!(told.field("access-control-allow-methods"), is_let_in.then_some("GET, PUT"), "{told:?}");
            assert_eq!(told.field("access-control-allow-headers"), is_let_in.then_some("X-Token"), "{told:?}");
            assert_eq!(told.field("access-control-max-age"), is_let_in.then_some("3600"), "{told:?}");
        }
        for told in ask(&site, &from, "http://shop.example/api/x") {
            assert!(told.status == 200 && told.body.starts_with("GET /api/x\n"), "{told:?}");
            assert_eq!(told.field("access-control-allow-origin"), allowed, "{told:?}");
            assert_eq!(told.field("access-control-allow-credentials"), is_let_in.then_some("true"), "{told:?}");
            assert_eq!(told.field("access-control-expose-headers"), is_let_in.then_some("X-Total"), "{told:?}");
            assert_eq!(told.all("vary"), ["Origin"], "{told:?}");
        }
    }
    // Without the field that makes it a preflight nginx is asked.
    for told in ask(&site, &["-X", "OPTIONS", "-H", "Origin: https://app.example"], "http://shop.example/api/x") {
        assert!(told.body.starts_with("OPTIONS /api/x\n"), "{told:?}");
    }
}

#[test]
fn header_rules_act_on_both_ways() {
    let (_nginx, site) = start(json!([route(
        "api",
        json!({
            "host": "backend",
            "request_headers": { "set": { "X-Env": "{route} {client_address}" }, "remove": ["X-Debug"] },
            "response_headers": {
                "security": "basic",
                "remove": ["X-Powered-By"],
                "set": { "Server": "shop", "X-By": "{backend} of {upstream}, {status}" },
            },
        }),
    )]));
    let sent = ["-H", "X-Env: mine", "-H", "X_Env: mine", "-H", "X-Debug: 1", "-H", "X-Forwarded-For: 198.51.100.7"];
    for told in ask(&site, &sent, "http://shop.example/api") {
        assert!(told.body.starts_with("GET /api\nhost: 127.0.0.1:"), "{told:?}");
        assert!(told.body.contains("\nenv: api 198.51.100.7\ndebug: \n"), "{told:?}");
        for (name, value) in [
            ("server", Some("shop")),
            ("x-powered-by", None),
            ("x-total", Some("3")),
            ("x-by", Some("a of up, 200")),
            ("x-content-type-options", Some("nosniff")),
            ("x-frame-options", Some("SAMEORIGIN")),
        ] {
            assert_eq!(told.all(name), Vec::from_iter(value), "{told:?}");
        }
        let id = told.field("x-request-id").unwrap();
        assert!(told.body.contains(&format!("\nid: {id}\n")), "{told:?}");
    }
}

#[test]
fn paths_and_queries_are_rewritten() {
    let path = |name: &str, path: Value| route(name, json!({ "rewrite": { "path": path } }));
    let (_nginx, site) = start(json!([
        path("strip", json!({ "strip_prefix": "/strip" })),
        path("replace", json!({ "replace_prefix": { "from": "/replace", "to": "/v2" } })),
        path("regex", json!({ "regex": { "pattern": "/regex/([a-z]+)/(.*)", "to": "/{path.2}/of/{path.1}" } })),
        path("to", json!({ "to": "/shop{path}" })),
        route(
            "query",
            json!({ "rewrite": { "query": { "remove": ["utm"], "set": { "v": "2" }, "add": { "who": "{client_address}" } } } })
        ),
    ]));
    for (asked, served) in [
        ("/strip/a%2Fb/c?q", "/a%2Fb/c?q"),
        ("/strip", "/"),
        ("/strip/../strip/%41//b", "/A/b"),
        ("/replace/x?y=z", "/v2/x?y=z"),
        ("/regex/jo/a/b", "/a/b/of/jo"),
        ("/regex/1", "/regex/1"),
        ("/to/x", "/shop/to/x"),
        ("/query/x?utm=1&a=%20&v=1&utm=2", "/query/x?a=%20&v=2&who=127.0.0.1"),
    ] {
        for told in ask(&site, &["--path-as-is"], &format!("http://shop.example{asked}")) {
            assert_eq!(told.body.lines().next(), Some(format!("GET {served}").as_str()), "{asked}: {told:?}");
        }
    }
}
