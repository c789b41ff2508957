use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Named;
use crate::value::{Cidr, Name, Timestamp};

/// Lets a range of client addresses in or keeps it out.
///
/// In a scope (everywhere, or one route) the longest prefix decides, `deny` wins a tie, and an address that no rule
/// names is allowed. A request must pass both the rules for everywhere and those of its route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"action": "deny", "cidr": "203.0.113.0/24", "comment": "scanner", "expires_at": "2027-01-01T00:00:00Z"}), json!({"route": "shop", "action": "allow", "cidr": "198.51.100.0/24"}))))]
#[serde(deny_unknown_fields)]
pub struct IpRule {
    /// Left out, it is derived from scope, action and range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The route that the rule holds for; left out, it holds everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Name>,
    /// What happens to a client in the range.
    pub action: IpRuleAction,
    /// The range of client addresses.
    pub cidr: Cidr,
    /// For people; at most 500 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// From this moment on the rule no longer acts, by the data plane's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What an IP rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IpRuleAction {
    /// Lets the client in.
    Allow,
    /// Answers 403 `ip_denied`.
    Deny,
}

impl Named for IpRule {
    fn name(&self) -> Name {
        self.name.clone().unwrap_or_else(|| self.derived_name())
    }
}

impl IpRule {
    /// `[route-]action-cidr`, with what a name may not hold replaced by `-`; too long, the end is a digest of the whole.
    fn derived_name(&self) -> Name {
        let action = match self.action {
            IpRuleAction::Allow => "allow",
            IpRuleAction::Deny => "deny",
        };
        let scope = self.route.as_ref().map(|route| format!("{route}-")).unwrap_or_default();
        let mut text = format!("{scope}{action}-{}", self.cidr).replace([':', '/'], "-");
        if text.len() > Name::MAX_LEN {
            let digest = Sha256::digest(text.as_bytes());
            let short: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            text.truncate(Name::MAX_LEN - 13);
            text = format!("{text}-{short}");
        }
        text.parse().expect("a route's name, a word and an address in name characters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(route: Option<&str>, cidr: &str) -> Name {
        IpRule {
            name: None,
            route: route.map(|route| route.parse().unwrap()),
            action: IpRuleAction::Deny,
            cidr: cidr.parse().unwrap(),
            comment: String::new(),
            expires_at: None,
        }
        .name()
    }

    #[test]
    fn names_are_derived_from_scope_action_and_range() {
        assert_eq!(rule(None, "203.0.113.0/24").as_str(), "deny-203.0.113.0-24");
        assert_eq!(rule(Some("shop"), "::/0").as_str(), "shop-deny----0");
        let long = "r".repeat(63);
        let (a, b) = (rule(Some(&long), "10.0.0.0/8"), rule(Some(&long), "10.0.0.0/9"));
        assert_eq!(a.as_str().len(), 63);
        assert_ne!(a, b);
    }
}
