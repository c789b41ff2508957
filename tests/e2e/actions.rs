//! What routes do with requests, the same for clients of HTTP/1.1 and of HTTP/2.

use harness::{Connection, DEADLINE, Origin, Reply, fetch};
use serde_json::{Value, json};

use crate::both::{ask, site};

#[test]
fn redirects_lead_where_the_template_says() {
    let origin = Origin::named("origin");
    let redirect = |path: Value, redirect: Value| json!({ "name": format!("r{}", path.to_string().len()), "match": { "path": path }, "action": { "redirect": redirect } });
    let mut routes = vec![
        redirect(json!({ "prefix": "/tls" }), json!({ "to": "https" })),
        redirect(json!({ "prefix": "/away" }), json!({ "to": "https://new.example{uri}", "status": 301 })),
        redirect(json!({ "exact": "/one" }), json!({ "to": "/two?from={path}", "status": 302 })),
        redirect(
            json!({ "regex": "/u/(?<user>[^/]+)/(.*)" }),
            json!({ "to": "http://{path.user}.x/{path.2}", "status": 307 }),
        ),
        redirect(
            json!({ "exact": "/see" }),
            json!({ "to": "{scheme}://{host}.other/{method}/{query}", "status": 303 }),
        ),
        redirect(json!({ "prefix": "/named" }), json!({ "to": "http://x/{header.x-to}?{route}+{listener}" })),
        redirect(json!({ "exact": "/back" }), json!({ "to": "/{header.x-to}" })),
        redirect(json!({ "exact": "/umlaut" }), json!({ "to": "/ä \"b\"" })),
    ];
    for (index, route) in routes.iter_mut().enumerate() {
        route["name"] = json!(format!("r{index}"));
    }
    let site = site(&origin, json!(routes));
    for (method, target, fields, status, location) in [
        ("GET", "/tls", &[][..], 308, "https://h/tls"),
        ("POST", "/tls/a%20b/../c?d=%20&e", &[], 308, "https://h/tls/c?d=%20&e"),
        ("GET", "/away/x?y", &[], 301, "https://new.example/away/x?y"),
        ("HEAD", "/away/x", &[], 301, "https://new.example/away/x"),
        ("GET", "/one", &[], 302, "/two?from=/one"),
        ("PUT", "/u/jo/a/b%2Fc", &[], 307, "http://jo.x/a/b%2Fc"),
        ("GET", "/see?a=1", &[], 303, "http://h.other/GET/a=1"),
        ("DELETE", "/see", &[], 303, "http://h.other/DELETE/"),
        ("GET", "/named", &[("x-to", "a b\"<>\\^`{|}")], 308, "http://x/a%20b%22%3C%3E%5C%5E%60%7B%7C%7D?r5+web"),
        ("GET", "/named/", &[("x-to", "a\tb")], 308, "http://x/a%09b?r5+web"),
        ("GET", "/named/x", &[], 308, "http://x/?r5+web"),
        ("GET", "/back", &[("x-to", "//evil.example")], 308, "/evil.example"),
        ("GET", "/back", &[("x-to", "\\evil.example")], 308, "/%5Cevil.example"),
        ("GET", "/umlaut", &[], 308, "/%C3%A4%20%22b%22"),
    ] {
        for told in ask(&site, method, target, fields) {
            assert_eq!((told.status, told.field("location")), (status, Some(location)), "{method} {target}: {told:?}");
            assert_eq!((told.field("content-length"), told.body.as_str()), (Some("0"), ""), "{told:?}");
            assert!(told.field("date").is_some() && told.field("proxy-status").is_none(), "{told:?}");
        }
    }
    assert!(origin.received().is_empty());
    let line = site.logged("/one");
    assert_eq!((&line["status"], &line["reason"], &line["route"]), (&json!(302), &Value::Null, &json!("r2")));
    assert_eq!((&line["upstream"], &line["tries"]), (&Value::Null, &json!(0)));
}

