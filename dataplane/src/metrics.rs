//! Counters. Handles are made when a snapshot is compiled and live in it; a request touches no label map.

mod backends;
mod dns;
mod histogram;
mod http2;
mod sampled;
mod transitions;
mod upstreams;

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
use shared::{status::Event, value::Name};

pub(crate) use backends::EndpointMetrics;
pub(crate) use dns::{DnsMetrics, LookupMetrics, ShownName};

use crate::{arrival, engine::ReplayMemory, error::Reason, protocol::Protocol};
use backends::Backends;
use histogram::Histogram;
pub(crate) use http2::{Http2Metrics, Http2Side};
use sampled::SampledGauge;
use transitions::Transitions;
use upstreams::Upstreams;
pub(crate) use upstreams::{RetryResult, UpstreamMetrics};

/// All counters of the process; clones share them.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabel, Histogram>,
    generated: Family<ReasonLabel, Counter>,
    backends: Backends,
    upstreams: Upstreams,
    fallbacks: Family<RouteLabel, Counter>,
    /// What is kept of requests that may be sent again.
    pub(crate) replays: ReplayMemory,
    transitions: Transitions,
    connections: Family<ListenerLabel, Counter>,
    connections_open: Family<ListenerLabel, Gauge>,
    listener_requests: Family<ProtocolLabels, Counter>,
    connections_refused: Family<ListenerLabel, Counter>,
    proxy_protocol_refused: Family<RefusalLabels, Counter>,
    /// HTTP/2 connections.
    pub(crate) http2: Http2Metrics,
    /// Resolving of backends' names.
    pub(crate) dns: DnsMetrics,
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
    /// Events that were dropped because nobody took them in time.
    pub(crate) events_lost: Counter,
    /// Reports that could not be sent whole because the control plane read too slowly.
    pub(crate) reports_dropped: Counter,
    /// Connections that ended by a panic.
    pub(crate) panics: Counter,
    /// Times that accepting failed (out of descriptors or buffers).
    pub(crate) accept_errors: Counter,
    tasks: SampledGauge,
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

