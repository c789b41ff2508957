use serde_json::json;

use super::{Request, find, route};
use crate::config::Route;

/// Routes named by their place in the list, given in the wrong order: the index must not go by insertion order.
fn routes(matches: &[serde_json::Value]) -> Vec<Route> {
    matches.iter().enumerate().rev().map(|(index, matches)| route(&format!("r{index}"), matches)).collect()
}

#[track_caller]
fn expect(routes: &[Route], cases: &[(&str, Option<&str>)]) {
    for (target, expected) in cases {
        assert_eq!(find(routes, &Request::get(target)), *expected, "{target}");
    }
}

#[test]
fn an_empty_table_matches_nothing() {
    expect(&[], &[("a/", None), ("/", None)]);
}

#[test]
fn an_empty_match_takes_every_request() {
    expect(&routes(&[json!({})]), &[("a/", Some("r0")), ("/x/y", Some("r0")), ("[::1]/", Some("r0"))]);
}

#[test]
fn exact_host_beats_wildcard_and_the_longest_wildcard_wins() {
    let routes = routes(&[
        json!({"hosts": ["a.b.example"]}),
        json!({"hosts": ["*.b.example"]}),
        json!({"hosts": ["*.example"]}),
        json!({}),
    ]);
    expect(
        &routes,
        &[
            ("a.b.example/", Some("r0")),
            ("x.b.example/", Some("r1")),
            ("x.a.b.example/", Some("r1")),
            ("b.example/", Some("r2")),
            ("x.example/", Some("r2")),
            ("example/", Some("r3")),
            ("xexample/", Some("r3")),
            ("/", Some("r3")),
        ],
    );
}

#[test]
fn the_host_comes_before_the_path() {
    let routes =
        routes(&[json!({"hosts": ["a.x"], "path": {"prefix": "/"}}), json!({"path": {"exact": "/long/path"}})]);
    expect(&routes, &[("a.x/long/path", Some("r0")), ("b.x/long/path", Some("r1"))]);
}

#[test]
fn routes_for_any_host_serve_what_a_hosts_own_routes_leave() {
    let routes = routes(&[
        json!({"hosts": ["a.b.x"], "path": {"prefix": "/exact"}}),
        json!({"hosts": ["*.b.x"], "path": {"prefix": "/wild2"}}),
        json!({"hosts": ["*.x"], "path": {"prefix": "/wild1"}}),
        json!({"path": {"prefix": "/any"}}),
    ]);
    expect(
        &routes,
        &[
            ("a.b.x/exact", Some("r0")),
            ("a.b.x/wild2", Some("r1")),
            ("a.b.x/wild1", Some("r2")),
            ("a.b.x/any", Some("r3")),
            ("a.b.x/none", None),
            ("a.b.c.d.x/wild1", Some("r2")),
        ],
    );
}

#[test]
fn exact_path_beats_prefix_beats_regex_beats_none() {
    let routes = routes(&[
        json!({"path": {"exact": "/a/b"}}),
        json!({"path": {"prefix": "/a/b"}}),
        json!({"path": {"prefix": "/a"}}),
        json!({"path": {"regex": "/a.*|/regex.*|/x"}}),
        json!({"path": {"regex": "/regex.*"}}),
        json!({}),
    ]);
    expect(
        &routes,
        &[
            ("h/a/b", Some("r0")),
            ("h/a/b/", Some("r1")),
            ("h/a/b/c", Some("r1")),
            ("h/a/bc", Some("r2")),
            ("h/a", Some("r2")),
            ("h/ab", Some("r3")),
            ("h/regex", Some("r3")),
            ("h/y", Some("r5")),
        ],
    );
}

#[test]
fn prefixes_match_whole_segments() {
    let routes = routes(&[json!({"path": {"prefix": "/api"}})]);
    expect(
        &routes,
        &[
            ("h/api", Some("r0")),
            ("h/api/", Some("r0")),
            ("h/api/v1", Some("r0")),
            ("h/apis", None),
            ("h/api%2Fx", None),
            ("h/ap", None),
            ("h/", None),
        ],
    );
}

