//! Which route takes a request: precedence and index, without I/O.
//!
//! [`Table::build`] turns the routes of a configuration into an immutable index, [`Table::find`] asks it. The order of
//! precedence is told at [`RouteMatch`](crate::config::RouteMatch); it does not depend on the order of the routes.
//!
//! A lookup hashes the host once (and once more per wildcard depth that the table knows, while nothing holds), then walks
//! the segments of the path down a trie, at the end of which stands a chain of candidates in order of
//! precedence: of several thousand routes only those whose host and path fit are looked at. Nothing is allocated,
//! except to decode a query parameter or to run a regular expression.

mod arena;
mod build;
mod conditions;
pub mod form;
pub mod host;
mod hosts;
pub mod path;
mod plain;
mod trie;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::config::Route;

use conditions::Conditions;
use hosts::{HostMap, Target, Wildcards};
use trie::PathTrie;

pub(crate) use build::condition_count;
pub use conditions::ValueTest;

/// What the index asks of a request.
pub trait RequestView {
    /// The host as [`host::parse`] gives it; empty if the request names none.
    fn host(&self) -> &str;

    /// The canonical path as [`path::canonicalize`] gives it.
    fn path(&self) -> &str;

    /// The query as it was sent, without `?`.
    fn query(&self) -> Option<&str>;

    /// The method, compared case-sensitively.
    fn method(&self) -> &str;

    /// The client's address, behind trusted proxies.
    fn client(&self) -> IpAddr;

    /// The name of the listener that took the connection.
    fn listener(&self) -> &str;

    /// Calls `check` with each value of the header field `name` (lower-case) until it says true; whether it did.
    fn any_header(&self, name: &str, check: &mut dyn FnMut(&[u8]) -> bool) -> bool;

    /// Whether the header field `name` (lower-case) was sent.
    fn has_header(&self, name: &str) -> bool {
        self.any_header(name, &mut |_| true)
    }
}

/// The index over the routes of one configuration.
#[derive(Debug)]
pub struct Table {
    hosts: HostMap,
    wildcards: Wildcards,
    /// What routes for any host have.
    any_host: Option<Target>,
    paths: PathTrie,
    candidates: Box<[Candidate]>,
    conditions: Box<[Conditions]>,
}

/// A route at one place of the index: it takes the request if its further conditions hold.
#[derive(Debug)]
struct Candidate {
    /// Index into the routes that the table was built from.
    route: u32,
    /// Index into [`Table::conditions`], or [`NONE`].
    conditions: u32,
    /// The candidate that comes next in precedence at this place, or [`NONE`]. Chains share their ends.
    next: u32,
}

/// An index that leads nowhere.
const NONE: u32 = u32::MAX;

impl Table {
    /// Builds the index over `routes`.
    ///
    /// Never fails: a path pattern that no canonical path can be equal to (which [`validate`](crate::validate()) reports)
    /// matches nothing. Compiles regular expressions, so it belongs off the request path.
    pub fn build(routes: &[Route]) -> Self {
        build::build(routes)
    }

    /// The route that takes `request`, as index into the slice that the table was built from.
    pub fn find(&self, request: &impl RequestView) -> Option<usize> {
        let host = request.host();
        if let Some(target) = self.hosts.get(host)
            && let Some(route) = self.resolve(target, request)
        {
            return Some(route);
        }
        if let Some(route) = self.wildcards.covering(host).find_map(|target| self.resolve(target, request)) {
            return Some(route);
        }
        self.any_host.and_then(|target| self.resolve(target, request))
    }

    /// The route of one host pattern that takes `request`.
    fn resolve(&self, target: Target, request: &impl RequestView) -> Option<usize> {
        let mut next = match target {
            Target::Route(route) => return Some(route as usize),
            Target::Paths(root) => self.paths.first_candidate(root, request.path()),
        };
        while let Some(candidate) = self.candidates.get(next as usize) {
            let conditions = self.conditions.get(candidate.conditions as usize);
            if conditions.is_none_or(|conditions| conditions.hold(request)) {
                return Some(candidate.route as usize);
            }
            next = candidate.next;
        }
        None
    }
}
