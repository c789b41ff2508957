//! The documented precedence as plain as it can be written, and the index against it.

use std::{cmp::Reverse, collections::HashMap};

use proptest::{collection::vec, prelude::*, sample::select, sample::subsequence};
use regex::Regex;
use serde_json::json;

use super::{Request, Table, find, route};
use crate::{
    Origin,
    config::{Config, PathMatch, Route, ValueMatch},
    routing::{RequestView, host, path},
    validate,
    value::{HostPattern, Pattern},
};

/// Compiled once per table: this is a test of precedence, not of the regex crate.
type Regexes = HashMap<Pattern, Regex>;

/// The name of the route that takes `request`: of all that hold, at each of their hosts, the least.
fn scan<'a>(routes: &'a [Route], request: &Request, regexes: &mut Regexes) -> Option<&'a str> {
    let mut best = None;
    for route in routes {
        let matches = &route.matches;
        let hosts = if matches.hosts.is_empty() {
            vec![(2, Reverse(0))]
        } else {
            matches.hosts.iter().filter_map(|host| host_rank(host, &request.host)).collect()
        };
        let Some(path) = path_rank(matches.path.as_ref(), &request.path, regexes) else { continue };
        if !conditions_hold(route, request, regexes) {
            continue;
        }
        let conditions = matches.headers.len()
            + matches.query.len()
            + [matches.methods.len(), matches.client_cidrs.len(), matches.listeners.len()]
                .iter()
                .filter(|count| **count > 0)
                .count();
        for host in hosts {
            let key = (host, path.clone(), Reverse(conditions), route.name.as_str());
            if best.as_ref().is_none_or(|best| key < *best) {
                best = Some(key);
            }
        }
    }
    best.map(|(_, _, _, name)| name)
}

fn host_rank(pattern: &HostPattern, host: &str) -> Option<(u8, Reverse<usize>)> {
    match pattern {
        HostPattern::Exact(exact) => (exact.as_str() == host).then_some((0, Reverse(0))),
        HostPattern::Wildcard(parent) => {
            let parent = parent.as_str();
            host.ends_with(&format!(".{parent}")).then_some((1, Reverse(parent.len())))
        }
    }
}

fn path_rank(pattern: Option<&PathMatch>, path: &str, regexes: &mut Regexes) -> Option<(u8, Reverse<usize>, String)> {
    let canonical = |pattern: &str| path::canonicalize(pattern.as_bytes()).ok().map(|path| path.into_owned());
    let (holds, rank) = match pattern {
        None => (true, (3, Reverse(0), String::new())),
        Some(PathMatch::Exact(exact)) => {
            let exact = canonical(exact.as_str())?;
            (path == exact, (0, Reverse(0), String::new()))
        }
        Some(PathMatch::Prefix(prefix)) => {
            let prefix = canonical(prefix.as_str())?;
            let holds = path == prefix
                || path.strip_prefix(&prefix).is_some_and(|rest| prefix.ends_with('/') || rest.starts_with('/'));
            (holds, (1, Reverse(prefix.len()), String::new()))
        }
        Some(PathMatch::Regex(pattern)) => {
            (regex(pattern, regexes).is_match(path), (2, Reverse(pattern.as_str().len()), pattern.as_str().to_owned()))
        }
    };
    holds.then_some(rank)
}

fn conditions_hold(route: &Route, request: &Request, regexes: &mut Regexes) -> bool {
    let matches = &route.matches;
    (matches.methods.is_empty() || matches.methods.iter().any(|method| method.as_str() == request.method))
        && (matches.listeners.is_empty() || matches.listeners.iter().any(|name| name.as_str() == request.listener))
        && (matches.client_cidrs.is_empty() || matches.client_cidrs.iter().any(|cidr| cidr.contains(request.client)))
        && matches.headers.iter().all(|(name, value)| {
            let mut sent = Vec::new();
            request.any_header(name.as_str(), &mut |value| {
                sent.push(String::from_utf8(value.to_owned()).unwrap());
                false
            });
            value_holds(value, &sent, regexes)
        })
        && matches.query.iter().all(|(name, value)| {
            // The random queries below have no escapes.
            let pieces = request.query.as_deref().unwrap_or_default().split('&');
            let pairs = pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "")));
            let sent: Vec<_> = pairs.filter(|(key, _)| key == name).map(|(_, value)| value.to_owned()).collect();
            value_holds(value, &sent, regexes)
        })
}

