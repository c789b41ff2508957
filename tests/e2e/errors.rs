//! What clients are told when something is wrong, over HTTP/1.1 and HTTP/2 alike.

use std::fs;

use harness::{DEADLINE, Origin, Reply, fetch, free_port, h2::H2Origin, wait_for};
use serde_json::{Value, json};

use crate::{
    both::{Told, ask},
    h2_pairs,
    site::Site,
};

/// A site with these settings and routes; `up` is `origin`, `down` nobody.
fn site(origin: &str, settings: Value, routes: Value) -> Site {
    Site::start(json!({
        "settings": settings,
        "listeners": [{ "name": "web", "allow_h2c": true }],
        "upstreams": [
            { "name": "up", "backends": [{ "name": "a", "address": origin }] },
            { "name": "down", "backends": [{ "name": "a", "address": format!("127.0.0.1:{}", free_port()), "breaker_override": "force_closed" }] },
        ],
        "routes": routes,
    }))
}

fn route(name: &str, upstream: &str, fields: Value) -> Value {
    let mut route = json!({
        "name": name,
        "match": { "path": { "prefix": format!("/{name}") } },
        "action": { "forward": { "upstream": upstream } },
    });
    route.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    route
}

/// The part of an answer that says which request it is for.
fn id(told: &Told) -> String {
    let mut words = told.body.split(|char: char| !char.is_ascii_hexdigit() && char != '-');
    words.find(|word| word.len() == 36).expect("there is an id").to_owned()
}

#[test]
fn the_client_chooses_the_format() {
    let origin = Origin::named("origin");
    let site = site(origin.address(), json!({}), json!([route("down", "down", json!({}))]));
    let text = "text/plain; charset=utf-8";
    let html = "text/html; charset=utf-8";
    let (json, problem) = ("application/json", "application/problem+json");
    for (target, status, reason) in [("/none", 404, "no_route"), ("/down", 502, "connect_failed")] {
        for (accept, kind) in [
            (None, text),
            (Some("*/*"), text),
            (Some("image/png"), text),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), html),
            (Some("application/json"), json),
            (Some("application/problem+json, application/json;q=0.9"), problem),
            (Some("text/html;q=0.2, application/*;q=0.3"), json),
            (Some("text/plain;q=0, */*;q=0.1"), html),
        ] {
            let fields: Vec<_> = accept.map(|accept| ("accept", accept)).into_iter().collect();
            for told in ask(&site, "GET", target, &fields) {
                assert_eq!((told.status, told.field("content-type")), (status, Some(kind)), "{accept:?}: {told:?}");
                assert!(told.body.contains(reason), "{accept:?}: {told:?}");
                assert_eq!(told.field("content-length"), Some(told.body.len().to_string().as_str()), "{told:?}");
                assert_eq!(told.field("cache-control"), Some("no-store"), "{told:?}");
                assert!(told.field("proxy-status").is_some_and(|field| field.contains(reason)), "{told:?}");
                if kind.ends_with("json") {
                    let body: Value = serde_json::from_str(&told.body).unwrap();
                    assert_eq!((&body["status"], &body["reason"]), (&json!(status), &json!(reason)), "{body}");
                    assert_eq!(body["request_id"], id(&told), "{body}");
                    let words = if kind == problem { ["title", "detail"] } else { ["message", "message"] };
                    assert!(words.iter().all(|word| body[word].is_string()), "{body}");
                }
            }
            for told in ask(&site, "HEAD", target, &fields) {
                assert_eq!((told.status, told.field("content-type"), told.body.as_str()), (status, Some(kind), ""));
                assert!(told.field("content-length").is_some_and(|length| length != "0"), "{told:?}");
            }
        }
    }
    // What the answer names stands in the log.
    let told = &ask(&site, "GET", "/none?id", &[("accept", "application/json")])[1];
    wait_for("the request in the log", DEADLINE, || {
        let log = fs::read_to_string(site.directory.path().join("access.log")).unwrap_or_default();
        log.contains(&id(told)).then_some(())
    });
}

