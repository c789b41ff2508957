//! Counters of HTTP/2 connections.

use http2::{Counts, Guard};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Handles for HTTP/2; clones share them.
#[derive(Clone)]
pub(crate) struct Http2Metrics {
    /// Connections of clients.
    pub(crate) downstream: Http2Side,
    /// Connections to backends.
    pub(crate) upstream: Http2Side,
    /// Requests of clients that had as many open as one connection may.
    pub(crate) refused_streams: Counter,
    guards: Family<GuardLabel, Counter>,
}

/// Handles for the connections of one side.
#[derive(Clone)]
pub(crate) struct Http2Side {
    /// Requests that began.
    pub(crate) streams: Counter,
    /// `RST_STREAM` frames that came.
    pub(crate) resets: Counter,
    /// GOAWAY frames that came.
    pub(crate) goaways_received: Counter,
    /// GOAWAY frames that were sent.
    pub(crate) goaways_sent: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GuardLabel {
    guard: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SideLabel {
    side: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GoawayLabels {
    side: &'static str,
    direction: &'static str,
}

impl Http2Side {
    /// Adds what happened on a connection.
    pub(crate) fn add(&self, counts: &Counts) {
        self.resets.inc_by(counts.resets);
        self.goaways_received.inc_by(counts.goaways_received);
        self.goaways_sent.inc_by(counts.goaways_sent);
    }
}

impl Http2Metrics {
    /// Counters at 0, registered in `registry`.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let streams: Family<SideLabel, Counter> = Family::default();
        let resets: Family<SideLabel, Counter> = Family::default();
        let goaways: Family<GoawayLabels, Counter> = Family::default();
        let guards: Family<GuardLabel, Counter> = Family::default();
        let refused_streams = Counter::default();
        registry.register("http2_streams", "Requests begun by HTTP/2, by side", streams.clone());
        registry.register("http2_resets_received", "RST_STREAM frames that came, by side", resets.clone());
        registry.register("http2_goaways", "GOAWAY frames, by side and direction", goaways.clone());
        registry.register(
            "http2_guards",
            "HTTP/2 connections ended because of what the client sent, by guard",
            guards.clone(),
        );
        registry.register(
            "http2_streams_refused",
            "Requests of HTTP/2 clients that had as many open on a connection as may be",
            refused_streams.clone(),
        );
        for guard in Guard::ALL {
            drop(guards.get_or_create_owned(&GuardLabel { guard: guard.word() }));
        }
        let side = |side| Http2Side {
            streams: streams.get_or_create_owned(&SideLabel { side }),
            resets: resets.get_or_create_owned(&SideLabel { side }),
            goaways_received: goaways.get_or_create_owned(&GoawayLabels { side, direction: "received" }),
            goaways_sent: goaways.get_or_create_owned(&GoawayLabels { side, direction: "sent" }),
        };
        Self { downstream: side("downstream"), upstream: side("upstream"), refused_streams, guards }
    }

    /// Counts a connection that `guard` ended.
    pub(crate) fn fired(&self, guard: Guard) {
        self.guards.get_or_create_owned(&GuardLabel { guard: guard.word() }).inc();
    }
}
