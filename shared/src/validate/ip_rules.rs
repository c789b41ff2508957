use hashbrown::HashMap;

use super::{References, at_most, limits, unique_names};
use crate::{
    Findings,
    config::{IpRule, IpRuleAction, Named},
    value::Timestamp,
};

pub(super) fn check(rules: &[IpRule], references: &References, now: Timestamp, findings: &mut Findings) {
    at_most(limits::IP_RULES, rules.len(), "/ip_rules", findings);
    unique_names(rules.iter().map(Named::name), "/ip_rules", findings);
    for (index, rule) in rules.iter().enumerate() {
        if let Some(route) = &rule.route
            && !references.routes.contains(route)
        {
            findings.error(
                format!("/ip_rules/{index}/route"),
                format!("there is no route \"{route}\": name an existing one, or leave it out to act everywhere"),
            );
        }
        let chars = rule.comment.chars().count();
        if chars > limits::COMMENT_CHARS || rule.comment.chars().any(char::is_control) {
            findings.error(
                format!("/ip_rules/{index}/comment"),
                format!(
                    "a comment has at most {} characters (this one {chars}) and no control characters such as line \
                     breaks",
                    limits::COMMENT_CHARS
                ),
            );
        }
        if let Some(expires_at) = rule.expires_at
            && expires_at <= now
        {
            findings.warning(
                format!("/ip_rules/{index}/expires_at"),
                format!("the rule has expired at {expires_at} and no longer acts"),
            );
        }
    }
    check_contradictions(rules, now, findings);
}

/// Reports an allow rule for a range that another rule of its scope denies: deny wins.
fn check_contradictions(rules: &[IpRule], now: Timestamp, findings: &mut Findings) {
    let acts = |rule: &&IpRule| rule.expires_at.is_none_or(|expires_at| expires_at > now);
    let denied: HashMap<_, _> = (rules.iter().enumerate().rev())
        .filter(|(_, rule)| rule.action == IpRuleAction::Deny && acts(rule))
        .map(|(index, rule)| ((&rule.route, rule.cidr), index))
        .collect();
    for (index, rule) in rules.iter().enumerate() {
        if rule.action == IpRuleAction::Allow
            && acts(&rule)
            && let Some(deny) = denied.get(&(&rule.route, rule.cidr))
        {
            findings.warning(
                format!("/ip_rules/{index}/action"),
                format!("the rule has no effect: /ip_rules/{deny} denies the same range {}, and deny wins", rule.cidr),
            );
        }
    }
}