#[test]
fn a_prefix_with_a_final_slash_is_for_what_is_below() {
    let routes = routes(&[json!({"path": {"prefix": "/api/"}}), json!({"path": {"prefix": "/api"}})]);
    expect(&routes, &[("h/api/", Some("r0")), ("h/api/v1", Some("r0")), ("h/api", Some("r1"))]);
    expect(&routes[1..], &[("h/api/", Some("r0")), ("h/api", None), ("h/apis", None)]);
}

#[test]
fn an_exact_path_is_the_path_alone() {
    let routes = routes(&[json!({"path": {"exact": "/a"}}), json!({"path": {"exact": "/"}})]);
    expect(&routes, &[("h/a", Some("r0")), ("h/a/", None), ("h/a/b", None), ("h/", Some("r1")), ("h/b", None)]);
}

#[test]
fn patterns_are_compared_in_canonical_form() {
    let routes = routes(&[
        json!({"path": {"exact": "/%61//b/../c"}}),
        json!({"path": {"prefix": "/x/./%7Ey"}}),
        json!({"path": {"prefix": "/%00"}}),
    ]);
    expect(&routes, &[("h/a/c", Some("r0")), ("h/x/~y/z", Some("r1")), ("h/", None)]);
}

#[test]
fn of_regexes_the_longer_text_wins_then_the_text() {
    let routes = routes(&[
        json!({"path": {"regex": "/[a-z]+x"}}),
        json!({"path": {"regex": "/[a-z]+"}}),
        json!({"path": {"regex": "/[b-z]+"}}),
    ]);
    expect(&routes, &[("h/ax", Some("r0")), ("h/bb", Some("r1")), ("h/1", None)]);
}

#[test]
fn a_longer_regex_beats_more_conditions() {
    let routes = routes(&[json!({"path": {"regex": "/.*|/y"}}), json!({"path": {"regex": "/.*"}, "methods": ["GET"]})]);
    expect(&routes, &[("h/x", Some("r0"))]);
}

#[test]
fn more_conditions_win_then_the_name() {
    let routes = routes(&[
        json!({"methods": ["GET"], "listeners": ["web"], "client_cidrs": ["127.0.0.0/8"]}),
        json!({"methods": ["GET"], "headers": {"x-a": {"present": false}}}),
        json!({"query": {"a": {"present": false}, "b": {"present": false}}}),
        json!({"methods": ["GET", "POST", "PUT"]}),
        json!({}),
    ]);
    for (from, expected) in [(0, "r0"), (1, "r1"), (2, "r2"), (3, "r3"), (4, "r4")] {
        // The list runs backwards.
        assert_eq!(find(&routes[..5 - from], &Request::get("h/")), Some(expected));
    }
}

#[test]
fn a_path_comes_before_conditions() {
    let routes = routes(&[json!({"path": {"prefix": "/a"}}), json!({"path": {"prefix": "/"}, "methods": ["GET"]})]);
    expect(&routes, &[("h/a", Some("r0")), ("h/b", Some("r1"))]);
}

#[test]
fn what_fails_a_condition_falls_to_the_next() {
    let routes = routes(&[
        json!({"hosts": ["h"], "path": {"exact": "/a/b"}, "methods": ["PUT"]}),
        json!({"hosts": ["h"], "path": {"prefix": "/a/b"}, "methods": ["POST"]}),
        json!({"hosts": ["h"], "path": {"prefix": "/a"}, "methods": ["PATCH"]}),
        json!({"hosts": ["h"], "methods": ["DELETE"]}),
        json!({"hosts": ["*.h", "h"], "methods": ["HEAD"]}),
        json!({}),
    ]);
    for (method, expected) in
        [("PUT", "r0"), ("POST", "r1"), ("PATCH", "r2"), ("DELETE", "r3"), ("HEAD", "r4"), ("GET", "r5")]
    {
        let request = Request { method: method.to_owned(), ..Request::get("h/a/b") };
        assert_eq!(find(&routes, &request), Some(expected), "{method}");
    }
}

