//! Splits among upstreams.

use super::{
    super::{References, at_most, limits, sticky},
    action, check_values,
};
use crate::{
    Findings,
    config::{Route, SplitCookie, SplitTarget, SplitWhen},
    document::escape,
    value::{FieldName, Name, quoted},
};

pub(super) fn check(targets: &[SplitTarget], pointer: &str, references: &References, findings: &mut Findings) {
    at_most(limits::SPLIT_TARGETS, targets.len(), pointer, findings);
    if targets.is_empty() {
        findings.error(pointer, "a split among no upstreams: name at least one");
    } else if targets.iter().all(|target| target.weight.get() == 0) {
        findings
            .warning(pointer, "all weights are 0: a request that no `when` sends anywhere is answered 503 no_backend");
    }
    for (index, target) in targets.iter().enumerate() {
        let SplitTarget { upstream, weight: _, when } = target;
        let pointer = format!("{pointer}/{index}");
        action::check_upstream(upstream, format_args!("{pointer}/upstream"), references, findings);
        let SplitWhen { headers, cookies } = when;
        for (kind, len) in [("headers", headers.len()), ("cookies", cookies.len())] {
            at_most(limits::FIELDS_PER_ROUTE, len, format_args!("{pointer}/when/{kind}"), findings);
        }
        check_values(headers, format_args!("{pointer}/when/headers"), findings);
        check_values(cookies, format_args!("{pointer}/when/cookies"), findings);
        // What a cookie's name is made of is what a header's is made of (RFC 6265 §4.1.1).
        for name in cookies.keys().filter(|name| name.parse::<FieldName>().is_err()) {
            findings.error(
                format!("{pointer}/when/cookies/{}", escape(name)),
                format!("{} is no name of a cookie: 1 to 128 letters, digits or !#$%&'*+-.^_`|~", quoted(name)),
            );
        }
    }
}

pub(super) fn check_cookie(
    cookie: &SplitCookie,
    route: &Route,
    pointer: &str,
    references: &References,
    findings: &mut Findings,
) {
    sticky::check(&cookie.as_sticky(), pointer, findings);
    let is_taken = |upstream: &&Name| references.session_cookies.get(upstream) == Some(&cookie.cookie.as_str());
    if let Some(upstream) = route.action.upstreams().find(is_taken) {
        findings.error(
            format!("{pointer}/cookie"),
            format!(
                "the sessions of the upstream \"{upstream}\" have a cookie of this name, too, and each would replace the other: \
                 choose another name"
            ),
        );
    }
}