/// Handles of one listener.
#[derive(Clone, Debug)]
pub(crate) struct ListenerMetrics {
    /// Connections that were accepted.
    pub(crate) connections: Counter,
    /// Connections that were closed at once, for their client has too many.
    pub(crate) refused: Counter,
    /// Connections that are open.
    pub(crate) open: Gauge,
    /// Requests that came, by [`Protocol`].
    pub(crate) requests: [Counter; Protocol::ALL.len()],
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
struct ListenerLabel {
    listener: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtocolLabels {
    listener: String,
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    listener: String,
    reason: &'static str,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Metrics {
    /// Counters at 0, registered under `tidegate_`.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tidegate");
        let mut metrics = Self {
            registry: Arc::new(Registry::default()),
            requests: Family::default(),
            durations: Family::default(),
            generated: Family::default(),
            backends: Backends::default(),
            upstreams: Upstreams::default(),
            fallbacks: Family::default(),
            replays: ReplayMemory::default(),
            transitions: Transitions::default(),
            connections: Family::default(),
            connections_open: Family::default(),
            listener_requests: Family::default(),
            http2: Http2Metrics::new(&mut registry),
            dns: DnsMetrics::default(),
            connections_refused: Family::default(),
            proxy_protocol_refused: Family::default(),
            listeners: Arc::default(),
            revision: Gauge::default(),
            applied: Counter::default(),
            rejected: Counter::default(),
            access_log_dropped: Counter::default(),
            events_lost: Counter::default(),
            reports_dropped: Counter::default(),
            panics: Counter::default(),
            accept_errors: Counter::default(),
            tasks: SampledGauge::default(),
        };
        registry.register("requests", "Requests answered, by route and status class", metrics.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "From the first byte of the request to the last of the response, by route",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register("generated_responses", "Answers that no backend gave, by reason", metrics.generated.clone());
        metrics.backends.register(&mut registry);
        metrics.dns.register(&mut registry);
        metrics.upstreams.register(&mut registry);
        registry.register("fallbacks", "Requests for which a route's fallback acted", metrics.fallbacks.clone());
        registry.register(
            "replay_buffer_bytes",
            "Memory for bodies of requests that may be sent again",
            metrics.replays.0.clone(),
        );
        metrics.transitions.register(&mut registry);
        registry.register("connections", "Connections accepted", metrics.connections.clone());
        registry.register("connections_open", "Connections open", metrics.connections_open.clone());
        registry.register(
            "listener_requests",
            "Requests that came, by listener and version of HTTP",
            metrics.listener_requests.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections closed at once because their client has too many",
            metrics.connections_refused.clone(),
        );
        registry.register(
            "proxy_protocol_refused",
            "Connections closed for the header of the PROXY protocol, by listener and reason",
            metrics.proxy_protocol_refused.clone(),
        );
        registry.register("revision", "The configuration revision that acts on traffic", metrics.revision.clone());
        registry.register("snapshots_applied", "Snapshots applied", metrics.applied.clone());
        registry.register("snapshots_rejected", "Snapshots refused", metrics.rejected.clone());
        registry.register("access_log_dropped", "Access-log lines dropped", metrics.access_log_dropped.clone());
        registry.register(
            "events_lost",
            "Transitions of endpoints that no event tells of",
            metrics.events_lost.clone(),
        );
        registry.register(
            "reports_dropped",
            "Reports that were not sent whole because the control plane read too slowly",
            metrics.reports_dropped.clone(),
        );
        registry.register("panics", "Connections ended by a panic", metrics.panics.clone());
        registry.register("accept_errors", "Failed accepts", metrics.accept_errors.clone());
        registry.register("tasks", "Tasks that run or wait, on all threads", metrics.tasks.clone());
        for reason in Reason::ALL {
            drop(metrics.generated(reason));
        }
        metrics.registry = Arc::new(registry);
        metrics
    }

    /// Counts the tasks of the runtime that this is called on, as long as the process lives.
    pub(crate) fn watch_tasks(&self) {
        let runtime = tokio::runtime::Handle::current().metrics();
        self.tasks.add(move || Some(runtime.num_alive_tasks() as u32));
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

    /// The counter of requests for which the fallback of the route `name` acted.
    pub(crate) fn fallbacks(&self, name: &str) -> Counter {
        self.fallbacks.get_or_create_owned(&RouteLabel { route: name.to_owned() })
    }

    /// Forgets the route `name`.
    pub(crate) fn remove_route(&self, name: &str) {
        for class in CLASSES {
            self.requests.remove(&RequestLabels { route: name.to_owned(), class });
        }
        self.durations.remove(&RouteLabel { route: name.to_owned() });
        self.fallbacks.remove(&RouteLabel { route: name.to_owned() });
    }

    /// The counter of answers for `reason`.
    pub(crate) fn generated(&self, reason: Reason) -> Counter {
        self.generated.get_or_create_owned(&ReasonLabel { reason: reason.word() })
    }

    /// Handles of an upstream.
    pub(crate) fn upstream(&self, name: &Name) -> UpstreamMetrics {
        self.upstreams.upstream(name)
    }

    /// Forgets the upstream `name`.
    pub(crate) fn remove_upstream(&self, name: &Name) {
        self.upstreams.remove(name);
    }

    /// Handles of a backend.
    pub(crate) fn endpoint(&self, upstream: &Name, backend: &Name) -> EndpointMetrics {
        self.backends.endpoint(upstream, backend)
    }

    /// Counts a change of an endpoint's state. Off the request path.
    pub(crate) fn transition(&self, event: &Event) {
        self.transitions.count(event);
    }

    /// Forgets the counters of all backends but `kept` (upstream and backend): else they would only ever grow in number.
    pub(crate) fn retain_endpoints(&self, kept: &HashSet<(Name, Name)>) {
        self.backends.retain(kept);
        self.transitions.retain(kept);
    }

    /// Handles of the listener `name`.
    pub(crate) fn listener(&self, name: &Name) -> ListenerMetrics {
        let label = ListenerLabel { listener: name.to_string() };
        let open = self.connections_open.get_or_create_owned(&label);
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), open.clone());
        let requests = Protocol::ALL.map(|protocol| {
            self.listener_requests
                .get_or_create_owned(&ProtocolLabels { listener: name.to_string(), protocol: protocol.word() })
        });
        ListenerMetrics {
            connections: self.connections.get_or_create_owned(&label),
            refused: self.connections_refused.get_or_create_owned(&label),
            open,
            requests,
        }
    }

    /// Counts a connection of the listener `name` that was closed for its header of the PROXY protocol, or for having none.
    pub(crate) fn proxy_protocol_refused(&self, name: &Name, reason: &'static str) {
        self.proxy_protocol_refused.get_or_create_owned(&RefusalLabels { listener: name.to_string(), reason }).inc();
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
                for protocol in Protocol::ALL {
                    self.listener_requests
                        .remove(&ProtocolLabels { listener: name.to_string(), protocol: protocol.word() });
                }
                self.connections_refused.remove(&label);
                for reason in arrival::refusals() {
                    self.proxy_protocol_refused.remove(&RefusalLabels { listener: name.to_string(), reason });
                }
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
