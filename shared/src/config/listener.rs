use serde::{Deserialize, Serialize};

use super::{Forwarding, Named, ProxyProtocol, is, is_bytes, is_default, is_millis, is_true, yes};
use crate::value::{ByteSize, Cidr, ListenAddress, Name, TimeSpan};

/// A bound address that takes HTTP/1.1 connections, and HTTP/2 ones where it is told to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"name": "web", "address": "0.0.0.0:8080", "trusted_proxies": ["10.1.0.0/16"], "proxy_protocol": {"mode": "accept", "sources": ["10.0.0.0/28"]}, "forwarding": {"x_forwarded_port": "append"}, "allow_h2c": true, "limits": {"connections_per_client": 100}}))))]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Unique among listeners.
    pub name: Name,
    /// Where it is bound. Two listeners cannot share an address.
    pub address: ListenAddress,
    /// Peers whose `X-Forwarded-*` fields, `Forwarded` and request ids are believed: other proxies in front of this one.
    ///
    /// The client address is then found in `X-Forwarded-For`, or in `Forwarded`, from right to left, past every trusted address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<Cidr>,
    /// What becomes of the fields that tell who the client is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub forwarding: Forwarding,
    /// Whether balancers in front of this proxy say by the PROXY protocol whose connection it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub proxy_protocol: ProxyProtocol,
    /// Whether a connection may begin with HTTP/2 at once, without TLS (prior knowledge, RFC 9113 §3.3). Otherwise it is
    /// answered 505 `version_unsupported`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_h2c: bool,
    /// How long clients may take.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: ListenerTimeouts,
    /// How much clients may send and hold open.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: ListenerLimits,
    /// What the canonical form of a path makes of slashes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paths: PathStyle,
}

impl Listener {
    /// A listener at `address` with all else at its default.
    pub fn new(name: Name, address: ListenAddress) -> Self {
        Self {
            name,
            address,
            trusted_proxies: Vec::new(),
            forwarding: Forwarding::default(),
            proxy_protocol: ProxyProtocol::default(),
            allow_h2c: false,
            timeouts: ListenerTimeouts::default(),
            limits: ListenerLimits::default(),
            paths: PathStyle::default(),
        }
    }
}

/// How long the clients of a listener may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"request_head": "10s", "keep_alive_idle": "60s"}))))]
#[serde(default, deny_unknown_fields)]
pub struct ListenerTimeouts {
    /// From the beginning of a connection until it may speak HTTP: for the header of the PROXY protocol, where one is taken; then
    /// it is closed. 10 s unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<10_000>")]
    pub handshake: TimeSpan,
    /// From the first byte of a request head to its last; then 408. 15 s unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<15_000>")]
    pub request_head: TimeSpan,
    /// How long a connection may lie idle before its first request and between requests. 75 s unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<75_000>")]
    pub keep_alive_idle: TimeSpan,
    /// How long a client that ended its side of the connection after a whole request may wait for the head of its response;
    /// then it counts as gone. 5 s unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<5_000>")]
    pub half_close_grace: TimeSpan,
    /// How long a client may be silent on an HTTP/2 connection on which requests are under way; then it is sent a PING. 25 s
    /// unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<25_000>")]
    pub ping_interval: TimeSpan,
    /// How long it may go on being silent after that; then it counts as gone. 25 s unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<25_000>")]
    pub ping_timeout: TimeSpan,
}

impl Default for ListenerTimeouts {
    fn default() -> Self {
        Self {
            handshake: TimeSpan::from_secs(10),
            request_head: TimeSpan::from_secs(15),
            keep_alive_idle: TimeSpan::from_secs(75),
            half_close_grace: TimeSpan::from_secs(5),
            ping_interval: TimeSpan::from_secs(25),
            ping_timeout: TimeSpan::from_secs(25),
        }
    }
}

/// How much the clients of a listener may send and hold open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"connections": 10000, "connections_per_client": 100, "body": "100MiB"}))))]
#[serde(default, deny_unknown_fields)]
pub struct ListenerLimits {
    /// Connections at a time; further ones wait in the listener's queue until one ends. One counts from its first bytes, or from when it
    /// has been silent for a second. No limit unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub connections: Option<u32>,
    /// Connections at a time from one client address (of IPv6, one /64), which is the peer's or the one that it says by the PROXY
    /// protocol; further ones are closed at once. Trusted proxies, and what balancers send for themselves, are not held to it. No
    /// limit unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub connections_per_client: Option<u32>,
    /// Requests on one connection, which is then closed. No limit unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub requests_per_connection: Option<u32>,
    /// Bytes of a request head, 1 KiB to 64 KiB; more is 431. 32 KiB unless said otherwise.
    #[serde(skip_serializing_if = "is_bytes::<32_768>")]
    pub head: ByteSize,
    /// Header fields of a request, 1 to 512; more is 431. 100 unless said otherwise.
    #[serde(skip_serializing_if = "is::<100, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 512))]
    pub fields: u16,
    /// Bytes of a request target, 64 B to 64 KiB; more is 414. 8 KiB unless said otherwise.
    #[serde(skip_serializing_if = "is_bytes::<8_192>")]
    pub target: ByteSize,
    /// Bytes of a request body, without its framing; more is 413. Counted as it streams. No limit unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<ByteSize>,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: None,
            connections_per_client: None,
            requests_per_connection: None,
            head: ByteSize::from_bytes(32 << 10),
            fields: 100,
            target: ByteSize::from_bytes(8 << 10),
            body: None,
        }
    }
}

/// What the canonical form of a path makes of slashes. Router, rules, log and backends see that one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"encoded_slashes": "refuse"}))))]
#[serde(default, deny_unknown_fields)]
pub struct PathStyle {
    /// Whether `//` becomes `/`. So unless said otherwise.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub merge_slashes: bool,
    /// What `%2F` means.
    #[serde(skip_serializing_if = "is_default")]
    pub encoded_slashes: EncodedSlashes,
}

impl Default for PathStyle {
    fn default() -> Self {
        Self { merge_slashes: true, encoded_slashes: EncodedSlashes::Keep }
    }
}

/// What `%2F` in a path means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EncodedSlashes {
    /// A slash within a segment, which stays encoded.
    #[default]
    Keep,
    /// A slash between segments like any other, decoded before dot segments are removed.
    Decode,
    /// The request is answered 400.
    Refuse,
}

impl Named for Listener {
    fn name(&self) -> Name {
        self.name.clone()
    }
}
