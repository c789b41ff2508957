//! Each finding once, with its exact pointer.

mod actions;
mod balance;
mod cors;
mod errors;
mod headers;
mod limits;
mod retries;
mod rewrites;
mod upstreams;

use serde_json::{Value, json};

use super::{Origin, validate};
use crate::{
    Findings,
    Severity::{self, Error, Warning},
    config::Config,
    document,
};

/// Severity, pointer and a part of the message.
type Expected<'a> = (Severity, &'a str, &'a str);

fn check(config: &Value, origin: Origin) -> Findings {
    let config: Config = document::from_value(config.clone()).unwrap_or_else(|fault| panic!("{config}: {fault}"));
    validate(&config, origin)
}

/// A configuration without findings, with `changes` merged in (RFC 7396).
fn sound_but(changes: Value) -> Value {
    let mut config = json!({
        "listeners": [{"name": "web", "address": "0.0.0.0:8080"}],
        "upstreams": [{"name": "u", "backends": [{"name": "a", "address": "127.0.0.1:1"}]}],
        "routes": [{"name": "r", "action": {"forward": {"upstream": "u"}}}]
    });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

fn routes(matches: &[Value]) -> Value {
    let route = |(index, matches): (usize, &Value)| json!({"name": format!("r{index}"), "match": matches, "action": {"forward": {"upstream": "u"}}});
    sound_but(json!({"routes": matches.iter().enumerate().map(route).collect::<Vec<_>>()}))
}

fn backends(backends: Value) -> Value {
    sound_but(json!({"upstreams": [{"name": "u", "backends": backends}]}))
}

fn breaker(breaker: Value) -> Value {
    sound_but(
        json!({"upstreams": [{"name": "u", "backends": [{"name": "a", "address": "unix:/a"}], "breaker": breaker}]}),
    )
}

fn listeners(addresses: &[&str]) -> Value {
    let listener = |(index, address): (usize, &&str)| json!({"name": format!("l{index}"), "address": address});
    sound_but(json!({"listeners": addresses.iter().enumerate().map(listener).collect::<Vec<_>>()}))
}

fn log_file(file: &str) -> Value {
    sound_but(json!({"settings": {"access_log": {"file": file}}}))
}

/// Each configuration has exactly the findings that are named.
#[track_caller]
fn expect(cases: &[(Value, &[Expected])]) {
    for (config, expected) in cases {
        let findings = check(config, Origin::Store);
        let found: Vec<_> = findings.iter().map(|finding| (finding.severity, finding.pointer.as_str())).collect();
        let wanted: Vec<_> = expected.iter().map(|(severity, pointer, _)| (*severity, *pointer)).collect();
        assert_eq!(found, wanted, "{config}: {findings}");
        for (finding, (_, _, part)) in findings.iter().zip(*expected) {
            assert!(finding.message.contains(part), "{:?} lacks {part:?}", finding.message);
        }
    }
}

#[test]
fn sound_configurations_have_no_findings() {
    expect(&[(sound_but(json!({})), &[]), (json!({}), &[])]);
}

#[test]
fn names_are_unique_per_kind() {
    let route = json!({"name": "r", "match": {"hosts": ["a"]}, "action": {"forward": {"upstream": "u"}}});
    let other = json!({"name": "r", "match": {"hosts": ["b"]}, "action": {"forward": {"upstream": "u"}}});
    let rule = json!({"action": "deny", "cidr": "10.0.0.0/8"});
    let backend = |address: &str| json!({"name": "a", "address": address});
    expect(&[
        (
            sound_but(
                json!({"listeners": [{"name": "a", "address": "1.1.1.1:1"}, {"name": "a", "address": "1.1.1.1:2"}]}),
            ),
            &[(Error, "/listeners/1/name", "\"a\" is taken by /listeners/0")],
        ),
        (
            sound_but(
                json!({"upstreams": [{"name": "u", "backends": [backend("a:1")]}, {"name": "u", "backends": [backend("a:1")]}]}),
            ),
            &[(Error, "/upstreams/1/name", "taken")],
        ),
        (backends(json!([backend("a:1"), backend("a:2")])), &[(Error, "/upstreams/0/backends/1/name", "taken")]),
        (sound_but(json!({"routes": [route, other]})), &[(Error, "/routes/1/name", "taken")]),
        (sound_but(json!({"ip_rules": [rule, rule]})), &[(Error, "/ip_rules/1/name", "deny-10.0.0.0-8")]),
    ]);
}

#[test]
fn references_exist() {
    expect(&[
        (
            sound_but(json!({"routes": [{"name": "r", "action": {"forward": {"upstream": "x"}}}]})),
            &[
                (Warning, "/upstreams/0", "no route forwards to the upstream \"u\""),
                (Error, "/routes/0/action/forward/upstream", "no upstream \"x\""),
            ],
        ),
        (routes(&[json!({"listeners": ["web", "x"]})]), &[(Error, "/routes/0/match/listeners/1", "no listener \"x\"")]),
        (
            sound_but(
                json!({"ip_rules": [{"route": "r", "action": "allow", "cidr": "::/0"}, {"route": "x", "action": "allow", "cidr": "::/0"}]}),
            ),
            &[(Error, "/ip_rules/1/route", "no route \"x\"")],
        ),
    ]);
}

#[test]
fn grpc_web_needs_an_upstream_that_speaks_http_2() {
    let with = |protocol| {
        sound_but(json!({
            "upstreams": [{"name": "u", "protocol": protocol, "backends": [{"name": "a", "address": "a:1"}]}],
            "routes": [{"name": "r", "action": {"forward": {"upstream": "u"}}, "grpc_web": true}],
        }))
    };
    expect(&[(with("h1"), &[(Error, "/routes/0/grpc_web", "set its protocol to h2c")]), (with("h2c"), &[])]);
}

#[test]
fn listeners_do_not_share_an_address() {
    let conflict: &[_] = &[(Error, "/listeners/1/address", "/listeners/0")];
    expect(&[
        (listeners(&["127.0.0.1:80", "127.0.0.1:80"]), conflict),
        (listeners(&["0.0.0.0:80", "127.0.0.1:80"]), conflict),
        (listeners(&["127.0.0.1:80", "0.0.0.0:80"]), conflict),
        (listeners(&["[::1]:80", "[::]:80"]), conflict),
        (listeners(&["127.0.0.1:80", "127.0.0.2:80"]), &[]),
        (listeners(&["0.0.0.0:80", "127.0.0.1:81"]), &[]),
        (listeners(&["[::]:80", "0.0.0.0:80", "[::1]:81"]), &[]),
        (listeners(&["[::]:80", "127.0.0.1:80"]), &[]),
    ]);
}

#[test]
fn a_listener_that_trusts_everyone_is_reported() {
    expect(&[(
        sound_but(
            json!({"listeners": [{"name": "a", "address": "0.0.0.0:80", "trusted_proxies": ["10.0.0.0/8", "0.0.0.0/0"]}]}),
        ),
        &[(Warning, "/listeners/0/trusted_proxies/1", "trusts every peer")],
    )]);
}

#[test]
fn a_proxy_protocol_needs_balancers_and_balancers_need_it() {
    let listener = |proxy_protocol: serde_json::Value| {
        sound_but(json!({"listeners": [{"name": "a", "address": "0.0.0.0:80", "proxy_protocol": proxy_protocol}]}))
    };
    let sources = "/listeners/0/proxy_protocol/sources";
    expect(&[
        (listener(json!({"mode": "require", "sources": ["10.0.0.0/8"]})), &[]),
        (listener(json!({"mode": "accept"})), &[(Error, sources, "nobody's header")]),
        (listener(json!({"mode": "require"})), &[(Error, sources, "nobody's header")]),
        (listener(json!({"sources": ["10.0.0.1"]})), &[(Warning, sources, "mode is off")]),
        (
            listener(json!({"mode": "accept", "sources": ["::/0"]})),
            &[(Warning, "/listeners/0/proxy_protocol/sources/0", "trusts every peer")],
        ),
    ]);
}

#[test]
fn the_field_of_request_ids_means_nothing_else() {
    let header = |name: &str| sound_but(json!({"settings": {"request_id": {"header": name}}}));
    let pointer = "/settings/request_id/header";
    expect(&[
        (header("x-request-id"), &[]),
        (header("X-Trace-Id"), &[]),
        (header("cookie"), &[(Error, pointer, "means something else")]),
        (header("Forwarded"), &[(Error, pointer, "means something else")]),
        (header("host"), &[(Error, pointer, "host")]),
        (header("x-forwarded-for"), &[(Error, pointer, "written by the proxy")]),
        (header("transfer-encoding"), &[(Error, pointer, "one connection only")]),
    ]);
    let with_rule = |header: &str, rule: serde_json::Value| {
        let mut route =
            json!({"name": "r", "match": {"hosts": ["r.example"]}, "action": {"forward": {"upstream": "up"}}});
        route.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
        sound_but(json!({
            "settings": {"request_id": {"header": header}},
            "upstreams": [{"name": "up", "backends": [{"name": "a", "address": "a:1"}]}],
            "routes": [route],
        }))
    };
    let respond = json!({"headers": {"x-trace": "1"}});
    let written = "written by the proxy from the request's id";
    expect(&[
        (with_rule("x-trace", json!({"request_headers": {"set": {"x-other": "1"}}})), &[]),
        (with_rule("x-other", json!({"request_headers": {"set": {"x-trace": "1"}}})), &[]),
        (
            with_rule("x-trace", json!({"request_headers": {"set": {"X-Trace": "1"}, "remove": ["x-a", "x-trace"]}})),
            &[
                (Error, "/routes/0/request_headers/remove/1", written),
                (Error, "/routes/0/request_headers/set/x-trace", written),
            ],
        ),
        (
            with_rule("x-trace", json!({"response_headers": {"default": {"x-trace": "1"}, "add": {"x-trace": "2"}}})),
            &[
                (Error, "/routes/0/response_headers/default/x-trace", written),
                (Error, "/routes/0/response_headers/add/x-trace", written),
            ],
        ),
        (
            with_rule("x-trace", json!({"action": {"respond": respond}})),
            &[
                (Warning, "/upstreams/0", "no route forwards"),
                (Error, "/routes/0/action/respond/headers/x-trace", written),
            ],
        ),
        (
            with_rule("x-trace", json!({"fallback": {"respond": respond}})),
            &[(Error, "/routes/0/fallback/respond/headers/x-trace", written)],
        ),
    ]);
}

#[test]
fn paths_are_canonical() {
    expect(&[
        (routes(&[json!({"path": {"exact": "/a//b"}})]), &[(Error, "/routes/0/match/path/exact", "write \"/a/b\"")]),
        (
            routes(&[json!({"path": {"prefix": "/%7e/./x/"}})]),
            &[(Error, "/routes/0/match/path/prefix", "write \"/~/x/\"")],
        ),
        (
            routes(&[json!({"path": {"prefix": "/%zz"}})]),
            &[(Error, "/routes/0/match/path/prefix", "two hexadecimal digits")],
        ),
        (routes(&[json!({"path": {"prefix": "/a%2Fb"}})]), &[]),
    ]);
}

#[test]
fn texts_to_compare_with_are_printable() {
    expect(&[
        (
            routes(&[json!({"headers": {"x~a": {"exact": "a\u{0}"}}})]),
            &[(Error, "/routes/0/match/headers/x~0a/exact", "control characters")],
        ),
        (
            routes(&[json!({"query": {"a/b": {"prefix": "\n"}}})]),
            &[(Error, "/routes/0/match/query/a~1b/prefix", "control characters")],
        ),
        (
            routes(&[json!({"query": {"a\r": {"present": true}}})]),
            &[(Error, "/routes/0/match/query", "control characters")],
        ),
        (routes(&[json!({"query": {"a": {"exact": "ä b"}}})]), &[]),
    ]);
}

#[test]
fn shadowed_routes_are_reported() {
    let shadowed: &[_] = &[(Warning, "/routes/1/match", "the route \"r1\" never matches: \"r0\"")];
    expect(&[
        (routes(&[json!({}), json!({})]), shadowed),
        (routes(&[json!({"hosts": ["a", "b"]}), json!({"hosts": ["b"]})]), shadowed),
        (
            routes(&[
                json!({"methods": ["GET", "PUT"], "headers": {"A": {"exact": "x"}}, "query": {"q": {"present": true}},
                    "client_cidrs": ["::1", "10.0.0.0/8"], "listeners": ["web"]}),
                json!({"methods": ["PUT", "GET", "PUT"], "headers": {"a": {"exact": "x"}}, "query": {"q": {"present": true}},
                    "client_cidrs": ["10.0.0.0/8", "::1/128"], "listeners": ["web"]}),
            ]),
            shadowed,
        ),
        (routes(&[json!({"path": {"prefix": "/"}}), json!({"path": {"regex": "/a"}, "methods": ["GET"]})]), shadowed),
        (routes(&[json!({"path": {"prefix": "/"}}), json!({})]), shadowed),
        (
            routes(&[
                json!({"hosts": ["a"]}),
                json!({"hosts": ["a", "b"]}),
                json!({"hosts": ["b"], "path": {"prefix": "/"}}),
            ]),
            &[(Warning, "/routes/1/match", "\"r0\" comes first on one of its hosts")],
        ),
    ]);
}

#[test]
fn routes_that_still_match_something_are_not_reported() {
    expect(&[
        (routes(&[json!({"hosts": ["b"]}), json!({"hosts": ["a", "b"]})]), &[]),
        (routes(&[json!({}), json!({"methods": ["GET"]})]), &[]),
        (routes(&[json!({"path": {"prefix": "/a"}}), json!({"path": {"exact": "/a"}})]), &[]),
        (routes(&[json!({"path": {"prefix": "/a"}}), json!({"path": {"prefix": "/a/"}})]), &[]),
        (routes(&[json!({"headers": {"a": {"exact": "x"}}}), json!({"headers": {"a": {"prefix": "x"}}})]), &[]),
        (routes(&[json!({"hosts": ["a"], "path": {"prefix": "/"}}), json!({"path": {"regex": "/a"}})]), &[]),
        (routes(&[json!({"path": {"prefix": "/"}, "methods": ["GET"]}), json!({"path": {"regex": "/a"}})]), &[]),
        (routes(&[json!({"path": {"prefix": "/"}}), json!({"path": {"prefix": "/a"}})]), &[]),
    ]);
}

#[test]
fn a_host_that_stands_twice_in_a_route_is_reported() {
    expect(&[(routes(&[json!({"hosts": ["a", "A."]})]), &[(Warning, "/routes/0/match/hosts/1", "twice")])]);
}

#[test]
fn ip_rules_are_reported_that_do_not_act() {
    let rules = |rules: Value| sound_but(json!({"ip_rules": rules}));
    expect(&[
        (
            rules(json!([{"action": "deny", "cidr": "::1", "expires_at": "2020-01-01T00:00:00Z"}])),
            &[(Warning, "/ip_rules/0/expires_at", "expired at 2020")],
        ),
        (
            rules(json!([{"action": "allow", "cidr": "::1"}, {"action": "deny", "cidr": "::1"}])),
            &[(Warning, "/ip_rules/0/action", "/ip_rules/1 denies the same range")],
        ),
        (rules(json!([{"action": "allow", "cidr": "::1"}, {"action": "deny", "cidr": "::1", "route": "r"}])), &[]),
        (
            rules(
                json!([{"action": "allow", "cidr": "::1"}, {"action": "deny", "cidr": "::1", "expires_at": "2020-01-01T00:00:00Z"}]),
            ),
            &[(Warning, "/ip_rules/1/expires_at", "expired")],
        ),
        (
            rules(
                json!([{"action": "deny", "cidr": "::1", "comment": "a\nb"}, {"action": "deny", "cidr": "::2", "comment": "ä".repeat(501)}]),
            ),
            &[
                (Error, "/ip_rules/0/comment", "control"),
                (Error, "/ip_rules/1/comment", "500 characters (this one 501)"),
            ],
        ),
        (rules(json!([{"action": "deny", "cidr": "::2", "comment": "ä".repeat(500)}])), &[]),
    ]);
}

#[test]
fn access_log_files_stay_in_their_folder() {
    for (file, part) in [
        ("", "empty"),
        ("a\0b", "control"),
        ("../a", ".."),
        ("a/../../b", ".."),
        ("logs/", "folder"),
        (".", "folder"),
        ("/var/log/a", "--log-dir"),
    ] {
        expect(&[(log_file(file), &[(Error, "/settings/access_log/file", part)])]);
    }
    expect(&[(log_file("access.log"), &[]), (log_file("site/a..log"), &[])]);
    assert!(check(&log_file("/var/log/a"), Origin::File).is_empty());
    assert!(check(&log_file("/var/../a"), Origin::File).has_errors());
}

/// A configuration with this one route besides those that use the upstream.
fn route(parts: Value) -> Value {
    let mut route = json!({"name": "s", "action": {"forward": {"upstream": "u"}}});
    route.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    sound_but(json!({"routes": [{"name": "r", "action": {"forward": {"upstream": "u"}}}, route]}))
}
