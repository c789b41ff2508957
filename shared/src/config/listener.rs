use serde::{Deserialize, Serialize};

use super::{Named, is_default};
use crate::value::{Cidr, ListenAddress, Name};

/// A bound address that takes HTTP/1.1 connections, and HTTP/2 ones where it is told to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Unique among listeners.
    pub name: Name,
    /// Where it is bound. Two listeners cannot share an address.
    pub address: ListenAddress,
    /// Peers whose `X-Forwarded-*` fields are believed: other proxies in front of this one.
    ///
    /// The client address is then found in `X-Forwarded-For` from right to left, past every trusted address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<Cidr>,
    /// Whether a connection may begin with HTTP/2 at once, without TLS (prior knowledge, RFC 9113 §3.3). Otherwise it is
    /// answered 505 `version_unsupported`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_h2c: bool,
}

impl Named for Listener {
    fn name(&self) -> Name {
        self.name.clone()
    }
}
