//! Counters. Handles are made when a snapshot is compiled and live in it; a request touches no label map.

mod histogram;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use shared::value::Name;

use crate::error::Reason;
use histogram::Histogram;

/// All counters of the process; clones share them.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabel, Histogram>,
    generated: Family<ReasonLabel, Counter>,
    backend_requests: Family<BackendLabels, Counter>,
    backend_failures: Family<FailureLabels, Counter>,
    backend_connections: Family<BackendLabels, Counter>,
    backend_in_flight: Family<BackendLabels, Gauge>,
    connections: Family<ListenerLabel, Counter>,
    connections_open: Family<ListenerLabel, Gauge>,
    named: Arc<Mutex<HashSet<(Name, Name)>>>,
    /// Open connections of each listener that has counters.
    listeners: Arc<Mutex<HashMap<Name, Gauge>>>,
    /// The revision that acts.
    pub(crate) revision: Gauge<u64, AtomicU64>,
    /// Snapshots that were applied.
    pub(crate) applied: Counter,
    /// Snapshots that were refused.
    pub(crate) rejected: Counter,
    /// Access-log lines that were dropped because the writer was behind or could not write.
    pub(crate) access_log_dropped: Counter,
    /// Connections that ended by a panic.
    pub(crate) panics: Counter,
    /// Times that accepting failed (out of descriptors or buffers).
    pub(crate) accept_errors: Counter,
}

/// Handles of one route.
pub(crate) struct RouteMetrics {
    by_class: [Counter; 5],
    /// From the first byte of the request to the last of the response.
    duration: Histogram,
}

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RouteMetrics")
    }
}

impl RouteMetrics {
    /// Counts a response with `status`, whose last byte was written `duration` after the request's first was read.
    pub(crate) fn observe(&self, status: u16, duration: Duration) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.by_class[class].inc();
        self.duration.observe(duration);
    }
}

/// Handles of one backend.
#[derive(Debug)]
pub(crate) struct EndpointMetrics {
    /// Tries that were sent.
    pub(crate) requests: Counter,
    /// Tries that got no response head: no connection.
    pub(crate) connect_failures: Counter,
    /// Tries that got no response head in time.
    pub(crate) timeouts: Counter,
    /// Tries whose connection ended before a response head.
    pub(crate) resets: Counter,
    /// Connections that were made.
    pub(crate) connections: Counter,
    /// Requests on their way, until the last byte of the response.
    pub(crate) in_flight: Gauge,
}

/// Handles of one listener.
#[derive(Clone, Debug)]
pub(crate) struct ListenerMetrics {
    /// Connections that were accepted.
    pub(crate) connections: Counter,
    /// Connections that are open.
    pub(crate) open: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BackendLabels {
    upstream: String,
    backend: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    upstream: String,
    backend: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: String,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const FAILURES: [&str; 3] = ["connect", "timeout", "reset"];

impl Metrics {
    /// Counters at 0, registered under `tidegate_`.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tidegate");
        let mut metrics = Self {
            registry: Arc::new(Registry::default()),
            requests: Family::default(),
            durations: Family::default(),
            generated: Family::default(),
            backend_requests: Family::default(),
            backend_failures: Family::default(),
            backend_connections: Family::default(),
            backend_in_flight: Family::default(),
            connections: Family::default(),
            connections_open: Family::default(),
            named: Arc::default(),
            listeners: Arc::default(),
            revision: Gauge::default(),
            applied: Counter::default(),
            rejected: Counter::default(),
            access_log_dropped: Counter::default(),
            panics: Counter::default(),
            accept_errors: Counter::default(),
        };
        registry.register("requests", "Requests answered, by route and status class", metrics.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "From the first byte of the request to the last of the response, by route",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register("generated_responses", "Answers that no backend gave, by reason", metrics.generated.clone());
        registry.register("backend_requests", "Tries sent to a backend", metrics.backend_requests.clone());
        registry.register(
            "backend_failures",
            "Tries that got no response head, by kind",
            metrics.backend_failures.clone(),
        );
        registry.register("backend_connections", "Connections made to a backend", metrics.backend_connections.clone());
        registry.register(
            "backend_in_flight",
            "Requests on their way to or from a backend",
            metrics.backend_in_flight.clone(),
        );
        registry.register("connections", "Connections accepted", metrics.connections.clone());
        registry.register("connections_open", "Connections open", metrics.connections_open.clone());
        registry.register("revision", "The configuration revision that acts on traffic", metrics.revision.clone());
        registry.register("snapshots_applied", "Snapshots applied", metrics.applied.clone());
        registry.register("snapshots_rejected", "Snapshots refused", metrics.rejected.clone());
        registry.register("access_log_dropped", "Access-log lines dropped", metrics.access_log_dropped.clone());
        registry.register("panics", "Connections ended by a panic", metrics.panics.clone());
        registry.register("accept_errors", "Failed accepts", metrics.accept_errors.clone());
        for reason in Reason::ALL {
            drop(metrics.generated(reason));
        }
        metrics.registry = Arc::new(registry);
        metrics
    }

    /// The whole in the `OpenMetrics` text format.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string does not fail");
        text
    }

    /// Handles of the route `name`; `""` stands for requests without a route.
    pub(crate) fn route(&self, name: &str) -> RouteMetrics {
        let by_class =
            CLASSES.map(|class| self.requests.get_or_create_owned(&RequestLabels { route: name.to_owned(), class }));
        RouteMetrics { by_class, duration: self.durations.get_or_create_owned(&RouteLabel { route: name.to_owned() }) }
    }

    /// Forgets the route `name`.
    pub(crate) fn remove_route(&self, name: &str) {
        for class in CLASSES {
            self.requests.remove(&RequestLabels { route: name.to_owned(), class });
        }
        self.durations.remove(&RouteLabel { route: name.to_owned() });
    }

    /// The counter of answers for `reason`.
    pub(crate) fn generated(&self, reason: Reason) -> Counter {
        self.generated.get_or_create_owned(&ReasonLabel { reason: reason.word() })
    }

    /// Handles of a backend.
    pub(crate) fn endpoint(&self, upstream: &Name, backend: &Name) -> EndpointMetrics {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).insert((upstream.clone(), backend.clone()));
        let labels = BackendLabels { upstream: upstream.to_string(), backend: backend.to_string() };
        let [connect_failures, timeouts, resets] = FAILURES.map(|kind| {
            let labels = FailureLabels { upstream: upstream.to_string(), backend: backend.to_string(), kind };
            self.backend_failures.get_or_create_owned(&labels)
        });
        EndpointMetrics {
            requests: self.backend_requests.get_or_create_owned(&labels),
            connect_failures,
            timeouts,
            resets,
            connections: self.backend_connections.get_or_create_owned(&labels),
            in_flight: self.backend_in_flight.get_or_create_owned(&labels),
        }
    }

