mod action;
mod cors;
pub(super) mod fields;
mod headers;
mod redirect;
pub(super) mod request_id;
mod retries;
mod rewrite;
mod split;
mod template;

use std::{borrow::Borrow, collections::BTreeMap, fmt::Display};

use hashbrown::HashSet;

use super::{References, at_most, errors, limits, longer_than_zero, shadow, unique_names};
use crate::{
    Findings,
    config::{PathMatch, Route, RouteMatch, RouteTimeouts, ValueMatch},
    document::escape,
    routing::path,
    value::quoted,
};

pub(super) fn check(routes: &[Route], references: &References, findings: &mut Findings) {
    at_most(limits::ROUTES, routes.len(), "/routes", findings);
    unique_names(routes.iter().map(|route| &route.name), "/routes", findings);
    for (index, route) in routes.iter().enumerate() {
        action::check(route, &format!("/routes/{index}"), references, findings);
        retries::check(route, &format!("/routes/{index}"), references, findings);
        rewrite::check(route, &format!("/routes/{index}"), findings);
        headers::check(route, &format!("/routes/{index}"), findings);
        cors::check(route, &format!("/routes/{index}"), findings);
        errors::check(&route.errors.pages, &format!("/routes/{index}/errors/pages"), findings);
        check_match(&route.matches, format_args!("/routes/{index}/match"), references, findings);
        check_timeouts(&route.timeouts, &format!("/routes/{index}/timeouts"), findings);
    }
    redirect::check_loops(routes, findings);
    shadow::check(routes, findings);
}

fn check_timeouts(timeouts: &RouteTimeouts, pointer: &str, findings: &mut Findings) {
    // Every field is named, so that a new one is not forgotten here.
    let RouteTimeouts {
        connect,
        request_body_idle,
        // Its 0 has a meaning.
        request_body_min_rate: _,
        first_byte,
        idle,
        total,
        tunnel_idle,
    } = timeouts;
    for (field, span) in [
        ("connect", Some(connect)),
        ("request_body_idle", Some(request_body_idle)),
        ("first_byte", Some(first_byte)),
        ("idle", Some(idle)),
        ("total", total.as_ref()),
        ("tunnel_idle", Some(tunnel_idle)),
    ] {
        if let Some(span) = span {
            longer_than_zero(*span, format_args!("{pointer}/{field}"), findings);
        }
    }
    if total.is_some_and(|total| total <= *connect) {
        findings.warning(
            format!("{pointer}/total"),
            "no longer than `connect`: a slow connection alone uses all of it up, and `connect` never acts",
        );
    }
}

fn check_match(matches: &RouteMatch, pointer: impl Display + Copy, references: &References, findings: &mut Findings) {
    // Every field is named, so that a new one is not forgotten here.
    let RouteMatch { hosts, path, methods, headers, query, client_cidrs, listeners } = matches;
    for (field, len, limit) in [
        ("hosts", hosts.len(), limits::HOSTS_PER_ROUTE),
        ("methods", methods.len(), limits::METHODS_PER_ROUTE),
        ("headers", headers.len(), limits::FIELDS_PER_ROUTE),
        ("query", query.len(), limits::FIELDS_PER_ROUTE),
        ("client_cidrs", client_cidrs.len(), limits::CLIENT_CIDRS_PER_ROUTE),
        ("listeners", listeners.len(), limits::LISTENERS),
    ] {
        at_most(limit, len, format_args!("{pointer}/{field}"), findings);
    }

    let mut seen = HashSet::with_capacity(hosts.len());
    for (index, host) in hosts.iter().enumerate() {
        if !seen.insert(host) {
            findings.warning(format!("{pointer}/hosts/{index}"), format!("the host \"{host}\" stands here twice"));
        }
    }
    match path {
        Some(PathMatch::Exact(pattern)) => check_path(pattern.as_str(), format_args!("{pointer}/path/exact"), findings),
        Some(PathMatch::Prefix(pattern)) => {
            check_path(pattern.as_str(), format_args!("{pointer}/path/prefix"), findings)
        }
        Some(PathMatch::Regex(_)) | None => {}
    }
    check_values(headers, format_args!("{pointer}/headers"), findings);
    check_values(query, format_args!("{pointer}/query"), findings);
    for (index, listener) in listeners.iter().enumerate() {
        if !references.listeners.contains(listener) {
            findings.error(
                format!("{pointer}/listeners/{index}"),
                format!("there is no listener \"{listener}\": create it first, or name an existing one"),
            );
        }
    }
}

/// A pattern is compared with canonical paths, so it is written as one.
fn check_path(text: &str, pointer: impl Display, findings: &mut Findings) {
    match path::canonicalize(text.as_bytes()) {
        Ok(canonical) if canonical == text => {}
        Ok(canonical) => findings.error(
            pointer.to_string(),
            format!("{} is not a canonical path: write {}", quoted(text), quoted(&canonical)),
        ),
        Err(error) => findings
            .error(pointer.to_string(), format!("{} is not a path that a request can have: {error}", quoted(text))),
    }
}

fn check_values<N: Borrow<str>>(
    values: &BTreeMap<N, ValueMatch>,
    pointer: impl Display + Copy,
    findings: &mut Findings,
) {
    for (name, value) in values {
        let name = name.borrow();
        let (kind, text) = match value {
            ValueMatch::Exact(text) => ("exact", text.as_str()),
            ValueMatch::Prefix(text) => ("prefix", text.as_str()),
            ValueMatch::Regex(_) | ValueMatch::Present(_) => ("", ""),
        };
        if name.len() > limits::VALUE_BYTES || name.chars().any(char::is_control) {
            findings.error(pointer.to_string(), bad_text(name));
        } else if text.len() > limits::VALUE_BYTES || text.chars().any(char::is_control) {
            findings.error(format!("{pointer}/{}/{kind}", escape(name)), bad_text(text));
        }
    }
}

fn bad_text(text: &str) -> String {
    format!(
        "{} cannot be compared with: write at most {} bytes without control characters",
        quoted(text),
        limits::VALUE_BYTES
    )
}
