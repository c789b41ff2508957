use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http1::HeadLimits;
use shared::{
    config::{self, Forwarding, PathStyle, ProxyProtocol},
    value::{Cidr, Name},
};

use crate::{
    engine::{Silence, Span},
    live::Live,
    metrics::ListenerMetrics,
    request_id::RequestIds,
};

/// What connections and requests need to know of the listener that they came in by.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Its name.
    pub(crate) name: Name,
    /// Peers that are believed.
    pub(crate) trusted_proxies: Vec<Cidr>,
    /// What becomes of the fields that tell who the client is.
    pub(crate) forwarding: Forwarding,
    /// What the settings say of the ids of requests.
    pub(crate) request_ids: RequestIds,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Whether balancers in front say whose connection it is.
    pub(crate) proxy_protocol: ProxyProtocol,
    /// How long a connection may take until it may speak HTTP.
    pub(crate) handshake: Duration,
    /// Whether connections may begin with HTTP/2 at once.
    pub(crate) allow_h2c: bool,
    /// Limits of a request head.
    pub(crate) head: HeadLimits,
    /// From the first byte of a head to its last.
    pub(crate) head_time: Duration,
    /// How long a connection may lie idle.
    pub(crate) idle: Duration,
    /// How long a client that ended its side may wait for a response head.
    pub(crate) half_close_grace: Span,
    /// How long the client of an HTTP/2 connection may be silent.
    pub(crate) silence: Silence,
    /// Bytes of a request body.
    pub(crate) body: u64,
    /// Requests on one connection.
    pub(crate) requests: u32,
    /// Connections at a time.
    pub(crate) connections: Option<u32>,
    /// Connections at a time from one client.
    connections_per_client: Option<u32>,
    /// What a path's canonical form makes of slashes.
    pub(crate) paths: PathStyle,
    /// Counters.
    pub(crate) metrics: ListenerMetrics,
}

impl Listener {
    pub(crate) fn compile(listener: &config::Listener, settings: &config::Settings, live: &Live) -> Self {
        let config::Listener { timeouts, limits, .. } = listener;
        // Validation holds both to 64 KiB.
        let bytes = |size: shared::value::ByteSize| u32::try_from(size.bytes()).unwrap_or(u32::MAX);
        Self {
            name: listener.name.clone(),
            trusted_proxies: listener.trusted_proxies.clone(),
            forwarding: listener.forwarding,
            request_ids: RequestIds::compile(&settings.request_id),
            address: listener.address.socket_addr(),
            proxy_protocol: listener.proxy_protocol.clone(),
            handshake: timeouts.handshake.duration(),
            allow_h2c: listener.allow_h2c,
            head: HeadLimits { bytes: bytes(limits.head), fields: limits.fields, target_bytes: bytes(limits.target) },
            head_time: timeouts.request_head.duration(),
            idle: timeouts.keep_alive_idle.duration(),
            half_close_grace: Span::of(timeouts.half_close_grace.duration()),
            silence: Silence {
                asked_after: timeouts.ping_interval.duration(),
                answered_within: timeouts.ping_timeout.duration(),
            },
            body: limits.body.map_or(u64::MAX, |size| size.bytes()),
            requests: limits.requests_per_connection.unwrap_or(u32::MAX),
            connections: limits.connections,
            connections_per_client: limits.connections_per_client,
            paths: listener.paths,
            metrics: live.listener_metrics(&listener.name),
        }
    }

    /// How many connections `address` may have at a time: trusted proxies as many as they like.
    pub(crate) fn limit_for(&self, address: IpAddr) -> Option<u32> {
        let is_trusted = || self.trusted_proxies.iter().any(|range| range.contains(address));
        self.connections_per_client.filter(|_| !is_trusted())
    }
}
