//! Routes that never take a request, because others always come first.

use std::borrow::Cow;

use hashbrown::HashMap;

use crate::{
    Findings,
    config::{PathMatch, Route, RouteMatch, ValueMatch},
    routing::{condition_count, path},
    value::{Cidr, HostPattern, Method, Name},
};

/// Two cases are found, each host pattern by itself, in time linear in the number of hosts of all routes:
///
/// - Another route has the same path and conditions, and a name that comes first.
/// - Another route has the prefix `/` without conditions, and this one a regular expression or no path, which come after.
pub(super) fn check(routes: &[Route], findings: &mut Findings) {
    let shapes = shapes(routes);
    let mut same_match: HashMap<(Option<&HostPattern>, usize), usize> = HashMap::with_capacity(routes.len());
    let mut takes_all: HashMap<Option<&HostPattern>, usize> = HashMap::new();
    for (index, (route, shape)) in routes.iter().zip(&shapes).enumerate() {
        let Some(shape) = shape else { continue };
        for host in hosts_of(route) {
            let first = same_match.entry((host, shape.key)).or_insert(index);
            if (&route.name, index) < (&routes[*first].name, *first) {
                *first = index;
            }
            if shape.is_everything {
                takes_all.entry(host).or_insert(index);
            }
        }
    }

    for (index, (route, shape)) in routes.iter().zip(&shapes).enumerate() {
        let Some(shape) = shape else { continue };
        let same = |host| same_match.get(&(host, shape.key)).copied().filter(|first| *first != index);
        let everything = |host| takes_all.get(&host).copied().filter(|_| shape.is_after_prefixes);
        let (shadow, reason) = if let Some(first) = common(hosts_of(route).map(same)) {
            (first, "has the same match, and its name comes first")
        } else if let Some(first) = common(hosts_of(route).map(everything)) {
            (first, "takes every path of its hosts, and a prefix comes before a regex and before no path")
        } else if let Some(first) = common(hosts_of(route).map(|host| same(host).or_else(|| everything(host)))) {
            (first, "comes first on one of its hosts, and others on the rest")
        } else {
            continue;
        };
        findings.warning(
            format!("/routes/{index}/match"),
            format!("the route \"{}\" never matches: \"{}\" {reason}", route.name, routes[shadow].name),
        );
    }
}

/// What matters of a route's match, apart from its hosts.
struct Shape {
    /// Equal for matches that mean the same.
    key: usize,
    is_everything: bool,
    is_after_prefixes: bool,
}

/// The shape of each route; `None` for one whose path no request can have.
fn shapes(routes: &[Route]) -> Vec<Option<Shape>> {
    let mut keys = HashMap::with_capacity(routes.len());
    routes
        .iter()
        .map(|Route { matches, .. }| {
            let key = Key::of(matches)?;
            let is_root = key.path == Some((PathKind::Prefix, Cow::Borrowed("/")));
            let is_after_prefixes = !matches!(key.path, Some((PathKind::Exact | PathKind::Prefix, _)));
            let next = keys.len();
            Some(Shape {
                key: *keys.entry(key).or_insert(next),
                is_everything: is_root && condition_count(matches) == 0,
                is_after_prefixes,
            })
        })
        .collect()
}

/// The first of `shadows`, if every host has one.
fn common(mut shadows: impl Iterator<Item = Option<usize>>) -> Option<usize> {
    let first = shadows.next()??;
    shadows.all(|shadow| shadow.is_some()).then_some(first)
}

/// The host patterns at which a route stands; `None` is any host.
fn hosts_of(route: &Route) -> impl Iterator<Item = Option<&HostPattern>> {
    let hosts = &route.matches.hosts;
    hosts.iter().map(Some).chain(hosts.is_empty().then_some(None))
}

/// All of a match but its hosts, so that equal keys mean the same.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a> {
    path: Option<(PathKind, Cow<'a, str>)>,
    methods: Vec<&'a Method>,
    headers: Vec<(&'a str, ValueKey<'a>)>,
    query: Vec<(&'a str, ValueKey<'a>)>,
    client_cidrs: Vec<Cidr>,
    listeners: Vec<&'a Name>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum PathKind {
    Exact,
    Prefix,
    Regex,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum ValueKey<'a> {
    Exact(&'a str),
    Prefix(&'a str),
    Regex(&'a str),
    Present(bool),
}

impl<'a> Key<'a> {
    /// `None` if the path is none that a request can have.
    fn of(matches: &'a RouteMatch) -> Option<Self> {
        let RouteMatch { hosts: _, path, methods, headers, query, client_cidrs, listeners } = matches;
        let canonical = |text: &'a str| path::canonicalize(text.as_bytes()).ok();
        Some(Self {
            path: match path {
                Some(PathMatch::Exact(text)) => Some((PathKind::Exact, canonical(text.as_str())?)),
                Some(PathMatch::Prefix(text)) => Some((PathKind::Prefix, canonical(text.as_str())?)),
                Some(PathMatch::Regex(pattern)) => Some((PathKind::Regex, Cow::Borrowed(pattern.as_str()))),
                None => None,
            },
            methods: sorted(methods.iter()),
            headers: headers.iter().map(|(name, value)| (name.as_str(), ValueKey::of(value))).collect(),
            query: query.iter().map(|(name, value)| (name.as_str(), ValueKey::of(value))).collect(),
            client_cidrs: sorted(client_cidrs.iter().copied()),
            listeners: sorted(listeners.iter()),
        })
    }
}

impl<'a> ValueKey<'a> {
    fn of(value: &'a ValueMatch) -> Self {
        match value {
            ValueMatch::Exact(text) => Self::Exact(text),
            ValueMatch::Prefix(text) => Self::Prefix(text),
            ValueMatch::Regex(pattern) => Self::Regex(pattern.as_str()),
            ValueMatch::Present(present) => Self::Present(*present),
        }
    }
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.dedup();
    items
}