#[test]
fn a_redirect_to_a_host_needs_one_and_drops_its_port() {
    let origin = Origin::named("origin");
    let site = site(&origin, json!([{ "name": "r", "action": { "redirect": { "to": "https" } } }]));
    let located = |request: &str| {
        let answer = fetch(&site.address, request).unwrap();
        (answer.status, answer.field("location").map(str::to_owned))
    };
    for (request, status, location) in [
        ("GET /a HTTP/1.1\r\nHost: Shop.Example.:8080\r\n\r\n", 308, Some("https://shop.example/a")),
        ("GET /a HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 308, Some("https://[::1]/a")),
        (
            "GET http://abs.example:81/a?b HTTP/1.1\r\nHost: abs.example:81\r\n\r\n",
            308,
            Some("https://abs.example/a?b"),
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 308, Some("https://h/")),
        ("GET /a HTTP/1.0\r\n\r\n", 400, None),
    ] {
        assert_eq!(located(request), (status, location.map(str::to_owned)), "{request}");
    }
}

#[test]
fn fixed_answers_say_what_the_route_says() {
    let origin = Origin::named("origin");
    let respond = |path: &str, respond: Value| json!({ "name": path[1..], "match": { "path": { "exact": path } }, "action": { "respond": respond } });
    let site = site(
        &origin,
        json!([
            respond("/plain", json!({ "body": "hello" })),
            respond(
                "/json",
                json!({ "status": 418, "body": "{\"a\":1}", "headers": { "content-type": "application/json", "X-Who": "{client_address} {path} {header.x-a}" } })
            ),
            respond("/nothing", json!({ "status": 204, "headers": { "x-empty": "{header.x-none}" } })),
            respond("/gone", json!({ "status": 410 })),
            respond("/unchanged", json!({ "status": 304, "headers": { "etag": "\"a\"" } })),
        ]),
    );
    for (method, target, status, body, length, kind) in [
        ("GET", "/plain", 200, "hello", Some("5"), Some("text/plain; charset=utf-8")),
        ("HEAD", "/plain", 200, "", Some("5"), Some("text/plain; charset=utf-8")),
        ("GET", "/json", 418, "{\"a\":1}", Some("7"), Some("application/json")),
        ("DELETE", "/nothing", 204, "", None, None),
        ("GET", "/gone", 410, "", Some("0"), None),
        ("GET", "/unchanged", 304, "", None, None),
    ] {
        for told in ask(&site, method, target, &[("x-a", "b")]) {
            assert_eq!((told.status, told.body.as_str()), (status, body), "{method} {target}: {told:?}");
            assert_eq!(
                (told.field("content-length"), told.field("content-type")),
                (length, kind),
                "{target}: {told:?}"
            );
            let who = (target == "/json").then_some("127.0.0.1 /json b");
            assert_eq!((told.field("x-who"), told.field("x-empty")), (who, None), "{told:?}");
        }
    }
    assert!(origin.received().is_empty());
    let raw = fetch(&site.address, "GET /json HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert!(
        raw.head.first_line == "HTTP/1.1 418 I'm a teapot" && raw.head.fields.iter().any(|(name, _)| name == "X-Who")
    );
}

#[test]
fn the_connection_is_kept_after_an_answer_if_the_body_was_read() {
    let origin = Origin::start(|_| Reply::text("forwarded"));
    let site = site(
        &origin,
        json!([
            { "name": "all", "action": { "forward": { "upstream": "up" } } },
            { "name": "here", "match": { "path": { "exact": "/here" } }, "action": { "respond": { "body": "here" } } },
        ]),
    );
    let mut client = site.client();
    for (request, body) in [
        ("GET /here HTTP/1.1\r\nHost: h\r\n\r\n", "here"),
        ("POST /here HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "here"),
        ("GET /there HTTP/1.1\r\nHost: h\r\n\r\n", "forwarded"),
        ("GET /here HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", "here"),
    ] {
        assert_eq!(client.ask(request).unwrap().text(), body, "{request}");
    }
    let cut = client.ask("POST /here HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc").unwrap();
    assert_eq!((cut.status, cut.field("connection")), (200, Some("close")));
    assert_ne!(client.state_after(DEADLINE), Connection::Kept);
}