fn value_holds(value: &ValueMatch, sent: &[String], regexes: &mut Regexes) -> bool {
    match value {
        ValueMatch::Exact(text) => sent.contains(text),
        ValueMatch::Prefix(prefix) => sent.iter().any(|sent| sent.starts_with(prefix)),
        ValueMatch::Regex(pattern) => sent.iter().any(|sent| regex(pattern, regexes).is_match(sent)),
        ValueMatch::Present(present) => *present != sent.is_empty(),
    }
}

fn regex<'a>(pattern: &Pattern, regexes: &'a mut Regexes) -> &'a Regex {
    regexes.entry(pattern.clone()).or_insert_with(|| pattern.compile_whole())
}

// Small alphabets, so that routes collide.
const HOSTS: &[&str] = &["x", "a.x", "b.a.x", "c.b.a.x", "y", "b.y", "*.x", "*.a.x", "*.b.a.x", "*.y", "*.q.z"];
const PATHS: &[&str] =
    &["/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/b", "/ab", "/a//b", "/%61", "/a/../b/", "/%00", "/a/%2fb"];
const REGEXES: &[&str] = &["/.*", "/a.*", "/[ab]", "/[ab]/.*", "/a/(b|c)", "/.*c"];
const REQUEST_HOSTS: &[&str] = &["x", "a.x", "b.a.x", "c.b.a.x", "d.c.b.a.x", "y", "b.y", "z", "q.z", "p.q.z", ""];
const REQUEST_PATHS: &[&str] =
    &["/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/a/b/c/d", "/a/c", "/b", "/b/", "/ab", "/a/%2Fb", "/c"];

fn value_match() -> impl Strategy<Value = serde_json::Value> {
    select(vec![
        json!({"exact": "1"}),
        json!({"prefix": "1"}),
        json!({"regex": "[12]"}),
        json!({"present": true}),
        json!({"present": false}),
    ])
}

fn conditions() -> impl Strategy<Value = serde_json::Value> {
    let list = |all: &'static [&'static str]| prop_oneof![3 => Just(Vec::new()), 1 => subsequence(all.to_vec(), 1..=all.len())];
    let map = |names: &'static [&'static str]| prop_oneof![4 => Just(HashMap::new()), 1 => proptest::collection::hash_map(select(names), value_match(), 0..3)];
    (list(&["GET", "POST"]), list(&["web", "admin"]), list(&["10.0.0.0/8", "::/0"]), map(&["x-a", "x-b"]), map(&["p", "q"]))
        .prop_map(|(methods, listeners, client_cidrs, headers, query)| {
            json!({"methods": methods, "listeners": listeners, "client_cidrs": client_cidrs, "headers": headers, "query": query})
        })
}

fn route_match() -> impl Strategy<Value = serde_json::Value> {
    let path = prop_oneof![
        1 => Just(serde_json::Value::Null),
        2 => select(PATHS).prop_map(|path| json!({"exact": path})),
        4 => select(PATHS).prop_map(|path| json!({"prefix": path})),
        1 => select(REGEXES).prop_map(|regex| json!({"regex": regex})),
    ];
    (vec(select(HOSTS), 0..3), path, conditions()).prop_map(|(hosts, path, mut matches)| {
        matches["hosts"] = json!(hosts);
        if !path.is_null() {
            matches["path"] = path;
        }
        matches
    })
}

fn table() -> impl Strategy<Value = (Vec<Route>, Vec<Route>)> {
    // Small tables leave more to wildcards and to routes for any host.
    shuffled(prop_oneof![vec(route_match(), 1..12), vec(route_match(), 1..200)])
}

/// A table of these matches, twice, each in an order of its own.
fn shuffled(matches: impl Strategy<Value = Vec<serde_json::Value>>) -> impl Strategy<Value = (Vec<Route>, Vec<Route>)> {
    matches
        .prop_map(|matches| {
            matches.iter().enumerate().map(|(index, matches)| route(&format!("r{index}"), matches)).collect::<Vec<_>>()
        })
        .prop_flat_map(|routes| (Just(routes.clone()).prop_shuffle(), Just(routes).prop_shuffle()))
}

fn request() -> impl Strategy<Value = Request> {
    (
        select(REQUEST_HOSTS),
        select(REQUEST_PATHS),
        select(vec![None, Some(""), Some("p=1"), Some("p=2&q=3"), Some("q&p=12&p=1")]),
        select(&["GET", "POST", "PUT"][..]),
        select(&["10.0.0.1", "11.0.0.1", "::1"][..]),
        select(&["web", "admin", "other"][..]),
        vec((select(&["x-a", "x-b"][..]), select(&["1", "12", "2", ""][..])), 0..3),
    )
        .prop_map(|(host, path, query, method, client, listener, headers)| Request {
            query: query.map(str::to_owned),
            method: method.to_owned(),
            client: client.parse().unwrap(),
            listener: listener.to_owned(),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
            ..Request::get(&format!("{host}{path}"))
        })
}

