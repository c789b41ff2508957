//! Splits among upstreams.

use super::{
    super::{References, at_most, limits},
    action, check_values,
};
use crate::{
    Findings,
    config::{SplitTarget, SplitWhen},
    document::escape,
    value::{FieldName, quoted},
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
