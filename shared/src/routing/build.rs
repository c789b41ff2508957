use std::{borrow::Cow, cmp::Reverse};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use regex::Regex;

use super::{
    Candidate, NONE, Table,
    arena::index,
    conditions::Conditions,
    hosts::{HostMap, Target, Wildcards},
    path,
    trie::PathTrie,
};
use crate::{
    config::{PathMatch, Route, RouteMatch},
    value::{HostPattern, Pattern},
};

/// How many further conditions a match has: the more, the earlier its route comes.
pub(crate) fn condition_count(matches: &RouteMatch) -> usize {
    usize::from(!matches.methods.is_empty())
        + usize::from(!matches.client_cidrs.is_empty())
        + usize::from(!matches.listeners.is_empty())
        + matches.headers.len()
        + matches.query.len()
}

/// The regular expressions of a table: one text is compiled once, however many routes have it.
#[derive(Default)]
pub(super) struct Regexes<'a>(HashMap<&'a Pattern, Regex>);

impl<'a> Regexes<'a> {
    pub(super) fn compile(&mut self, pattern: &'a Pattern) -> Regex {
        self.0.entry(pattern).or_insert_with(|| pattern.compile_whole()).clone()
    }
}

/// A route on its way into the index.
struct Draft<'a> {
    route: u32,
    conditions: u32,
    path: PathKey<'a>,
}

enum PathKey<'a> {
    Exact(Cow<'a, str>),
    Prefix(Cow<'a, str>),
    Regex(&'a Pattern),
    Any,
}

pub(super) fn build(routes: &[Route]) -> Table {
    let mut builder = Builder::default();
    let drafts = builder.drafts(routes);

    // A fixed seed lays out equal tables equally, so that they are equally fast.
    let mut by_host: HashMap<Option<&HostPattern>, Vec<&Draft>, FixedState> = HashMap::default();
    for draft in &drafts {
        let hosts = &routes[draft.route as usize].matches.hosts;
        let patterns = hosts.iter().map(Some).chain(hosts.is_empty().then_some(None));
        for pattern in patterns {
            by_host.entry(pattern).or_default().push(draft);
        }
    }

    let (mut hosts, mut wildcards, mut any_host) = (HostMap::default(), Wildcards::default(), None);
    for (pattern, drafts) in by_host {
        let target = builder.target(&drafts);
        match pattern {
            Some(HostPattern::Exact(host)) => hosts.insert(host.as_str(), target),
            Some(HostPattern::Wildcard(parent)) => wildcards.insert(parent.as_str(), target),
            None => any_host = Some(target),
        }
    }
    Table {
        hosts,
        wildcards,
        any_host,
        paths: builder.paths,
        candidates: builder.candidates.into(),
        conditions: builder.conditions.into(),
    }
}

#[derive(Default)]
struct Builder {
    paths: PathTrie,
    candidates: Vec<Candidate>,
    conditions: Vec<Conditions>,
}

/// The routes that stand at one node of the trie, each list in order of precedence.
#[derive(Default)]
struct Place<'a> {
    parent: Option<u32>,
    exact: Vec<&'a Draft<'a>>,
    /// Prefixes without a final slash: for the place itself and all below.
    prefix: Vec<&'a Draft<'a>>,
    /// Prefixes with a final slash: only for what is below.
    prefix_below: Vec<&'a Draft<'a>>,
}

impl Builder {
    /// The routes that can match at all, in the order in which those of one host and path are tried.
    fn drafts<'a>(&mut self, routes: &'a [Route]) -> Vec<Draft<'a>> {
        let mut order: Vec<_> = routes.iter().enumerate().collect();
        order.sort_by_key(|(_, route)| (Reverse(condition_count(&route.matches)), &route.name));

        let mut regexes = Regexes::default();
        let mut drafts = Vec::with_capacity(routes.len());
        for (position, Route { matches, .. }) in order {
            let canonical = |pattern: &'a str| path::canonicalize(pattern.as_bytes()).ok();
            let path = match &matches.path {
                Some(PathMatch::Exact(pattern)) => canonical(pattern.as_str()).map(PathKey::Exact),
                Some(PathMatch::Prefix(pattern)) => canonical(pattern.as_str()).map(PathKey::Prefix),
                Some(PathMatch::Regex(pattern)) => Some(PathKey::Regex(pattern)),
                None => Some(PathKey::Any),
            };
            let Some(path) = path else { continue };
            let conditions = Conditions::compile(matches, &mut regexes).map_or(NONE, |conditions| {
                self.conditions.push(conditions);
                index(self.conditions.len() - 1)
            });
            drafts.push(Draft { route: index(position), conditions, path });
        }
        drafts
    }

    /// The index of one host pattern.
    fn target<'a>(&mut self, drafts: &[&'a Draft<'a>]) -> Target {
        if let [Draft { route, conditions: NONE, path }] = drafts
            && path.is_everything()
        {
            return Target::Route(*route);
        }
        let root = self.paths.add_root();
        // Nodes of one host are made one after the other: the place of node n is n - root.
        let mut places = vec![Place::default()];
        let (mut regexes, mut rest) = (Vec::new(), Vec::new());
        for draft in drafts {
            match &draft.path {
                PathKey::Exact(path) => self.place(root, &mut places, path).exact.push(draft),
                PathKey::Prefix(path) => match path.strip_suffix('/') {
                    Some(parent) => self.place(root, &mut places, parent).prefix_below.push(draft),
                    None => self.place(root, &mut places, path).prefix.push(draft),
                },
                PathKey::Regex(pattern) => regexes.push((*pattern, *draft)),
                PathKey::Any => rest.push(*draft),
            }
        }
        // Stable, so equal texts stay in order.
        regexes.sort_by_key(|(pattern, _)| (Reverse(pattern.as_str().len()), *pattern));
        let regexes: Vec<_> = regexes.into_iter().map(|(_, draft)| draft).collect();

        let after_paths = self.chain(&rest, NONE);
        let after_prefixes = self.chain(&regexes, after_paths);
        let mut below = Vec::with_capacity(places.len());
        for (node, place) in (root..).zip(&places) {
            // A parent is made before its children, so its chain is known.
            let inherited = place.parent.map_or(after_prefixes, |parent| below[(parent - root) as usize]);
            let here = self.chain(&place.prefix, inherited);
            let end = self.chain(&place.exact, here);
            let first_below = self.chain(&place.prefix_below, here);
            below.push(first_below);
            self.paths.set_candidates(node, end, first_below);
        }
        Target::Paths(root)
    }

    /// The place of `path` (`""` is the root), made if there is none.
    fn place<'p, 'a>(&mut self, root: u32, places: &'p mut Vec<Place<'a>>, path: &str) -> &'p mut Place<'a> {
        let mut node = root;
        for segment in path.split('/').skip(1) {
            let parent = node;
            node = self.paths.add_child(parent, segment.as_bytes());
            if (node - root) as usize == places.len() {
                places.push(Place { parent: Some(parent), ..Place::default() });
            }
        }
        &mut places[(node - root) as usize]
    }

    /// Links `drafts` in front of the candidate `end`; the first of them.
    fn chain(&mut self, drafts: &[&Draft], end: u32) -> u32 {
        drafts.iter().rev().fold(end, |next, draft| {
            self.candidates.push(Candidate { route: draft.route, conditions: draft.conditions, next });
            index(self.candidates.len() - 1)
        })
    }
}

impl PathKey<'_> {
    fn is_everything(&self) -> bool {
        match self {
            Self::Any => true,
            Self::Prefix(path) => path == "/",
            Self::Exact(_) | Self::Regex(_) => false,
        }
    }
}
