use std::sync::Arc;

use shared::value::HostPolicy;

use super::{IpRules, Upstream};
use crate::metrics::{Metrics, RouteMetrics};

/// What happens to the requests of a route.
pub(crate) struct Route {
    /// Name and counters: all that a long stream keeps of the route.
    pub(crate) labels: Arc<RouteLabels>,
    /// Where its requests go.
    pub(crate) upstream: Arc<Upstream>,
    /// Which `Host` the backend sees.
    pub(crate) host: HostPolicy,
    /// The route's own IP rules.
    pub(crate) ip_rules: IpRules,
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
