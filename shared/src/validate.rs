//! What is wrong with a configuration: what its types alone cannot say.
//!
//! The control plane asks before it commits, the data plane before it swaps. An error refuses the configuration; a
//! warning says that something is probably not meant. Every finding points into the [`Config`] as it was given.
//! One pass per kind of resource; the time grows with the size of the configuration, not with its square.

mod balance;
mod breaker;
mod dns;
mod errors;
mod health_check;
mod ip_rules;
pub mod limits;
mod listeners;
mod pool;
mod routes;
mod settings;
mod shadow;
mod sticky;
mod upstreams;

#[cfg(test)]
mod tests;

use std::{fmt::Display, hash::Hash};

use hashbrown::{HashMap, HashSet, hash_map::Entry};

use crate::{
    Findings,
    config::{Config, UpstreamProtocol},
    value::{Name, TimeSpan, Timestamp},
};

/// Where a configuration comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file on the data plane's own host, which may name absolute paths there.
    File,
    /// The control plane's store: whoever writes over REST must not choose files on the data plane's host.
    Store,
}

/// Checks a whole configuration.
pub fn validate(config: &Config, origin: Origin) -> Findings {
    validate_about(config, origin, None)
}

/// Checks a whole configuration for somebody who sent the part of it at `pointer`: when there are more findings than are kept,
/// warnings of that part come before others.
pub fn validate_about(config: &Config, origin: Origin, pointer: Option<String>) -> Findings {
    let mut findings = Findings::about(pointer);
    let references = References::of(config);
    listeners::check(&config.listeners, &mut findings);
    upstreams::check(&config.upstreams, &references, &mut findings);
    routes::check(&config.routes, &references, &mut findings);
    ip_rules::check(&config.ip_rules, &references, Timestamp::now(), &mut findings);
    routes::request_id::check(&config.routes, &config.settings.request_id.header, &mut findings);
    settings::check(&config.settings, origin, &mut findings);
    findings
}

/// The names that resources refer to each other by.
struct References<'a> {
    listeners: HashSet<&'a Name>,
    upstreams: HashSet<&'a Name>,
    routes: HashSet<&'a Name>,
    /// Upstreams that a route names.
    used_upstreams: HashSet<&'a Name>,
    /// Upstreams that speak HTTP/2.
    h2_upstreams: HashSet<&'a Name>,
    /// Names of the cookies of sessions, by upstream.
    session_cookies: HashMap<&'a Name, &'a str>,
}

impl<'a> References<'a> {
    fn of(config: &'a Config) -> Self {
        Self {
            listeners: config.listeners.iter().map(|listener| &listener.name).collect(),
            upstreams: config.upstreams.iter().map(|upstream| &upstream.name).collect(),
            routes: config.routes.iter().map(|route| &route.name).collect(),
            h2_upstreams: config
                .upstreams
                .iter()
                .filter(|upstream| upstream.protocol == UpstreamProtocol::H2c)
                .map(|upstream| &upstream.name)
                .collect(),
            session_cookies: config
                .upstreams
                .iter()
                .filter_map(|upstream| Some((&upstream.name, upstream.sticky.as_ref()?.cookie.as_str())))
                .collect(),
            used_upstreams: config.routes.iter().flat_map(|route| route.upstreams()).collect(),
        }
    }
}

/// Reports each resource of the list at `pointer` whose name an earlier one has.
fn unique_names<N: Hash + Eq + Display>(
    names: impl Iterator<Item = N>,
    pointer: impl Display,
    findings: &mut Findings,
) {
    let mut seen = HashMap::with_capacity(names.size_hint().0);
    for (index, name) in names.enumerate() {
        match seen.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(index);
            }
            Entry::Occupied(first) => findings.error(
                format!("{pointer}/{index}/name"),
                format!(
                    "the name \"{}\" is taken by {pointer}/{}: choose another, or leave one of them out",
                    first.key(),
                    first.get()
                ),
            ),
        }
    }
}

/// Reports a list that is longer than its limit.
fn at_most(limit: usize, len: usize, pointer: impl Display, findings: &mut Findings) {
    if len > limit {
        findings.error(pointer.to_string(), format!("{len} entries are too many: at most {limit} are allowed here"));
    }
}

/// Reports a time-out of 0, under which nothing would ever succeed.
fn longer_than_zero(span: TimeSpan, pointer: impl Display, findings: &mut Findings) {
    if span.is_zero() {
        findings.error(
            pointer.to_string(),
            "a time-out of 0 lets nothing through: write a longer one, e.g. \"10s\", at most \"3650d\"",
        );
    }
}
