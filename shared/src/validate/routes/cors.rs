//! Which pages of other origins may use a route.

use super::super::{at_most, limits};
use crate::{
    Findings,
    config::{Cors, Route},
    value::OriginPattern,
};

pub(super) fn check(route: &Route, pointer: &str, findings: &mut Findings) {
    let Some(cors) = &route.cors else { return };
    // Every field is named, so that a new one is not forgotten here.
    let Cors {
        allow_origins,
        allow_origin_regex,
        allow_credentials,
        allow_methods,
        allow_headers,
        expose_headers,
        max_age,
    } = cors;
    let route_pointer = pointer;
    let pointer = format!("{pointer}/cors");
    for (field, len) in [
        ("allow_origins", allow_origins.len()),
        ("allow_origin_regex", allow_origin_regex.len()),
        ("allow_methods", allow_methods.len()),
        ("allow_headers", allow_headers.len()),
        ("expose_headers", expose_headers.len()),
    ] {
        at_most(limits::CORS_ENTRIES, len, format_args!("{pointer}/{field}"), findings);
    }
    if allow_origins.is_empty() && allow_origin_regex.is_empty() {
        findings.warning(&pointer, "lets no origin in: write allow_origins or allow_origin_regex");
    }
    for (index, origin) in allow_origins.iter().enumerate().filter(|_| *allow_credentials) {
        let pointer = format!("{pointer}/allow_origins/{index}");
        match origin {
            OriginPattern::Any => findings.error(
                pointer,
                "\"*\" does not go with allow_credentials: every page in the world could act for whoever looks at it. Name the \
                 origins, or leave allow_credentials out",
            ),
            OriginPattern::Null => findings.warning(
                pointer,
                "\"null\" with allow_credentials lets in every page that runs itself in a sandbox: name the origins instead",
            ),
            OriginPattern::Exact(_) | OriginPattern::Below { .. } => {}
        }
    }
    if max_age.is_some_and(|age| age > limits::CORS_MAX_AGE) {
        findings.error(
            format!("{pointer}/max_age"),
            format!("is longer than any browser remembers: write at most \"{}\"", limits::CORS_MAX_AGE),
        );
    }
    let methods = &route.matches.methods;
    if !methods.is_empty() && !methods.iter().any(|method| method.as_str() == "OPTIONS") {
        findings.warning(
            format!("{route_pointer}/match/methods"),
            "without OPTIONS no preflight comes to this route, and `cors` answers none: add it, or leave methods out",
        );
    }
    for (kind, rules) in [("set", &route.response_headers.set), ("add", &route.response_headers.add)] {
        if let Some(name) = rules.keys().find(|name| name.as_str().starts_with("access-control-")) {
            findings.warning(
                format!("{route_pointer}/response_headers/{kind}/{name}"),
                "contradicts `cors`, which writes the fields for CORS: leave one of them out",
            );
        }
    }
}
