//! What a route does with a request.

use std::fmt::Display;

use super::{
    super::{References, at_most, limits},
    fields, redirect, split,
    template::{self, Groups, Place},
};
use crate::{
    Findings,
    config::{
        Action, Forward, HeaderRules, Respond, ResponseHeaderRules, Retries, Rewrite, Route, RouteLimits, SplitBy,
    },
    value::Name,
};

pub(super) fn check(route: &Route, pointer: &str, references: &References, findings: &mut Findings) {
    match &route.action {
        Action::Forward(Forward { upstream }) => {
            check_upstream(upstream, format_args!("{pointer}/action/forward/upstream"), references, findings);
        }
        Action::Split(targets) => split::check(targets, &format!("{pointer}/action/split"), references, findings),
        Action::Redirect(to) => {
            redirect::check(to, &Groups::of_match(&route.matches), &format!("{pointer}/action/redirect"), findings);
        }
        Action::Respond(respond) => {
            check_respond(respond, &Groups::of_match(&route.matches), &format!("{pointer}/action/respond"), findings);
        }
    }
    if route.split_by != SplitBy::default() && !matches!(route.action, Action::Split(_)) {
        findings.warning(format!("{pointer}/split_by"), "never acts: the action is no split");
    }
    if let SplitBy::Cookie(cookie) = &route.split_by {
        split::check_cookie(cookie, route, &format!("{pointer}/split_by/cookie"), references, findings);
    }
    let allow = &route.maintenance.allow;
    at_most(limits::CLIENT_CIDRS_PER_ROUTE, allow.len(), format_args!("{pointer}/maintenance/allow"), findings);
    if route.grpc_web {
        check_grpc_web(route, pointer, references, findings);
    }
    if route.action.upstreams().next().is_none() {
        // Every field of a route that is for requests that go to a backend.
        for (field, is_used) in [
            ("grpc_web", route.grpc_web),
            ("limits", route.limits != RouteLimits::default()),
            ("retries", route.retries != Retries::default()),
            ("fallback", route.fallback.is_some()),
            ("rewrite", route.rewrite != Rewrite::default()),
            ("request_headers", route.request_headers != HeaderRules::default()),
            ("response_headers", route.response_headers != ResponseHeaderRules::default()),
            ("errors/replace_backend", route.errors.replace_backend),
        ] {
            if is_used {
                findings.warning(
                    format!("{pointer}/{field}"),
                    "never acts: the proxy answers this route itself, and nothing goes to a backend",
                );
            }
        }
    }
}

/// Reports an upstream that does not exist.
pub(super) fn check_upstream(upstream: &Name, pointer: impl Display, references: &References, findings: &mut Findings) {
    if !references.upstreams.contains(upstream) {
        findings.error(
            pointer.to_string(),
            format!("there is no upstream \"{upstream}\": create it first, or name an existing one"),
        );
    }
}

fn check_grpc_web(route: &Route, pointer: &str, references: &References, findings: &mut Findings) {
    let mut upstreams = route.upstreams();
    let speaks_http1 =
        |upstream: &&Name| references.upstreams.contains(*upstream) && !references.h2_upstreams.contains(*upstream);
    if let Some(upstream) = upstreams.find(speaks_http1) {
        findings.error(
            format!("{pointer}/grpc_web"),
            format!(
                "gRPC needs HTTP/2, and the upstream \"{upstream}\" speaks HTTP/1.1: set its protocol to h2c, or leave \
                 grpc_web out"
            ),
        );
    }
}

/// Reports what is wrong with a fixed answer.
pub(super) fn check_respond(respond: &Respond, groups: &Groups<'_>, pointer: &str, findings: &mut Findings) {
    let Respond { status, headers, body } = respond;
    if !(200..=599).contains(status) {
        findings.error(
            format!("{pointer}/status"),
            format!("{status} is not the status of an answer: write one from 200 to 599"),
        );
    }
    if matches!(status, 204 | 205 | 304) && !body.is_empty() {
        findings.error(
            format!("{pointer}/body"),
            format!("an answer with status {status} has no body: leave it out, or choose another status"),
        );
    }
    if body.len() > limits::RESPOND_BODY_BYTES {
        findings.error(
            format!("{pointer}/body"),
            format!("{} bytes are too many: at most {} are allowed here", body.len(), limits::RESPOND_BODY_BYTES),
        );
    }
    let pointer = format!("{pointer}/headers");
    at_most(limits::HEADER_RULES, headers.len(), &pointer, findings);
    for (name, value) in headers {
        let pointer = format!("{pointer}/{}", crate::document::escape(name.as_str()));
        fields::check_name(name, fields::Message::Response, &pointer, findings);
        fields::check_value(value, &pointer, findings);
        template::check(value, Place::Answer, groups, &pointer, findings);
    }
}
