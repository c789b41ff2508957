use std::{collections::HashMap, net::IpAddr};

use prefix_trie::PrefixMap;
use shared::{
    config::{IpRule, IpRuleAction},
    value::{Name, Timestamp},
};

/// The IP rules of one scope. The longest prefix decides, `deny` wins a tie, no match means allowed.
#[derive(Default)]
pub(crate) struct IpRules {
    v4: PrefixMap<ipnet::Ipv4Net, Decision>,
    v6: PrefixMap<ipnet::Ipv6Net, Decision>,
    /// As of most scopes: then there is nothing to look up.
    has_rules: bool,
}

/// What the rules of one range say. Each action holds until its own moment; `None` says nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Decision {
    allow: Option<Until>,
    deny: Option<Until>,
}

/// Until when a rule acts, in Unix milliseconds.
type Until = i64;

/// Whether a client may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may.
    Allowed,
    /// A rule keeps it out.
    Denied,
}

impl IpRules {
    /// The rules by scope: `None` is everywhere.
    pub(crate) fn by_scope(rules: &[IpRule]) -> HashMap<Option<Name>, Self> {
        let mut scopes: HashMap<Option<Name>, Self> = HashMap::new();
        for rule in rules {
            scopes.entry(rule.route.clone()).or_default().add(rule);
        }
        scopes
    }

    fn add(&mut self, rule: &IpRule) {
        self.has_rules = true;
        let decision = match rule.cidr.net() {
            ipnet::IpNet::V4(net) => self.v4.entry(net).or_default(),
            ipnet::IpNet::V6(net) => self.v6.entry(net).or_default(),
        };
        let until = match rule.action {
            IpRuleAction::Allow => &mut decision.allow,
            IpRuleAction::Deny => &mut decision.deny,
        };
        *until = (*until).max(Some(rule.expires_at.map_or(Until::MAX, Timestamp::as_millis)));
    }

    /// Whether `client` may come in now; `now` is asked for only if a rule names the client.
    pub(crate) fn verdict(&self, client: IpAddr, now: impl Fn() -> Timestamp) -> Verdict {
        if !self.has_rules {
            return Verdict::Allowed;
        }
        let decide = |verdict: Verdict, decision: &Decision| {
            let now = now().as_millis();
            let acts = |until: Option<Until>| until.is_some_and(|until| now < until);
            match (acts(decision.deny), acts(decision.allow)) {
                (true, _) => Verdict::Denied,
                (false, true) => Verdict::Allowed,
                // Expired rules leave the decision to the shorter prefix.
                (false, false) => verdict,
            }
        };
        // `cover` goes from the shortest prefix to the longest: the last that acts decides.
        match client {
            IpAddr::V4(v4) => {
                self.v4.cover(&v4.into()).fold(Verdict::Allowed, |verdict, (_, rule)| decide(verdict, rule))
            }
            IpAddr::V6(v6) => {
                self.v6.cover(&v6.into()).fold(Verdict::Allowed, |verdict, (_, rule)| decide(verdict, rule))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides_and_deny_wins_a_tie() {
        let yaml = "ip_rules:
  - { action: deny, cidr: 10.0.0.0/8 }
  - { action: allow, cidr: 10.1.0.0/16 }
  - { action: deny, cidr: 10.1.1.1 }
  - { name: tie-a, action: allow, cidr: 10.2.0.0/16 }
  - { name: tie-d, action: deny, cidr: 10.2.0.0/16 }
  - { action: deny, cidr: 10.1.2.0/24, expires_at: 2020-01-01T00:00:00Z }
  - { name: old, action: deny, cidr: 10.1.3.0/24, expires_at: 2020-01-01T00:00:00Z }
  - { name: new, action: deny, cidr: 10.1.3.0/24 }
  - { action: deny, cidr: '2001:db8::/32' }
  - { route: r, action: deny, cidr: 0.0.0.0/0 }";
        let config = shared::document::read_config(yaml).unwrap();
        let scopes = IpRules::by_scope(&config.ip_rules);
        let global = &scopes[&None];
        for (client, verdict) in [
            ("9.9.9.9", Verdict::Allowed),
            ("10.9.9.9", Verdict::Denied),
            ("10.1.9.9", Verdict::Allowed),
            ("10.1.1.1", Verdict::Denied),
            ("10.2.0.1", Verdict::Denied),
            ("10.1.2.1", Verdict::Allowed),
            ("10.1.3.1", Verdict::Denied),
            ("2001:db8::1", Verdict::Denied),
            ("2001:db9::1", Verdict::Allowed),
        ] {
            assert_eq!(global.verdict(client.parse().unwrap(), Timestamp::now), verdict, "{client}");
        }
        let route = &scopes[&Some("r".parse().unwrap())];
        assert_eq!(route.verdict("9.9.9.9".parse().unwrap(), Timestamp::now), Verdict::Denied);
    }

    #[test]
    fn a_rule_stops_at_its_moment_without_a_revision() {
        let rule = r#"{"ip_rules":[{"action":"deny","cidr":"10.0.0.0/8","expires_at":"2030-01-01T00:00:00Z"}]}"#;
        let rules = IpRules::by_scope(&shared::document::read_config(rule).unwrap().ip_rules).remove(&None).unwrap();
        let at = |time: &'static str| rules.verdict("10.0.0.1".parse().unwrap(), || time.parse().unwrap());
        assert_eq!(at("2029-12-31T23:59:59.999Z"), Verdict::Denied);
        assert_eq!(at("2030-01-01T00:00:00Z"), Verdict::Allowed);
    }
}
