//! Rules about header fields.

use serde_json::{Value, json};

use super::{Expected, expect, route};
use crate::Severity::{Error, Warning};

fn rules(side: &str, rules: Value) -> Value {
    route(json!({"match": {"hosts": ["b"]}, side: rules}))
}

#[test]
fn rules_name_fields_that_they_may_touch() {
    for (side, name, part) in [
        ("request_headers", "Host", "field `host`"),
        ("request_headers", "X-Forwarded-For", "written by the proxy"),
        ("request_headers", "x-request-id", "written by the proxy"),
        ("request_headers", "max-forwards", "counted down"),
        ("request_headers", "expect", "leave it out"),
        ("request_headers", "proxy-authorization", "one connection only"),
        ("response_headers", "connection", "one connection only"),
        ("response_headers", "content-length", "framed"),
        ("response_headers", "date", "written by the proxy"),
    ] {
        let lower = name.to_lowercase();
        for kind in ["set", "default", "add"] {
            let pointer = format!("/routes/1/{side}/{kind}/{lower}");
            expect(&[(rules(side, json!({kind: {name: "v"}})), &[(Error, &pointer, part)])]);
        }
        let pointer = format!("/routes/1/{side}/remove/0");
        expect(&[(rules(side, json!({"remove": [name]})), &[(Error, &pointer, part)])]);
    }
    expect(&[
        (rules("request_headers", json!({"set": {"x-a": "{backend} {upstream}"}, "remove": ["cookie"]})), &[]),
        (
            rules("response_headers", json!({"set": {"x-status": "{status}"}, "allow": ["x-b"], "security": "strict"})),
            &[],
        ),
    ]);
}

#[test]
fn values_can_stand_where_they_are() {
    let set = "/routes/1/request_headers/set/x-a";
    let many: serde_json::Map<_, _> = (0..101).map(|n| (format!("f{n}"), json!("x"))).collect();
    let cases: &[(Value, &[Expected])] = &[
        (rules("request_headers", json!({"set": {"x-a": "{status}"}})), &[(Error, set, "response_headers")]),
        (rules("request_headers", json!({"set": {"x-a": "{path.1}"}})), &[(Error, set, "no group \"1\"")]),
        (rules("request_headers", json!({"set": {"x-a": "a "}})), &[(Error, set, "blanks around it")]),
        (rules("request_headers", json!({"set": many})), &[(Error, "/routes/1/request_headers/set", "at most 100")]),
        (
            rules("response_headers", json!({"allow": vec!["a"; 101]})),
            &[(Error, "/routes/1/response_headers/allow", "at most 100")],
        ),
        (
            rules("response_headers", json!({"set": {"x-a": "1"}, "default": {"X-A": "2"}})),
            &[(Warning, "/routes/1/response_headers/default/x-a", "never acts")],
        ),
        (
            route(
                json!({"match": {"hosts": ["b"]}, "action": {"respond": {}}, "request_headers": {"remove": ["a"]}, "response_headers": {"security": "basic"}}),
            ),
            &[
                (Warning, "/routes/1/request_headers", "never acts"),
                (Warning, "/routes/1/response_headers", "never acts"),
            ],
        ),
    ];
    expect(cases);
}