#[test]
fn rules_for_accept_are_for_the_backend_alone() {
    let failing = Origin::start(|_| Reply::with(500, &[], "x"));
    let rules = |rules: Value| json!({ "request_headers": rules, "errors": { "replace_backend": true } });
    let routes = |upstream: &str| {
        json!([
            route("set", upstream, rules(json!({ "set": { "accept": "*/*" } }))),
            route("removed", upstream, rules(json!({ "remove": ["Accept"] }))),
            route("added", upstream, rules(json!({ "add": { "accept": "application/json" } }))),
            route("default", upstream, rules(json!({ "default": { "accept": "application/json" } }))),
            route("plain", upstream, rules(json!({}))),
        ])
    };
    let (html, text) = ("text/html; charset=utf-8", "text/plain; charset=utf-8");
    for (upstream, status) in [("down", 502), ("up", 500)] {
        let site = site(failing.address(), json!({}), routes(upstream));
        for path in ["/set", "/removed", "/added", "/default", "/plain"] {
            for (accept, kind) in [(Some("text/html"), html), (None, text)] {
                let fields: Vec<_> = accept.map(|accept| ("accept", accept)).into_iter().collect();
                for told in ask(&site, "GET", path, &fields) {
                    assert_eq!((told.status, told.field("content-type")), (status, Some(kind)), "{path}: {told:?}");
                }
            }
        }
        // The field is for this proxy, and the backend gets none.
        let answer = fetch(
            &site.address,
            "GET /plain HTTP/1.1\r\nHost: h\r\nAccept: text/html\r\nConnection: close, accept\r\n\r\n",
        )
        .unwrap();
        assert_eq!((answer.status, answer.field("content-type")), (status, Some(html)));
    }
    // Behind a body that is longer than what of it is kept, and has lines like those of a head.
    let limited = route("limited", "up", json!({ "limits": { "body": "200KiB" } }));
    let site = site(failing.address(), json!({}), json!([limited]));
    let body = "\nAccept: application/json\r\n".repeat(10_000);
    let mut client = site.h2_client();
    let stream = client.begin("POST", "/limited", &[("accept", "text/html")], false).unwrap();
    // It is told in the middle.
    let _ = client.upload(stream, body.as_bytes());
    let answer = client.response(stream).unwrap();
    assert_eq!((answer.status(), answer.field("content-type")), (413, Some(html)), "{answer:?}");
}

#[test]
fn a_head_that_cannot_be_read_is_answered_in_the_default_format() {
    let origin = Origin::named("origin");
    let settings = json!({ "errors": { "default_format": "problem", "pages": { "400": { "text": "never" } } } });
    let site = site(origin.address(), settings, json!([route("up", "up", json!({}))]));
    let answer =
        fetch(&site.address, "GET / HTTP/1.1\r\nHost: h\r\nAccept: text/plain\r\nBad Name: x\r\n\r\n").unwrap();
    assert_eq!((answer.status, answer.field("content-type")), (400, Some("application/problem+json")));
    let body: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(body["reason"], "bad_request");
    let answer = fetch(&site.address, "GET / HTTP/1.0\r\nHost: h\r\nAccept: text/html\r\n\r\n").unwrap();
    assert_eq!((answer.status, answer.field("content-type")), (404, Some("text/html; charset=utf-8")));
}

#[test]
fn own_pages_come_from_the_route_then_from_the_settings() {
    let origin = Origin::named("origin");
    let settings = json!({ "errors": {
        "default_format": "html",
        "pages": {
            "500-599": { "html": "<p>{status} {reason} {request_id}</p>", "json": "{\"code\":{status},\"id\":\"{request_id}\"}" },
            "no_route": { "html": "<p>nothing here</p>" },
        },
    } });
    let site = site(
        origin.address(),
        settings,
        json!([
            route("plain", "down", json!({})),
            route(
                "own",
                "down",
                json!({ "errors": { "default_format": "text", "pages": { "connect_failed": { "text": "sorry, {reason}\n" } } } })
            ),
            route(
                "off",
                "up",
                json!({ "maintenance": { "enabled": true }, "errors": { "pages": { "503": { "html": "<p>back soon</p>" } } } })
            ),
        ]),
    );
    for (target, accept, status, kind, body) in [
        ("/none", "*/*", 404, "text/html; charset=utf-8", "<p>nothing here</p>"),
        (
            "/none",
            "text/plain",
            404,
            "text/plain; charset=utf-8",
            "404 no_route\nNothing is served here.\nrequest id: ",
        ),
        ("/plain", "*/*", 502, "text/html; charset=utf-8", "<p>502 connect_failed 0"),
        ("/plain", "application/json", 502, "application/json", "{\"code\":502,\"id\":\"0"),
        ("/own", "*/*", 502, "text/plain; charset=utf-8", "sorry, connect_failed\n"),
        ("/own", "text/html", 502, "text/html; charset=utf-8", "<p>502 connect_failed 0"),
        ("/off", "*/*", 503, "text/html; charset=utf-8", "<p>back soon</p>"),
        (
            "/off",
            "application/problem+json",
            503,
            "application/problem+json",
            "{\"title\":\"Service Unavailable\",\"status\":503",
        ),
    ] {
        for told in ask(&site, "GET", target, &[("accept", accept)]) {
            assert_eq!((told.status, told.field("content-type")), (status, Some(kind)), "{target} {accept}: {told:?}");
            assert!(told.body.starts_with(body), "{target} {accept}: {told:?}");
        }
    }
    let call = site.h2_client().ask("POST", "/own", &[("content-type", "application/grpc")], "").unwrap();
    assert_eq!((call.status(), call.field("grpc-status"), call.text().as_str()), (200, Some("14"), ""), "{call:?}");
}

