use std::{sync::Arc, time::Duration};

use shared::{
    config,
    value::{HostPolicy, TimeSpan},
};

use super::{IpRules, Upstream};
use crate::{
    engine::Timeouts,
    metrics::{Metrics, RouteMetrics},
};

/// What happens to the requests of a route.
pub(crate) struct Route {
    /// Name and counters: all that a long stream keeps of the route.
    pub(crate) labels: Arc<RouteLabels>,
    /// Where its requests go.
    pub(crate) upstream: Arc<Upstream>,
    /// Which `Host` the backend sees.
    pub(crate) host: HostPolicy,
    /// How long each part of a request may take. The grace of half-closed clients is the listener's.
    pub(crate) timeouts: Timeouts,
    /// Whether calls of gRPC-Web become calls of gRPC.
    pub(crate) grpc_web: bool,
    /// The route's own IP rules.
    pub(crate) ip_rules: IpRules,
}

/// The time-outs of a route as the engine takes them.
pub(crate) fn timeouts(route: &config::RouteTimeouts) -> Timeouts {
    Timeouts {
        connect: route.connect.duration(),
        body_idle: route.request_body_idle.duration(),
        body_min_rate: route.request_body_min_rate.bytes(),
        first_byte: route.first_byte.duration(),
        idle: route.idle.duration(),
        total: route.total.map(TimeSpan::duration),
        tunnel_idle: route.tunnel_idle.duration(),
        half_close_grace: Duration::ZERO,
    }
}

/// What a request is logged and counted under.
#[derive(Debug)]
pub(crate) struct RouteLabels {
    /// The route's name; empty for requests without a route.
    pub(crate) name: String,
    /// Counters.
    pub(crate) metrics: RouteMetrics,
}

impl RouteLabels {
    pub(crate) fn new(name: &str, metrics: &Metrics) -> Self {
        Self { name: name.to_owned(), metrics: metrics.route(name) }
    }
}
