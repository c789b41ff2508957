//! Which variables a template may name where it stands.

use std::fmt::Display;

use crate::{
    Findings,
    config::{PathMatch, RouteMatch},
    value::{Pattern, Template, Variable, quoted},
};

/// Where a template stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the path that a request has for a backend.
    Path,
    /// In a parameter of the query that a request has for a backend.
    Parameter,
    /// In a request that goes to a backend.
    Request,
    /// In a response that came from a backend.
    Response,
    /// In an answer of the proxy's own, for which no backend is asked.
    Answer,
}

/// The groups of the regular expression that a template may name.
pub(super) struct Groups<'a> {
    pattern: Option<&'a Pattern>,
    /// What has it, or should have it, for messages.
    owner: &'static str,
}

impl<'a> Groups<'a> {
    /// Those of the path that `matches` asks for.
    pub(super) fn of_match(matches: &'a RouteMatch) -> Self {
        let pattern = match &matches.path {
            Some(PathMatch::Regex(pattern)) => Some(pattern),
            _ => None,
        };
        Self { pattern, owner: "the route's match.path.regex" }
    }

    /// Those of the regular expression of a rewrite.
    pub(super) fn of_rewrite(pattern: &'a Pattern) -> Self {
        Self { pattern: Some(pattern), owner: "the pattern" }
    }

    fn has(&self, group: &str) -> bool {
        let Some(pattern) = self.pattern else { return false };
        let regex = pattern.compile_whole();
        match group.parse::<usize>() {
            Ok(index) => index < regex.captures_len(),
            Err(_) => regex.capture_names().flatten().any(|name| name == group),
        }
    }
}

/// Reports variables that have no value where `template` stands.
pub(super) fn check(
    template: &Template,
    place: Place,
    groups: &Groups<'_>,
    pointer: impl Display,
    findings: &mut Findings,
) {
    for variable in template.variables() {
        let problem = match (variable, place) {
            (Variable::Upstream | Variable::Backend, Place::Answer) => {
                "is not known here: the proxy answers itself, and no backend is chosen".to_owned()
            }
            (Variable::Status, Place::Answer | Place::Request | Place::Path | Place::Parameter) => {
                "is known only in response_headers, when a backend has answered".to_owned()
            }
            (Variable::Query | Variable::Uri, Place::Path) => {
                "has no place in a path: the query stays as it is, or is changed by rewrite.query".to_owned()
            }
            (Variable::Capture(group), _) if !groups.has(group) => {
                let owner = groups.owner;
                format!("is not known here: {owner} has no group {}", quoted(group))
            }
            _ => continue,
        };
        findings.error(pointer.to_string(), format!("the variable {{{variable}}} {problem}"));
    }
}
