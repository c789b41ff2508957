//! What a route does with requests.

use serde_json::{Value, json};

use super::{Expected, expect, route, sound_but};
use crate::Severity::{Error, Warning};

fn action(action: Value) -> Value {
    route(json!({"match": {"hosts": ["a.example"], "path": {"prefix": "/x"}}, "action": action}))
}

#[test]
fn redirects_lead_somewhere_else() {
    const TO: &str = "/routes/1/action/redirect/to";
    let redirect = |to: &str| action(json!({"redirect": {"to": to}}));
    for to in [
        "https",
        "https://b.example",
        "https://b.example{uri}",
        "http://{host}.b{path}",
        "http://b.example/x",
        "/y",
        "{scheme}://b{uri}",
        "https://{host}:8443{uri}",
        "/{path.0}",
    ] {
        let expected: &[Expected] = if to == "/{path.0}" { &[(Error, TO, "has no group \"0\"")] } else { &[] };
        expect(&[(redirect(to), expected)]);
    }
    for to in
        ["http", "b.example/x", "//b.example", "/\\b", "https://", "ftp://b", "http://a b/", "{query}", "{host}/x"]
    {
        expect(&[(redirect(to), &[(Error, TO, "is no place to go")])]);
    }
    for to in [
        "/x",
        "/x/y?z",
        "{uri}",
        "{path}/y",
        "http://a.example/x",
        "http://A.example:80/x/",
        "http://{host}{uri}",
        "/y/../x#f",
    ] {
        expect(&[(redirect(to), &[(Error, TO, "circle")])]);
    }
    for (to, variable) in [("/{status}", "{status}"), ("/{upstream}", "{upstream}"), ("/{backend}", "{backend}")] {
        expect(&[(redirect(to), &[(Error, TO, variable)])]);
    }
    for status in [300, 304, 306, 200] {
        let config = action(json!({"redirect": {"to": "/y", "status": status}}));
        expect(&[(config, &[(Error, "/routes/1/action/redirect/status", "write 301, 302, 303, 307 or 308")])]);
    }
    let regex = |to: &str| {
        route(json!({"match": {"path": {"regex": "/(a|b)/(?<rest>.*)"}}, "action": {"redirect": {"to": to}}}))
    };
    expect(&[
        (regex("/{path.1}/{path.rest}/{path.2}"), &[]),
        (regex("/{path.3}"), &[(Error, TO, "no group \"3\"")]),
        (regex("/a/c"), &[(Error, TO, "circle")]),
        // Another route takes what it leads to.
        (
            sound_but(json!({"routes": [
                {"name": "r", "action": {"redirect": {"to": "/new"}}},
                {"name": "s", "match": {"path": {"exact": "/new"}}, "action": {"forward": {"upstream": "u"}}},
            ]})),
            &[],
        ),
        (route(json!({"match": {"methods": ["POST"]}, "action": {"redirect": {"to": "/", "status": 303}}})), &[]),
        (
            route(json!({"match": {"methods": ["POST"]}, "action": {"redirect": {"to": "/", "status": 307}}})),
            &[(Error, TO, "circle")],
        ),
    ]);
}

#[test]
fn fixed_answers_are_answers() {
    let respond = |respond: Value| action(json!({"respond": respond}));
    let headers = "/routes/1/action/respond/headers";
    expect(&[
        (respond(json!({"status": 599, "body": "x", "headers": {"x-a": "{host}", "server": "me"}})), &[]),
        (respond(json!({"status": 101})), &[(Error, "/routes/1/action/respond/status", "200 to 599")]),
        (respond(json!({"status": 600})), &[(Error, "/routes/1/action/respond/status", "200 to 599")]),
        (respond(json!({"status": 204, "body": "x"})), &[(Error, "/routes/1/action/respond/body", "has no body")]),
        (
            respond(json!({"body": "x".repeat((64 << 10) + 1)})),
            &[(Error, "/routes/1/action/respond/body", "at most 65536")],
        ),
        (respond(json!({"headers": {"x-a": "{status}"}})), &[(Error, &format!("{headers}/x-a"), "response_headers")]),
        (respond(json!({"headers": {"x-a": " a"}})), &[(Error, &format!("{headers}/x-a"), "write \"a\"")]),
        (
            route(json!({"match": {"hosts": ["b"]}, "grpc_web": true, "action": {"respond": {}}})),
            &[(Warning, "/routes/1/grpc_web", "never acts")],
        ),
    ]);
    for name in ["connection", "Transfer-Encoding", "content-length", "host", "via", "date", "te", "upgrade", "trailer"]
    {
        let pointer = format!("{headers}/{}", name.to_lowercase());
        let advice = if name == "host" { "field `host`" } else { "leave it out" };
        expect(&[(respond(json!({"headers": {name: "a"}})), &[(Error, &pointer, advice)])]);
    }
    let many: serde_json::Map<_, _> = (0..101).map(|n| (format!("f{n}"), json!("x"))).collect();
    expect(&[(respond(json!({"headers": many})), &[(Error, headers, "at most 100")])]);
}