/// What a backend answers to each target; none of it may reach a client.
fn failing(target: &str) -> Reply {
    let secret = "stack trace at 10.1.2.3:5432";
    match target.rsplit('/').next().unwrap_or_default() {
        "small" => Reply::with(500, &[("X-Secret", "1"), ("Content-Type", "text/html")], secret),
        "none" => Reply::with(503, &[("Retry-After", "9")], ""),
        "chunked" => Reply::raw(
            format!(
                "HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{secret}\r\n0\r\n\r\n",
                secret.len()
            ),
            true,
        ),
        "large" => Reply::with(599, &[], secret.repeat(10_000)),
        "close" => Reply::raw(format!("HTTP/1.0 500 No\r\n\r\n{secret}"), false),
        // A body that never ends must not hold the answer back.
        "slow" => Reply::raw("HTTP/1.1 500 No\r\nContent-Length: 99\r\n\r\nstack", true),
        "fine" => Reply::with(404, &[("X-Seen", "1")], "my own 404"),
        _ => Reply::text("fine"),
    }
}

#[test]
fn errors_of_backends_are_replaced_where_the_route_says_so() {
    let origin = Origin::start(|request| failing(request.target()));
    let replaced = json!({ "errors": { "replace_backend": true, "pages": { "599": { "text": "ours" } } } });
    let site = site(origin.address(), json!({}), json!([route("r", "up", replaced), route("p", "up", json!({}))]));
    for (target, status, body) in [
        ("/r/small", 500, "500 backend_error\nThe backend failed to answer.\nrequest id: "),
        ("/r/none", 503, "503 backend_error\n"),
        ("/r/chunked", 502, "502 backend_error\n"),
        ("/r/large", 599, "ours"),
        ("/r/close", 500, "500 backend_error\n"),
        ("/r/slow", 500, "500 backend_error\n"),
    ] {
        for told in ask(&site, "GET", target, &[]) {
            assert_eq!(told.status, status, "{target}: {told:?}");
            assert!(told.body.starts_with(body) && !told.body.contains("stack"), "{target}: {told:?}");
            assert_eq!((told.field("x-secret"), told.field("retry-after")), (None, None), "{told:?}");
            let said = format!("tidegate; received-status={status}; details=\"backend_error\"");
            assert_eq!(told.field("proxy-status"), Some(said.as_str()), "{told:?}");
        }
        let line = site.logged(target);
        assert_eq!((&line["status"], &line["reason"]), (&json!(status), &json!("backend_error")), "{line}");
        assert_eq!((&line["backend_status"], &line["backend"]), (&json!(status), &json!("a")), "{line}");
        assert!(line["first_byte_ms"].is_number(), "{line}");
    }
    for told in ask(&site, "HEAD", "/r/small", &[("accept", "text/html")]) {
        assert_eq!((told.status, told.body.as_str()), (500, ""), "{told:?}");
        assert_eq!(told.field("content-type"), Some("text/html; charset=utf-8"), "{told:?}");
    }
    for (target, status, body) in [("/r/fine", 404, "my own 404"), ("/r/", 200, "fine"), ("/p/none", 503, "")] {
        for told in ask(&site, "GET", target, &[]) {
            assert_eq!((told.status, told.body.as_str()), (status, body), "{target}: {told:?}");
            assert!(told.field("proxy-status").is_none(), "{told:?}");
        }
    }
    let counted = "tidegate_generated_responses_total{reason=\"backend_error\"} 14";
    assert!(site.plane.metrics().contains(counted), "{}", site.plane.metrics());
}

