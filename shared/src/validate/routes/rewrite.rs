//! What is made of path and query.

use std::collections::BTreeMap;

use super::{
    super::{at_most, limits},
    check_path,
    template::{self, Groups, Place},
};
use crate::{
    Findings,
    config::{PathMatch, PathRewrite, QueryRewrite, Route},
    document::escape,
    routing::path,
    value::{AbsolutePath, Part, Template, Variable, quoted},
};

pub(super) fn check(route: &Route, pointer: &str, findings: &mut Findings) {
    let pointer = format!("{pointer}/rewrite");
    let groups = Groups::of_match(&route.matches);
    if let Some(rewrite) = &route.rewrite.path {
        check_path_rewrite(rewrite, route, &groups, &format!("{pointer}/path"), findings);
    }
    check_query(&route.rewrite.query, &groups, &format!("{pointer}/query"), findings);
}

fn check_path_rewrite(
    rewrite: &PathRewrite,
    route: &Route,
    groups: &Groups<'_>,
    pointer: &str,
    findings: &mut Findings,
) {
    match rewrite {
        PathRewrite::StripPrefix(prefix) => check_prefix(prefix, route, format!("{pointer}/strip_prefix"), findings),
        PathRewrite::ReplacePrefix(prefix) => {
            check_prefix(&prefix.from, route, format!("{pointer}/replace_prefix/from"), findings);
            check_path(prefix.to.as_str(), format_args!("{pointer}/replace_prefix/to"), findings);
        }
        PathRewrite::Regex(regex) => {
            let groups = Groups::of_rewrite(&regex.pattern);
            check_target(&regex.to, &groups, &format!("{pointer}/regex/to"), findings);
        }
        PathRewrite::To(to) => check_target(to, groups, &format!("{pointer}/to"), findings),
    }
}

/// Reports a prefix that no path of the route can have.
fn check_prefix(prefix: &AbsolutePath, route: &Route, pointer: String, findings: &mut Findings) {
    check_path(prefix.as_str(), &pointer, findings);
    let has_prefix = match &route.matches.path {
        Some(PathMatch::Exact(path)) => is_below(path.as_str(), prefix.as_str()),
        // A longer one is a part of the paths that the route is for.
        Some(PathMatch::Prefix(path)) => {
            is_below(path.as_str(), prefix.as_str()) || is_below(prefix.as_str(), path.as_str())
        }
        Some(PathMatch::Regex(_)) | None => true,
    };
    let is_canonical = path::canonicalize(prefix.as_str().as_bytes()).is_ok_and(|path| path == prefix.as_str());
    if is_canonical && !has_prefix {
        findings.warning(
            pointer,
            format!("never acts: no path that the route is for begins with the segments {}", quoted(prefix.as_str())),
        );
    }
}

/// Whether `path` begins with the segments of `prefix`.
fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reports a new path that is none whatever the variables say.
fn check_target(to: &Template, groups: &Groups<'_>, pointer: &str, findings: &mut Findings) {
    template::check(to, Place::Path, groups, pointer, findings);
    if let Some(text) = to.as_text() {
        return check_path(text, pointer, findings);
    }
    // Groups may bring the slash with which a path begins.
    let begins = match to.parts().first() {
        Some(Part::Text(text)) => text.starts_with('/'),
        Some(Part::Variable(variable)) => matches!(variable, Variable::Path | Variable::Capture(_)),
        None => false,
    };
    if !begins {
        findings.error(pointer, format!("{} is no path: write one that begins with '/'", quoted(&to.to_string())));
    }
    for part in to.parts() {
        let Part::Text(text) = part else { continue };
        let has_dots = text.split('/').any(|segment| matches!(segment, "." | ".."));
        match path::canonicalize(format!("/{text}").as_bytes()) {
            Ok(_) if !has_dots => {}
            Ok(_) => findings.error(pointer, format!("{} has a dot segment, which no path keeps", quoted(text))),
            Err(error) => findings.error(pointer, format!("{} cannot be a part of a path: {error}", quoted(text))),
        }
    }
}

fn check_query(rewrite: &QueryRewrite, groups: &Groups<'_>, pointer: &str, findings: &mut Findings) {
    // Every field is named, so that a new one is not forgotten here.
    let QueryRewrite { remove, set, add } = rewrite;
    at_most(limits::QUERY_RULES, remove.len(), format_args!("{pointer}/remove"), findings);
    for (index, name) in remove.iter().enumerate() {
        check_name(name, &format!("{pointer}/remove/{index}"), findings);
    }
    for (kind, values) in [("set", set), ("add", add)] {
        check_values(values, groups, &format!("{pointer}/{kind}"), findings);
    }
}

fn check_values(values: &BTreeMap<String, Template>, groups: &Groups<'_>, pointer: &str, findings: &mut Findings) {
    at_most(limits::QUERY_RULES, values.len(), pointer, findings);
    for (name, value) in values {
        let pointer = format!("{pointer}/{}", escape(name));
        check_name(name, &pointer, findings);
        template::check(value, Place::Parameter, groups, &pointer, findings);
    }
}

fn check_name(name: &str, pointer: &str, findings: &mut Findings) {
    if name.is_empty() || name.len() > limits::VALUE_BYTES || name.chars().any(char::is_control) {
        findings.error(
            pointer,
            format!(
                "{} is no name of a query parameter: write 1 to {} bytes without control characters",
                quoted(name),
                limits::VALUE_BYTES
            ),
        );
    }
}
