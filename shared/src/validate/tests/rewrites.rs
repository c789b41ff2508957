//! Rewrites of path and query, splits, and what goes with them.

use serde_json::{Value, json};

use super::{Expected, expect, route, sound_but};
use crate::Severity::{Error, Warning};

fn path(rewrite: Value) -> Value {
    route(json!({"match": {"path": {"prefix": "/a/b"}}, "rewrite": {"path": rewrite}}))
}

fn query(rewrite: Value) -> Value {
    route(json!({"match": {"hosts": ["b"]}, "rewrite": {"query": rewrite}}))
}

#[test]
fn new_paths_are_paths() {
    let at = "/routes/1/rewrite/path";
    let to = &format!("{at}/to");
    let cases: &[(Value, &[Expected])] = &[
        (path(json!({"to": "/x{path}"})), &[]),
        (path(json!({"to": "{path}/x"})), &[]),
        (path(json!({"to": "/{header.x-a}/y"})), &[]),
        (path(json!({"to": "x"})), &[(Error, to, "not start with '/'")]),
        (path(json!({"to": "/a/../b"})), &[(Error, to, "write \"/b\"")]),
        (path(json!({"to": "/a b"})), &[(Error, to, "0x20")]),
        (path(json!({"to": "x{path}"})), &[(Error, to, "begins with '/'")]),
        (path(json!({"to": "{host}"})), &[(Error, to, "begins with '/'")]),
        (path(json!({"to": "/{host}/../x"})), &[(Error, to, "dot segment")]),
        (path(json!({"to": "/{host}?x"})), &[(Error, to, "0x3f")]),
        (path(json!({"to": "/x{uri}"})), &[(Error, to, "rewrite.query")]),
        (path(json!({"to": "/{status}"})), &[(Error, to, "response_headers")]),
        (path(json!({"to": "/{path.1}"})), &[(Error, to, "match.path.regex has no group")]),
        (path(json!({"regex": {"pattern": "/(a)(?<n>b)", "to": "/{path.1}/{path.n}"}})), &[]),
        (
            path(json!({"regex": {"pattern": "/(a)", "to": "/{path.2}"}})),
            &[(Error, &format!("{at}/regex/to"), "the pattern has no group \"2\"")],
        ),
        (path(json!({"strip_prefix": "/a"})), &[]),
        (path(json!({"strip_prefix": "/a/b/c"})), &[]),
        (path(json!({"strip_prefix": "/b"})), &[(Warning, &format!("{at}/strip_prefix"), "never acts")]),
        (path(json!({"strip_prefix": "/a//"})), &[(Error, &format!("{at}/strip_prefix"), "write \"/a/\"")]),
        (
            path(json!({"replace_prefix": {"from": "/aa", "to": "/x"}})),
            &[(Warning, &format!("{at}/replace_prefix/from"), "never acts")],
        ),
        (
            path(json!({"replace_prefix": {"from": "/a", "to": "/x/./y"}})),
            &[(Error, &format!("{at}/replace_prefix/to"), "write \"/x/y\"")],
        ),
        (
            route(json!({"match": {"path": {"exact": "/x"}}, "rewrite": {"path": {"strip_prefix": "/y"}}})),
            &[(Warning, &format!("{at}/strip_prefix"), "never acts")],
        ),
        (
            route(
                json!({"match": {"hosts": ["b"]}, "action": {"respond": {}}, "rewrite": {"path": {"strip_prefix": "/y"}}}),
            ),
            &[(Warning, "/routes/1/rewrite", "never acts")],
        ),
    ];
    expect(cases);
}

#[test]
fn query_edits_name_parameters() {
    let at = "/routes/1/rewrite/query";
    let many: serde_json::Map<_, _> = (0..101).map(|n| (format!("f{n}"), json!("x"))).collect();
    let cases: &[(Value, &[Expected])] = &[
        (query(json!({"remove": ["a b"], "set": {"b": "{uri}"}, "add": {"b": "{header.x}"}})), &[]),
        (query(json!({"remove": [""]})), &[(Error, &format!("{at}/remove/0"), "no name of a query parameter")]),
        (query(json!({"set": {"a": "{status}"}})), &[(Error, &format!("{at}/set/a"), "response_headers")]),
        (query(json!({"add": {"a/b": "{path.x}"}})), &[(Error, &format!("{at}/add/a~1b"), "no group \"x\"")]),
        (query(json!({"set": many})), &[(Error, &format!("{at}/set"), "at most 100")]),
    ];
    expect(cases);
}

#[test]
fn splits_lead_somewhere() {
    let at = "/routes/0/action/split";
    let split = |targets: Value| sound_but(json!({"routes": [{"name": "r", "action": {"split": targets}}]}));
    let by_cookie = |cookie: Value| {
        let mut config = sound_but(
            json!({"routes": [{"name": "r", "split_by": {"cookie": cookie}, "action": {"split": [{"upstream": "u"}]}}]}),
        );
        config["upstreams"][0]["sticky"] = json!({"cookie": "s"});
        config
    };
    let unused: Expected = (Warning, "/upstreams/0", "no route");
    let cases: &[(Value, &[Expected])] = &[
        (
            split(
                json!([{"upstream": "u", "weight": 5}, {"upstream": "u", "when": {"cookies": {"c": {"present": true}}}}]),
            ),
            &[],
        ),
        (split(json!([])), &[unused, (Error, at, "at least one")]),
        (
            split(json!([{"upstream": "x"}, {"upstream": "u"}])),
            &[(Error, &format!("{at}/0/upstream"), "no upstream \"x\"")],
        ),
        (split(json!([{"upstream": "u", "weight": 0}])), &[(Warning, at, "all weights are 0")]),
        (split(json!(vec![json!({"upstream": "u"}); 101])), &[(Error, at, "at most 100")]),
        (
            split(json!([{"upstream": "u", "when": {"cookies": {"a b": {"present": true}}}}])),
            &[(Error, &format!("{at}/0/when/cookies/a b"), "no name of a cookie")],
        ),
        (
            split(json!([{"upstream": "u", "when": {"headers": {"a": {"exact": "x\n"}}}}])),
            &[(Error, &format!("{at}/0/when/headers/a/exact"), "control characters")],
        ),
        (
            sound_but(
                json!({"routes": [{"name": "r", "split_by": "client_address", "action": {"forward": {"upstream": "u"}}}]}),
            ),
            &[(Warning, "/routes/0/split_by", "no split")],
        ),
        (by_cookie(json!({"cookie": "c", "max_age": "400d"})), &[]),
        (by_cookie(json!({"max_age": "401d"})), &[(Error, "/routes/0/split_by/cookie/max_age", "out of range")]),
        (by_cookie(json!({"cookie": "s"})), &[(Error, "/routes/0/split_by/cookie/cookie", "choose another name")]),
        (
            sound_but(json!({"routes": [{"name": "r", "grpc_web": true, "action": {"split": [{"upstream": "u"}]}}]})),
            &[(Error, "/routes/0/grpc_web", "needs HTTP/2")],
        ),
        (
            route(json!({"match": {"hosts": ["b"]}, "maintenance": {"allow": vec!["10.0.0.1"; 1001]}})),
            &[(Error, "/routes/1/maintenance/allow", "at most 1000")],
        ),
        (
            route(
                json!({"match": {"hosts": ["b"]}, "action": {"redirect": {"to": "https"}}, "limits": {"body": "1B"}}),
            ),
            &[(Warning, "/routes/1/limits", "never acts")],
        ),
    ];
    expect(cases);
}
