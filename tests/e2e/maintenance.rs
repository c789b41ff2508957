//! Routes that are out of service, and how large a body may be.

use harness::{Connection, DEADLINE, Origin, Reply};
use serde_json::json;

use crate::{
    both::{ask, site},
    site::Site,
};

#[test]
fn a_route_out_of_service_says_when_to_come_back() {
    let origin = Origin::named("origin");
    let off = |extra: serde_json::Value| {
        let mut maintenance = json!({ "enabled": true });
        maintenance.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        maintenance
    };
    let forward = json!({ "forward": { "upstream": "up" } });
    let site = site(
        &origin,
        json!([
            { "name": "off", "match": { "path": { "exact": "/off" } }, "action": forward, "maintenance": off(json!({})) },
            { "name": "soon", "match": { "path": { "exact": "/soon" } }, "action": { "redirect": { "to": "/off" } }, "maintenance": off(json!({ "retry_after": "1500ms" })) },
            { "name": "else", "match": { "path": { "exact": "/else" } }, "action": forward, "maintenance": off(json!({ "allow": ["10.0.0.0/8"] })) },
            { "name": "me", "match": { "path": { "exact": "/me" } }, "action": forward, "maintenance": off(json!({ "allow": ["10.0.0.0/8", "127.0.0.1"] })) },
            { "name": "ready", "match": { "path": { "exact": "/ready" } }, "action": forward, "maintenance": { "retry_after": "1h", "allow": ["10.0.0.0/8"] } },
        ]),
    );
    for (path, status, retry_after) in [
        ("/off", 503, Some("300")),
        ("/soon", 503, Some("2")),
        ("/else", 503, Some("300")),
        ("/me", 200, None),
        ("/ready", 200, None),
    ] {
        for told in ask(&site, "GET", path, &[]) {
            assert_eq!((told.status, told.field("retry-after")), (status, retry_after), "{path}: {told:?}");
            assert_eq!(told.body.contains("maintenance"), status == 503, "{told:?}");
            let error = "tidegate; error=destination_unavailable; details=\"maintenance\"";
            assert_eq!(told.field("proxy-status"), (status == 503).then_some(error), "{told:?}");
        }
    }
    assert_eq!(origin.received().len(), 4);
    assert_eq!(site.logged("/off")["reason"], "maintenance");
    let call = site.h2_client().ask("POST", "/off", &[("content-type", "application/grpc")], "").unwrap();
    assert_eq!((call.status(), call.field("grpc-status")), (200, Some("14")), "{call:?}");
}

/// A listener that takes 20 bytes, and routes that take 10, 30 and anything.
fn limited(origin: &Origin) -> Site {
    let route = |name: &str, limits| {
        json!({
            "name": name,
            "match": { "path": { "exact": format!("/{name}") } },
            "action": { "forward": { "upstream": "up" } },
            "limits": limits,
        })
    };
    Site::start(json!({
        "listeners": [{ "name": "web", "allow_h2c": true, "limits": { "body": "20B" } }],
        "upstreams": [{ "name": "up", "backends": [{ "name": "a", "address": origin.address() }] }],
        "routes": [route("ten", json!({ "body": "10B" })), route("thirty", json!({ "body": "30B" })), route("any", json!({}))],
    }))
}

#[test]
fn a_body_may_have_what_route_and_listener_both_allow() {
    let origin = Origin::start(|request| Reply::text(request.body.len().to_string()));
    let site = limited(&origin);
    for (path, length, status) in [
        ("/ten", 10, 200),
        ("/ten", 11, 413),
        ("/thirty", 20, 200),
        ("/thirty", 21, 413),
        ("/any", 20, 200),
        ("/any", 21, 413),
    ] {
        let body = "x".repeat(length);
        let by_length = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}");
        let chunked = format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        );
        for request in [by_length, chunked] {
            let answer = harness::fetch(&site.address, &request).unwrap();
            assert_eq!(answer.status, status, "{request}");
        }
        let declared = length.to_string();
        for fields in [&[("content-length", declared.as_str())][..], &[]] {
            let answer = site.h2_client().ask("POST", path, fields, &body).unwrap();
            assert_eq!(answer.status(), status, "{path} {length} {fields:?}: {answer:?}");
        }
    }
    let line = site.logged("/ten");
    assert_eq!(line["route"], "ten");
    let mut client = site.client();
    client.send("POST /ten HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(client.read_response().unwrap().status, 413);
    assert_ne!(client.state_after(DEADLINE), Connection::Kept);
}