    /// Forgets the counters of all backends but `kept` (upstream and backend): else they would only ever grow in number.
    pub(crate) fn retain_endpoints(&self, kept: &HashSet<(Name, Name)>) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.retain(|(upstream, backend)| {
            if kept.contains(&(upstream.clone(), backend.clone())) {
                return true;
            }
            let labels = BackendLabels { upstream: upstream.to_string(), backend: backend.to_string() };
            self.backend_requests.remove(&labels);
            self.backend_connections.remove(&labels);
            self.backend_in_flight.remove(&labels);
            for kind in FAILURES {
                let labels = FailureLabels { upstream: upstream.to_string(), backend: backend.to_string(), kind };
                self.backend_failures.remove(&labels);
            }
            false
        });
    }

    /// Handles of the listener `name`.
    pub(crate) fn listener(&self, name: &Name) -> ListenerMetrics {
        let label = ListenerLabel { listener: name.to_string() };
        let open = self.connections_open.get_or_create_owned(&label);
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), open.clone());
        ListenerMetrics { connections: self.connections.get_or_create_owned(&label), open }
    }

    /// Forgets the counters of all listeners but `kept`. Those whose connections still drain stay until a later call.
    pub(crate) fn retain_listeners(&self, kept: &HashSet<&Name>) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|name, open| {
            let keep = kept.contains(name) || open.get() > 0;
            if !keep {
                let label = ListenerLabel { listener: name.to_string() };
                self.connections.remove(&label);
                self.connections_open.remove(&label);
            }
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_survive_a_recompile_and_go_with_their_backend() {
        let metrics = Metrics::new();
        let [u, a, b] = ["u", "a", "b"].map(|name| name.parse::<Name>().unwrap());
        metrics.endpoint(&u, &a).requests.inc();
        metrics.endpoint(&u, &a).requests.inc();
        metrics.endpoint(&u, &b).requests.inc();
        assert!(metrics.render().contains(r#"tidegate_backend_requests_total{upstream="u",backend="a"} 2"#));
        metrics.retain_endpoints(&HashSet::from([(u, b)]));
        let text = metrics.render();
        assert!(!text.contains(r#"backend="a""#) && text.contains(r#"backend="b"} 1"#), "{text}");
    }

    #[test]
    fn a_listener_without_a_snapshot_is_counted_while_it_has_connections() {
        let metrics = Metrics::new();
        let [old, new] = ["old", "new"].map(|name| name.parse::<Name>().unwrap());
        let handles = metrics.listener(&old);
        handles.open.inc();
        metrics.listener(&new);
        let text = |metrics: &Metrics| {
            metrics.retain_listeners(&HashSet::from([&new]));
            metrics.render()
        };
        assert!(text(&metrics).contains(r#"tidegate_connections_open{listener="old"} 1"#));
        handles.open.dec();
        let last = text(&metrics);
        assert!(!last.contains(r#""old""#) && last.contains(r#""new""#), "{last}");
    }

    #[test]
    fn every_reason_is_there_from_the_start() {
        let text = Metrics::new().render();
        for reason in Reason::ALL {
            assert!(
                text.contains(&format!(r#"tidegate_generated_responses_total{{reason="{}"}} 0"#, reason.word())),
                "{text}"
            );
        }
    }
}