/// `request` as it may come over the wire: host and path in another spelling, which `choices` choose, brought into normal form.
fn respelled(request: &Request, choices: &[u8]) -> Request {
    let mut choices = choices.iter().copied().cycle();
    let mut choose = |count: u8| choices.next().unwrap_or_default() % count;
    let mut host: String =
        request.host.chars().map(|char| if choose(2) == 0 { char.to_ascii_uppercase() } else { char }).collect();
    if !host.is_empty() {
        host.push_str(["", ".", ":80", ".:8443", ""][usize::from(choose(5))]);
    }
    let mut path = String::new();
    for (at, byte) in request.path.bytes().enumerate() {
        let is_escape = request.path[..at].ends_with('%') || request.path[..at.saturating_sub(1)].ends_with('%');
        match byte {
            b'/' => path.push_str(["/", "//", "/./", "/x/../", "/%2e/", "/x/%2E%2e/"][usize::from(choose(6))]),
            _ if is_escape && choose(2) == 0 => path.push(char::from(byte.to_ascii_lowercase())),
            b'a'..=b'z' if choose(3) == 0 => path.push_str(&format!("%{byte:02x}")),
            b'a'..=b'z' if choose(3) == 0 => path.push_str(&format!("%{byte:02X}")),
            _ => path.push(char::from(byte)),
        }
    }
    let host = if host.is_empty() { host } else { host::parse(host.as_bytes()).unwrap().host.into_owned() };
    Request { host, path: path::canonicalize(path.as_bytes()).unwrap().into_owned(), ..request.clone() }
}

proptest! {
    // Large tables, and what clients make of hosts and paths.
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_a_scan_finds_in_up_to_2000_routes_however_a_request_is_spelled(
        (routes, shuffled) in shuffled(vec(route_match(), 1..=2000)),
        requests in vec((request(), vec(any::<u8>(), 1..40)), 1..200),
    ) {
        let mut regexes = Regexes::new();
        let (index, other_index) = (Table::build(&routes), Table::build(&shuffled));
        for (request, choices) in &requests {
            let expected = scan(&routes, request, &mut regexes);
            let spelled = respelled(request, choices);
            prop_assert_eq!((&spelled.host, &spelled.path), (&request.host, &request.path));
            prop_assert_eq!(index.find(&spelled).map(|found| routes[found].name.as_str()), expected, "{:?}", request);
            let found = other_index.find(&spelled).map(|found| shuffled[found].name.as_str());
            prop_assert_eq!(found, expected, "in another order: {:?}", request);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_a_scan_finds((routes, shuffled) in table(), requests in vec(request(), 1..60)) {
        let mut regexes = Regexes::new();
        let (index, other_index) = (Table::build(&routes), Table::build(&shuffled));
        for request in &requests {
            let expected = scan(&routes, request, &mut regexes);
            prop_assert_eq!(index.find(request).map(|found| routes[found].name.as_str()), expected, "{:?}", request);
            let found = other_index.find(request).map(|found| shuffled[found].name.as_str());
            prop_assert_eq!(found, expected, "in another order: {:?}", request);
        }
    }
}

/// The positions of the routes of which validation says that they never match.
fn shadowed(routes: &[Route]) -> Vec<usize> {
    let config = Config { routes: routes.to_vec(), ..Config::default() };
    let findings = validate(&config, Origin::Store);
    let shadows = findings.iter().filter(|finding| finding.message.contains("never matches"));
    shadows.map(|finding| finding.pointer.split('/').nth(2).unwrap().parse().unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_route_that_validation_calls_shadowed_is_never_found(
        (routes, _) in table(),
        requests in vec(request(), 1..60),
    ) {
        let (index, shadowed) = (Table::build(&routes), shadowed(&routes));
        for request in &requests {
            let found = index.find(request);
            prop_assert!(found.is_none_or(|found| !shadowed.contains(&found)), "{:?} {:?}", found, request);
        }
    }
}

#[test]
fn the_scan_itself_is_no_tautology() {
    let routes = [route("a", &json!({"path": {"prefix": "/a"}})), route("b", &json!({}))];
    for (target, expected) in [("h/a", "a"), ("h/b", "b")] {
        let request = Request::get(target);
        assert_eq!(scan(&routes, &request, &mut Regexes::new()), Some(expected));
        assert_eq!(find(&routes, &request), Some(expected));
    }
}
