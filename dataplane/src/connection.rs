//! A client connection as its requests see it, in whatever version of HTTP.

use std::{
    borrow::Cow,
    cell::{Cell, OnceCell, Ref, RefCell},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http1::HeadLimits;
use prometheus_client::metrics::gauge::Gauge;
use proxy_protocol::{Endpoints, Version};
use shared::config::ProxyProtocolVersion;

use crate::{
    admission::Place,
    arrival::Arrival,
    engine::{Greeting, Stream},
    metrics::ListenerMetrics,
    snapshot::{Listener, Snapshot},
    worker::Worker,
};

/// The version of the PROXY protocol that the configuration means.
pub(crate) const fn version_of(version: ProxyProtocolVersion) -> Version {
    match version {
        ProxyProtocolVersion::V1 => Version::V1,
        ProxyProtocolVersion::V2 => Version::V2,
    }
}

/// What all requests of a client connection share.
pub(crate) struct Connection {
    /// The peer's address, never an IPv4-mapped one. If a balancer in front said whose connection it is, that one's.
    pub(crate) peer: IpAddr,
    /// How it is written.
    pub(crate) peer_text: Box<str>,
    /// What a balancer in front said, if one did.
    pub(crate) arrival: Option<Box<Arrival>>,
    /// Where its socket leads, once an upstream is to be told.
    ends: OnceCell<Box<Endpoints>>,
    /// Where snapshots hold the listener.
    slot: usize,
    /// Requests so far.
    requests: Cell<u32>,
    /// The listener as last seen: a connection outlives its listener while it drains.
    pub(crate) listener: RefCell<Arc<Listener>>,
    _open: Open,
}

/// Counts a connection as open while it lives.
struct Open {
    open: Gauge,
    _place: Place,
}

impl Open {
    fn new(metrics: &ListenerMetrics, place: Place) -> Self {
        metrics.connections.inc();
        metrics.open.inc();
        Self { open: metrics.open.clone(), _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl Connection {
    /// A connection from `peer`, whom a balancer may have named, by `listener`, which snapshots hold in `slot`, and where it has
    /// a `place`.
    pub(crate) fn new(
        peer: IpAddr,
        arrival: Option<Box<Arrival>>,
        slot: usize,
        listener: Arc<Listener>,
        place: Place,
    ) -> Self {
        let peer = peer.to_canonical();
        let open = Open::new(&listener.metrics, place);
        Self {
            peer,
            peer_text: peer.to_string().into(),
            arrival,
            ends: OnceCell::new(),
            slot,
            requests: Cell::new(0),
            listener: RefCell::new(listener),
            _open: open,
        }
    }

    /// The listener as it is now.
    pub(crate) fn listener(&self, snapshot: &Snapshot) -> Ref<'_, Arc<Listener>> {
        if let Some(listener) = snapshot.listener(self.slot)
            && !Arc::ptr_eq(&self.listener.borrow(), listener)
        {
            *self.listener.borrow_mut() = Arc::clone(listener);
        }
        self.listener.borrow()
    }

    /// How `client`, mostly the peer, is written.
    pub(crate) fn text_of(&self, client: IpAddr) -> Cow<'_, str> {
        if client == self.peer { Cow::Borrowed(&self.peer_text) } else { Cow::Owned(client.to_string()) }
    }

    /// The scheme by which the peer came.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.arrival.as_ref().is_some_and(|arrival| arrival.is_tls) { "https" } else { "http" }
    }

    /// The port that the peer connected to.
    pub(crate) fn port(&self, listener: &Listener) -> u16 {
        let endpoints = self.arrival.as_ref().and_then(|arrival| arrival.endpoints);
        endpoints.map_or(listener.address.port(), |endpoints| endpoints.destination.port())
    }

    /// Has [`greeting`](Self::greeting) know where `stream`, its socket, leads. Asks the kernel, once.
    pub(crate) fn learn_ends(&self, stream: &Stream) {
        if self.ends.get().is_none()
            && let Some((source, destination)) = stream.ends()
        {
            let _ = self.ends.set(Box::new(Endpoints { source, destination }));
        }
    }

    /// The header of the PROXY protocol that tells a backend of `client`, who sent a request on this connection.
    ///
    /// Of a client that trusted proxies name only the address is known, and nothing that a balancer said is about it: its port is 0.
    pub(crate) fn greeting(&self, version: Version, client: IpAddr, listener: &Listener) -> Greeting {
        let arrival = self.arrival.as_ref().filter(|_| client == self.peer);
        let told = self.arrival.as_ref().and_then(|arrival| arrival.endpoints);
        let known = told.or_else(|| self.ends.get().map(|ends| **ends));
        let source = known.filter(|_| client == self.peer).map(|endpoints| endpoints.source);
        let endpoints = Endpoints {
            source: source.unwrap_or(SocketAddr::new(client, 0)),
            destination: known.map_or(listener.address, |endpoints| endpoints.destination),
        };
        let tlvs = arrival.map(|arrival| arrival.tlvs()).unwrap_or_default();
        let mut greeting = Vec::new();
        proxy_protocol::write(&mut greeting, version, &endpoints, tlvs);
        Greeting(greeting.into())
    }

    /// How the address at the other end of the socket is written: the peer's, or that of the balancer in front.
    pub(crate) fn socket_peer(&self) -> &str {
        self.arrival.as_ref().map_or(&self.peer_text, |arrival| &arrival.balancer)
    }

    /// What holds for a head that begins now: its limits, and how long it may take.
    pub(crate) fn limits(&self, worker: &Worker) -> (HeadLimits, Duration) {
        worker.with_snapshot(|snapshot| match snapshot.listener(self.slot) {
            Some(listener) => (listener.head, listener.head_time),
            None => (self.listener.borrow().head, self.listener.borrow().head_time),
        })
    }

    /// Whether no request has come on it.
    pub(crate) fn is_fresh(&self) -> bool {
        self.requests.get() == 0
    }

    /// Counts a request.
    pub(crate) fn counts_request(&self) {
        self.requests.set(self.requests.get().saturating_add(1));
    }

    /// Whether fewer than `most` requests have come on it.
    pub(crate) fn allows_more(&self, most: u32) -> bool {
        self.requests.get() < most
    }
}
