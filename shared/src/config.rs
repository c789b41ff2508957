//! The configuration: plain data, the one definition behind REST bodies, files, stored rows and snapshots.
//!
//! All types deny unknown fields and leave out what is at its default when they are written, so a data plane of an
//! older schema only ever meets a field it does not know when that field is meant to act, and then refuses it.

mod balance;
mod breaker;
mod dns;
mod errors;
mod forwarding;
mod health_check;
mod ip_rule;
mod listener;
mod pool;
mod proxy_protocol;
mod retry_budget;
mod route;
mod settings;
mod sticky;
mod upstream;

use serde::{Deserialize, Serialize};

pub use balance::{Balance, BalancePolicy, Hash, HashFallback, HashKey};
pub use breaker::{Breaker, BreakerOverride, SlidingWindowType};
pub use dns::Dns;
pub use errors::{ErrorFormat, ErrorPage, ErrorPages, RouteErrors};
pub use forwarding::{ClientField, Forwarding, ForwardingMode};
pub use health_check::{FirstState, GrpcCheck, HealthCheck, HttpCheck, TcpCheck};
pub use ip_rule::{IpRule, IpRuleAction};
pub use listener::{EncodedSlashes, Listener, ListenerLimits, ListenerTimeouts, PathStyle};
pub use pool::Pool;
pub use proxy_protocol::{ProxyProtocol, ProxyProtocolMode, ProxyProtocolVersion};
pub use retry_budget::RetryBudget;
pub use route::{
    Action, Backoff, Cors, Fallback, Forward, HeaderRules, Maintenance, PathMatch, PathRewrite, QueryRewrite, Redirect,
    RegexRewrite, ReplacePrefix, Respond, ResponseHeaderRules, Retries, Rewrite, Route, RouteLimits, RouteMatch,
    RouteTimeouts, SecurityHeaders, SplitBy, SplitCookie, SplitTarget, SplitWhen, ValueMatch,
};
pub use settings::{AccessLog, AccessLogFormat, RequestId, Settings};
pub use sticky::{CookieSecure, SameSite, Sticky};
pub use upstream::{Backend, Upstream, UpstreamProtocol, Weight};

use crate::value::{ByteSize, Name, TimeSpan};

/// The number of the configuration schema; a data plane names the one it knows in its hello.
pub const SCHEMA: u32 = 1;

/// A whole configuration: what a file holds, what one revision is, and what a snapshot carries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Bound addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Listener>,
    /// Groups of backends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<Upstream>,
    /// What to do with which request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Which clients may come in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_rules: Vec<IpRule>,
    /// What holds for everything.
    #[serde(default, skip_serializing_if = "is_default")]
    pub settings: Settings,
}

/// A configuration resource with a name of its own.
pub trait Named {
    /// The name, unique within the resource's kind (backends: within their upstream).
    fn name(&self) -> Name;
}

impl Config {
    /// Brings the configuration into its canonical form: derived names filled in, every list in order of names.
    ///
    /// Two configurations that mean the same have the same canonical form, and so the same hash.
    pub fn canonicalize(&mut self) {
        for rule in &mut self.ip_rules {
            rule.name = Some(rule.name());
        }
        for upstream in &mut self.upstreams {
            upstream.backends.sort_by(|a, b| a.name.cmp(&b.name));
        }
        self.listeners.sort_by(|a, b| a.name.cmp(&b.name));
        self.upstreams.sort_by(|a, b| a.name.cmp(&b.name));
        self.routes.sort_by(|a, b| a.name.cmp(&b.name));
        self.ip_rules.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

/// For `skip_serializing_if`: whether a field may be left out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// For `skip_serializing_if`: whether a number is at its default.
pub(crate) fn is<const DEFAULT: u64, T: Copy + Into<u64>>(value: &T) -> bool {
    (*value).into() == DEFAULT
}

/// For `skip_serializing_if`: whether a span is at its default.
pub(crate) fn is_millis<const DEFAULT: u64>(value: &TimeSpan) -> bool {
    *value == TimeSpan::from_millis(DEFAULT)
}

/// For `skip_serializing_if`: whether a size is at its default.
pub(crate) fn is_bytes<const DEFAULT: u64>(size: &ByteSize) -> bool {
    size.bytes() == DEFAULT
}

/// For `serde(default)` and its counterpart on switches that are on unless said otherwise.
pub(crate) fn yes() -> bool {
    true
}

pub(crate) fn is_true(value: &bool) -> bool {
    *value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_left_out_and_unknown_fields_refused() {
        let route: Route = serde_json::from_str(r#"{"name":"a","action":{"forward":{"upstream":"u"}}}"#).unwrap();
        let text = serde_json::to_string(&route).unwrap();
        assert_eq!(text, r#"{"name":"a","action":{"forward":{"upstream":"u"}}}"#);
        assert_eq!(serde_json::to_string(&Config::default()).unwrap(), "{}");
        for body in [
            r#"{"name":"a","action":{"forward":{"upstream":"u"}},"x":1}"#,
            r#"{"name":"a","action":{"forward":{"upstream":"u","x":1}}}"#,
            r#"{"name":"a","action":{}}"#,
            r#"{"name":"a"}"#,
        ] {
            assert!(serde_json::from_str::<Route>(body).is_err(), "{body}");
        }
    }

    #[test]
    fn the_canonical_form_does_not_depend_on_order() {
        let parse = |text: &str| {
            let mut config: Config = serde_json::from_str(text).unwrap();
            config.canonicalize();
            serde_json::to_string(&config).unwrap()
        };
        let a = parse(
            r#"{"upstreams":[{"name":"b","backends":[{"name":"y","address":"unix:/y"},{"name":"x","address":"unix:/x"}]},{"name":"a"}],
                "ip_rules":[{"action":"deny","cidr":"10.0.0.0/8"},{"name":"a","action":"allow","cidr":"10.0.0.1"}]}"#,
        );
        let b = parse(
            r#"{"upstreams":[{"name":"a"},{"name":"b","backends":[{"name":"x","address":"unix:/x"},{"name":"y","address":"unix:/y"}]}],
                "ip_rules":[{"name":"a","action":"allow","cidr":"10.0.0.1/32"},{"action":"deny","cidr":"10.0.0.0/8"}]}"#,
        );
        assert_eq!(a, b);
        assert!(a.contains(r#""name":"deny-10.0.0.0-8""#), "{a}");
    }
}