#[test]
fn a_connection_with_a_replaced_response_is_kept_if_all_of_it_was_read() {
    for (target, kept) in
        [("/r/small", true), ("/r/none", true), ("/r/chunked", true), ("/r/large", false), ("/r/slow", false)]
    {
        let origin = Origin::start(|request| failing(request.target()));
        let mut config = crate::site::one_upstream(
            [(origin.address(), 1)].into_iter(),
            json!({ "errors": { "replace_backend": true } }),
        );
        config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
        let site = Site::with_workers(1, config);
        ask(&site, "GET", target, &[]);
        // A response in pieces may have been read before its end had come; then the connection is closed, too.
        let answer = site.client().ask("GET /r/fine HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert_eq!(answer.text(), "my own 404");
        let connections = origin.connections();
        assert_eq!(connections, if kept { 1 } else { 3 }, "{target}");
    }
}

#[test]
fn the_clients_connection_is_kept_behind_a_replaced_response() {
    let origin = Origin::start(|request| failing(request.target()));
    let site = Site::of(&[&origin], json!({ "errors": { "replace_backend": true } }));
    let mut client = site.client();
    for _ in 0..3 {
        let answer = client.ask("GET /small HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert_eq!((answer.status, answer.field("connection")), (500, None));
        for framing in ["Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"] {
            let answer = client.ask(format!("POST /none HTTP/1.1\r\nHost: h\r\n{framing}")).unwrap();
            assert_eq!((answer.status, answer.field("connection")), (503, None));
        }
    }
    assert_eq!(client.ask("GET /fine HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().text(), "my own 404");
}

#[test]
fn errors_of_http_2_backends_are_replaced_alike() {
    let origin = H2Origin::start(&[], |request, stream| match request.field(":path") {
        "/fine" => stream.answer(&[(":status", "200")], b"fine", &[]),
        _ => stream.answer(&[(":status", "503"), ("x-secret", "1")], b"stack trace", &[("x-trailer", "1")]),
    });
    let site = h2_pairs::site(origin.address(), "h2c", json!({ "errors": { "replace_backend": true } }));
    for told in ask(&site, "GET", "/x", &[("accept", "application/json")]) {
        assert_eq!((told.status, told.field("x-secret")), (503, None), "{told:?}");
        let body: Value = serde_json::from_str(&told.body).unwrap();
        assert_eq!(body["reason"], "backend_error");
    }
    assert_eq!(site.logged("/x")["backend_status"], 503);
    let call = site.h2_client().ask("POST", "/call", &[("content-type", "application/grpc")], "").unwrap();
    assert_eq!((call.status(), call.field("grpc-status")), (200, Some("14")), "{call:?}");
    assert!(call.field("grpc-message").is_some_and(|message| message.starts_with("backend_error")), "{call:?}");
    let line = site.logged("/call");
    assert_eq!((&line["status"], &line["backend_status"]), (&json!(200), &json!(503)), "{line}");
    for told in ask(&site, "GET", "/fine", &[]) {
        assert_eq!((told.status, told.body.as_str()), (200, "fine"), "{told:?}");
    }
}

#[test]
fn the_server_field_says_what_the_settings_say() {
    let origin = Origin::start(|_| Reply::with(200, &[("Server", "origin/1.2")], "x"));
    for (header, forwarded, own, generated) in [
        (None, Some("origin/1.2"), Some("mine"), None),
        (Some("pass"), Some("origin/1.2"), Some("mine"), None),
        (Some("remove"), None, Some("mine"), None),
        (Some("edge {x}"), Some("edge {x}"), Some("mine"), Some("edge {x}")),
    ] {
        let settings = header.map_or(json!({}), |header| json!({ "server_header": header }));
        let site = site(
            origin.address(),
            settings,
            json!([
                route("up", "up", json!({})),
                route("own", "up", json!({ "response_headers": { "set": { "server": "mine" } } })),
                route("listed", "up", json!({ "response_headers": { "allow": ["etag"] } })),
                route("fixed", "up", json!({ "action": { "respond": { "headers": { "server": "mine" } } } })),
                route("away", "up", json!({ "action": { "redirect": { "to": "https" } } })),
            ]),
        );
        let listed = header.and(generated);
        for (target, expected) in [
            ("/up", forwarded),
            ("/own", own),
            ("/listed", listed),
            ("/fixed", own),
            ("/away", generated),
            ("/none", generated),
        ] {
            for told in ask(&site, "GET", target, &[]) {
                let servers: Vec<_> = expected.into_iter().collect();
                assert_eq!(told.all("server"), servers, "{header:?} {target}: {told:?}");
            }
        }
    }
}