#[test]
fn header_conditions() {
    for (condition, sent, holds) in [
        (json!({"exact": "a"}), vec!["b", "a"], true),
        (json!({"exact": "a"}), vec!["ab"], false),
        (json!({"exact": ""}), vec![], false),
        (json!({"prefix": "a"}), vec!["ab"], true),
        (json!({"prefix": "a"}), vec!["ba"], false),
        (json!({"regex": "a+"}), vec!["aaa"], true),
        (json!({"regex": "a+"}), vec!["aab"], false),
        (json!({"present": true}), vec![""], true),
        (json!({"present": true}), vec![], false),
        (json!({"present": false}), vec![], true),
        (json!({"present": false}), vec!["x"], false),
    ] {
        let routes = routes(&[json!({"headers": {"X-Env": condition}})]);
        let request = sent.iter().fold(Request::get("h/"), |request, value| request.header("x-env", value));
        assert_eq!(find(&routes, &request).is_some(), holds, "{condition} {sent:?}");
    }
    let routes = routes(&[json!({"headers": {"x-env": {"regex": "(?s).*"}}})]);
    assert_eq!(find(&routes, &Request::get("h/").header("x-env", [0xff])), None, "no text");
}

#[test]
fn query_conditions_hold_on_decoded_values() {
    for (condition, query, holds) in [
        (json!({"exact": "a b"}), "p=a+b", true),
        (json!({"exact": "a b"}), "x=1&%70=a%20b", true),
        (json!({"exact": "a"}), "p=b&p=a", true),
        (json!({"exact": ""}), "p", true),
        (json!({"prefix": "a"}), "p=%61b", true),
        (json!({"regex": "[0-9]+"}), "p=1x", false),
        (json!({"present": true}), "q=1", false),
        (json!({"present": false}), "q=p", true),
        (json!({"present": false}), "p", false),
    ] {
        let routes = routes(&[json!({"query": {"p": condition}})]);
        let found = find(&routes, &Request::get(&format!("h/?{query}")));
        assert_eq!(found.is_some(), holds, "{condition} {query}");
    }
    let absent = routes(&[json!({"query": {"p": {"present": false}}})]);
    expect(&absent, &[("h/", Some("r0"))]);
}

#[test]
fn client_and_listener_conditions() {
    let routes =
        routes(&[json!({"client_cidrs": ["10.0.0.0/8", "2001:db8::/32"]}), json!({"listeners": ["admin", "web"]})]);
    for (client, listener, expected) in [
        ("10.1.2.3", "web", Some("r0")),
        ("::ffff:10.1.2.3", "web", Some("r0")),
        ("2001:db8::1", "none", Some("r0")),
        ("11.0.0.1", "web", Some("r1")),
        ("11.0.0.1", "none", None),
    ] {
        let request = Request { client: client.parse().unwrap(), listener: listener.to_owned(), ..Request::get("h/") };
        assert_eq!(find(&routes, &request), expected, "{client} {listener}");
    }
}

#[test]
fn a_host_deeper_than_any_wildcard_is_covered() {
    let routes = routes(&[json!({"hosts": ["*.x"]})]);
    let deep = format!("{}x/", "a.".repeat(126));
    expect(&routes, &[(&deep, Some("r0"))]);
    let absurd = format!("{}x/", "a.".repeat(5000));
    expect(&routes, &[(&absurd, Some("r0"))]);
}

#[test]
fn a_very_deep_path_is_no_deeper_than_the_pattern() {
    let pattern = "/a".repeat(512);
    let routes = routes(&[json!({"path": {"exact": pattern}}), json!({"path": {"prefix": "/a/a"}})]);
    let (same, deeper) = (format!("h{pattern}"), format!("h{}", "/a".repeat(10_000)));
    expect(&routes, &[(&same, Some("r0")), (&deeper, Some("r1"))]);
}
