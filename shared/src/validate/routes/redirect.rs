//! Redirects: where they may lead, and whether they lead to themselves.

use std::net::IpAddr;

use super::template::{self, Groups, Place};
use crate::{
    Findings,
    config::{Action, PathMatch, Redirect, Route},
    routing::{RequestView, Table, host, path},
    value::{HostPattern, Part, Template, Variable, quoted},
};

pub(super) fn check(redirect: &Redirect, groups: &Groups<'_>, pointer: &str, findings: &mut Findings) {
    if !matches!(redirect.status, 301 | 302 | 303 | 307 | 308) {
        findings.error(
            format!("{pointer}/status"),
            format!("{} is not the status of a redirect: write 301, 302, 303, 307 or 308", redirect.status),
        );
    }
    let pointer = format!("{pointer}/to");
    let to = redirect.target();
    template::check(&to, Place::Answer, groups, &pointer, findings);
    if !leads_somewhere(&to) {
        findings.error(
            pointer,
            format!(
                "{} is no place to go: write a URL that begins with http:// or https:// and a host, a path that begins with \
                 one '/', or the word https",
                quoted(&to.to_string())
            ),
        );
    }
}

/// Whether it is an absolute URL or a path, whatever the variables say.
fn leads_somewhere(to: &Template) -> bool {
    match to.parts() {
        [Part::Text(text), rest @ ..] => {
            let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
            match authority {
                Some("") => !rest.is_empty(),
                Some(authority) => {
                    let end = authority.find(['/', '?', '#']);
                    let host = &authority[..end.unwrap_or(authority.len())];
                    // A variable may follow a part of the host.
                    (end.is_none() && !rest.is_empty()) || (!host.is_empty() && host::parse(host.as_bytes()).is_ok())
                }
                // A browser takes two slashes, or a slash and a backslash, for the beginning of a host.
                None => text.starts_with('/') && !text[1..].starts_with(['/', '\\']),
            }
        }
        [Part::Variable(Variable::Scheme), Part::Text(text), rest @ ..] => match text.strip_prefix("://") {
            Some("") => !rest.is_empty(),
            Some(authority) => !authority.starts_with('/'),
            None => false,
        },
        [Part::Variable(Variable::Path | Variable::Uri), ..] => true,
        _ => false,
    }
}

/// Reports redirects that lead to themselves: the client would follow them until it gives up.
///
/// Looked at is one request that each route is for, as far as its match tells what it looks like. Whether a place by HTTPS is
/// served by the same route cannot be told from here.
pub(super) fn check_loops(routes: &[Route], findings: &mut Findings) {
    let mut table = None;
    for (index, route) in routes.iter().enumerate() {
        let Action::Redirect(redirect) = &route.action else { continue };
        let Some(next) = Sample::of(route).and_then(|sample| sample.follow(redirect)) else { continue };
        let table = table.get_or_insert_with(|| Table::build(routes));
        if table.find(&next) == Some(index) {
            let place = format!("{}{}", next.host, next.path);
            findings.error(
                format!("/routes/{index}/action/redirect/to"),
                format!("leads back to this route: it takes {} too, so clients would go in a circle", quoted(&place)),
            );
        }
    }
}

/// A request that a route is for.
struct Sample {
    host: String,
    path: String,
    query: Option<String>,
    method: String,
    client: IpAddr,
    listener: String,
}

impl Sample {
    fn of(route: &Route) -> Option<Self> {
        let matches = &route.matches;
        let methods = &matches.methods;
        Some(Self {
            host: match matches.hosts.first() {
                None => String::new(),
                Some(HostPattern::Exact(host)) => host.to_string(),
                Some(HostPattern::Wildcard(domain)) => format!("www.{domain}"),
            },
            path: match &matches.path {
                None => "/".to_owned(),
                Some(PathMatch::Exact(path) | PathMatch::Prefix(path)) => path.as_str().to_owned(),
                // No request can be made of it; a place that does not depend on the path can still be looked at.
                Some(PathMatch::Regex(_)) => String::new(),
            },
            query: None,
            method: methods
                .iter()
                .find(|method| method.as_str() == "GET")
                .or(methods.first())
                .map_or_else(|| "GET".to_owned(), |method| method.as_str().to_owned()),
            client: matches.client_cidrs.first().map_or(IpAddr::from([0, 0, 0, 0]), |cidr| cidr.net().addr()),
            listener: matches.listeners.first().map(ToString::to_string).unwrap_or_default(),
        })
    }

    /// The request that a client makes that follows `redirect`, if that can be told.
    fn follow(self, redirect: &Redirect) -> Option<Self> {
        let mut url = String::new();
        for part in redirect.target().parts() {
            url.push_str(match part {
                Part::Text(text) => text,
                Part::Variable(Variable::Scheme) => "http",
                Part::Variable(Variable::Host | Variable::Authority) => &self.host,
                Part::Variable(Variable::Path | Variable::Uri) if !self.path.is_empty() => &self.path,
                Part::Variable(Variable::Query) => "",
                Part::Variable(_) => return None,
            });
        }
        let url = url.split('#').next().unwrap_or_default();
        let (host, target) = match url.strip_prefix("http://") {
            Some(rest) => {
                let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                (host::parse(authority.as_bytes()).ok()?.host.into_owned(), target)
            }
            None => (self.host.clone(), url),
        };
        let (raw, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let path = path::canonicalize(if raw.is_empty() { b"/" } else { raw.as_bytes() }).ok()?.into_owned();
        let keeps_method = matches!(redirect.status, 307 | 308);
        let method = if keeps_method { self.method.clone() } else { "GET".to_owned() };
        Some(Self { host, path, query: query.map(str::to_owned), method, ..self })
    }
}

impl RequestView for Sample {
    fn host(&self) -> &str {
        &self.host
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn method(&self) -> &str {
        &self.method
    }

    fn client(&self) -> IpAddr {
        self.client
    }

    fn listener(&self) -> &str {
        &self.listener
    }

    fn any_header(&self, _: &str, _: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }
}
