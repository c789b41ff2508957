use serde::{Deserialize, Serialize};

use super::is_default;

/// What a listener makes of the fields in which proxies tell who the client is, and which way a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"x_forwarded_port": "append", "forwarded": "append"}), json!({"client": "forwarded", "x_forwarded_for": "drop", "via": "replace"}))))]
#[serde(default, deny_unknown_fields)]
pub struct Forwarding {
    /// In which field trusted proxies name the client.
    #[serde(skip_serializing_if = "is_default")]
    pub client: ClientField,
    /// `X-Forwarded-For`: the client, and behind it the proxies that the request came by. `append` unless said otherwise.
    #[serde(skip_serializing_if = "is_append")]
    pub x_forwarded_for: ForwardingMode,
    /// `X-Forwarded-Proto`: the scheme by which the client came. `append` unless said otherwise.
    #[serde(skip_serializing_if = "is_append")]
    pub x_forwarded_proto: ForwardingMode,
    /// `X-Forwarded-Host`: the host that the client asked for. `append` unless said otherwise.
    #[serde(skip_serializing_if = "is_append")]
    pub x_forwarded_host: ForwardingMode,
    /// `X-Forwarded-Port`: the port that the client connected to. `keep` unless said otherwise.
    #[serde(skip_serializing_if = "is_keep")]
    pub x_forwarded_port: ForwardingMode,
    /// `Forwarded` (RFC 7239): all of that in one field. `keep` unless said otherwise.
    #[serde(skip_serializing_if = "is_keep")]
    pub forwarded: ForwardingMode,
    /// `Via` of requests, for which every peer is believed. `append` unless said otherwise, as RFC 9110 §7.6.3 asks.
    #[serde(skip_serializing_if = "is_append")]
    pub via: ForwardingMode,
    /// `Via` of responses, for which every backend is believed. `keep` unless said otherwise.
    #[serde(skip_serializing_if = "is_keep")]
    pub response_via: ForwardingMode,
}

impl Default for Forwarding {
    fn default() -> Self {
        Self {
            client: ClientField::default(),
            x_forwarded_for: ForwardingMode::Append,
            x_forwarded_proto: ForwardingMode::Append,
            x_forwarded_host: ForwardingMode::Append,
            x_forwarded_port: ForwardingMode::Keep,
            forwarded: ForwardingMode::Keep,
            via: ForwardingMode::Append,
            response_via: ForwardingMode::Keep,
        }
    }
}

/// What becomes of such a field. From a peer that is not trusted none is ever passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ForwardingMode {
    /// What a trusted peer says is kept and this proxy adds what it knows; where there can be only one value, the peer's counts.
    Append,
    /// Only what this proxy knows.
    Replace,
    /// What a trusted peer says is passed on as it is, and nothing is added.
    Keep,
    /// Nothing is passed on or written.
    Drop,
}

impl ForwardingMode {
    /// Whether what came is passed on.
    pub fn keeps(self) -> bool {
        matches!(self, Self::Append | Self::Keep)
    }

    /// Whether this proxy writes what it knows.
    pub fn writes(self) -> bool {
        matches!(self, Self::Append | Self::Replace)
    }
}

/// In which field trusted proxies name the client. Only that one is read: a proxy passes the other one on as its client wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientField {
    /// `X-Forwarded-For`, with the scheme in `X-Forwarded-Proto` and the host in `X-Forwarded-Host`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), with the scheme in its `proto`.
    Forwarded,
}

fn is_append(mode: &ForwardingMode) -> bool {
    *mode == ForwardingMode::Append
}

fn is_keep(mode: &ForwardingMode) -> bool {
    *mode == ForwardingMode::Keep
}
