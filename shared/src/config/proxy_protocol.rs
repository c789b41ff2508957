use serde::{Deserialize, Serialize};

use super::is_default;
use crate::value::Cidr;

/// Whether the connections of a listener begin with a header of the PROXY protocol, in version 1 or 2.
///
/// The address that the header gives is then the peer's, for trusted proxies, rules, limits and log alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"mode": "require", "sources": ["10.0.0.0/28"]}))))]
#[serde(default, deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Which connections have one.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: ProxyProtocolMode,
    /// Peers whose headers are believed: balancers in front of this proxy. A list of its own, since a balancer that passes bytes on says
    /// nothing about the truth of `X-Forwarded-For` in them, as a trusted proxy does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Cidr>,
}

/// Which connections of a listener begin with a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProxyProtocolMode {
    /// None.
    #[default]
    Off,
    /// Those of `sources` may; all others speak HTTP at once.
    Accept,
    /// All must: a connection from another peer, or without a header, is closed.
    Require,
}

/// A version of the PROXY protocol that backends are greeted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProxyProtocolVersion {
    /// A line of text.
    V1,
    /// Binary, with the additional fields that a balancer in front gave.
    V2,
}
