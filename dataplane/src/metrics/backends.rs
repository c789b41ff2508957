use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use shared::{status::EffectiveState, value::Name};

use super::sampled::SampledGauge;
use crate::{
    engine::{Capacity, Upstream},
    live::EndpointLive,
    load::Load,
};

/// Counters of all backends; clones share them.
#[derive(Clone, Default)]
pub(super) struct Backends {
    requests: Family<BackendLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    in_flight: Family<BackendLabels, SampledGauge>,
    addresses: Family<BackendLabels, Gauge>,
    connections: Family<BackendLabels, Counter>,
    connections_open: Family<StateLabels, SampledGauge>,
    reused: Family<BackendLabels, Counter>,
    stale: Family<BackendLabels, Counter>,
    cap_waits: Family<BackendLabels, Counter>,
    cap_timeouts: Family<BackendLabels, Counter>,
    cap_refusals: Family<BackendLabels, Counter>,
    pending: Family<BackendLabels, SampledGauge>,
    checks: Family<ResultLabels, Counter>,
    states: Family<StateLabels, SampledGauge>,
    named: Arc<Mutex<HashSet<(Name, Name)>>>,
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
    /// Addresses that it has now.
    pub(crate) addresses: Gauge,
    /// Connections that were made.
    pub(crate) connections: Counter,
    /// Tries on a connection that served another request before.
    pub(crate) reused: Counter,
    /// Pooled connections that turned out closed when a request was sent, which was sent again then: no failures.
    pub(crate) stale: Counter,
    /// Requests that waited for a connection, for there were as many as may be.
    pub(crate) cap_waits: Counter,
    /// Those that waited in vain.
    pub(crate) cap_timeouts: Counter,
    /// Requests that could not even wait, for as many did as may.
    pub(crate) cap_refusals: Counter,
    /// Requests that wait for a connection.
    pending: SampledGauge,
    /// Requests on their way, until the last byte of the response.
    in_flight: SampledGauge,
    /// Health checks that failed, and that passed.
    pub(crate) checks: [Counter; 2],
    states: [SampledGauge; EFFECTIVE.len()],
    busy: SampledGauge,
    idle: SampledGauge,
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
struct StateLabels {
    upstream: String,
    backend: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    upstream: String,
    backend: String,
    result: &'static str,
}

const RESULTS: [&str; 2] = ["failed", "passed"];
const EFFECTIVE: [EffectiveState; 7] = [
    EffectiveState::Serving,
    EffectiveState::Panic,
    EffectiveState::Probing,
    EffectiveState::Draining,
    EffectiveState::Unhealthy,
    EffectiveState::BreakerOpen,
    EffectiveState::Disabled,
];
const FAILURES: [&str; 3] = ["connect", "timeout", "reset"];
const STATES: [&str; 2] = ["busy", "idle"];

impl EndpointMetrics {
    /// Shows how many connections `capacity` counts and how many requests `load`, as long as they live.
    pub(crate) fn watch(&self, capacity: &Arc<Capacity<Upstream>>, load: &Arc<Load>) {
        let load = Arc::downgrade(load);
        self.in_flight.add(move || load.upgrade().map(|load| load.in_flight()));
        let (busy, idle) = (Arc::downgrade(capacity), Arc::downgrade(capacity));
        self.busy.add(move || busy.upgrade().map(|capacity| capacity.open().saturating_sub(capacity.idle())));
        self.idle.add(move || idle.upgrade().map(|capacity| capacity.idle()));
        let pending = Arc::downgrade(capacity);
        self.pending.add(move || pending.upgrade().map(|capacity| capacity.pending()));
    }

    /// Shows in which state `endpoint` is, as long as it lives.
    pub(crate) fn watch_state(&self, endpoint: &Arc<EndpointLive>) {
        for (state, gauge) in EFFECTIVE.into_iter().zip(&self.states) {
            let endpoint = Arc::downgrade(endpoint);
            let living = move || endpoint.upgrade().filter(|endpoint| !endpoint.is_removed());
            gauge.add(move || living().map(|endpoint| endpoint.gate.is_in(state).into()));
        }
    }
}

impl Backends {
    /// Registers all of them.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("backend_requests", "Tries sent to a backend", self.requests.clone());
        registry.register("backend_failures", "Tries that got no response head, by kind", self.failures.clone());
        registry.register("backend_in_flight", "Requests on their way to or from a backend", self.in_flight.clone());
        registry.register("backend_addresses", "Addresses that a backend has", self.addresses.clone());
        registry.register("backend_connections", "Connections made to a backend", self.connections.clone());
        registry.register(
            "backend_connections_open",
            "Connections open to a backend, by state",
            self.connections_open.clone(),
        );
        registry.register(
            "backend_connections_reused",
            "Tries on a connection that served another request before",
            self.reused.clone(),
        );
        registry.register(
            "backend_connections_stale",
            "Pooled connections that turned out closed; their requests were sent again on a new one",
            self.stale.clone(),
        );
        registry.register(
            "backend_connection_waits",
            "Requests that waited because a backend had as many connections as it may",
            self.cap_waits.clone(),
        );
        registry.register(
            "backend_connection_wait_timeouts",
            "Requests that waited for a connection in vain",
            self.cap_timeouts.clone(),
        );
        registry.register(
            "backend_connection_wait_refusals",
            "Requests that found as many others waiting for a connection as may",
            self.cap_refusals.clone(),
        );
        registry.register("backend_queued", "Requests that wait for a connection to a backend", self.pending.clone());
        registry.register("health_checks", "Health checks that ended, by result", self.checks.clone());
        registry.register("backend_state", "Endpoints of a backend by effective state", self.states.clone());
    }

    /// Handles of a backend.
    pub(super) fn endpoint(&self, upstream: &Name, backend: &Name) -> EndpointMetrics {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).insert((upstream.clone(), backend.clone()));
        let labels = BackendLabels { upstream: upstream.to_string(), backend: backend.to_string() };
        let [connect_failures, timeouts, resets] =
            FAILURES.map(|kind| self.failures.get_or_create_owned(&labels.failure(kind)));
        let [busy, idle] = STATES.map(|state| self.connections_open.get_or_create_owned(&labels.state(state)));
        EndpointMetrics {
            requests: self.requests.get_or_create_owned(&labels),
            connect_failures,
            timeouts,
            resets,
            in_flight: self.in_flight.get_or_create_owned(&labels),
            addresses: self.addresses.get_or_create_owned(&labels),
            connections: self.connections.get_or_create_owned(&labels),
            reused: self.reused.get_or_create_owned(&labels),
            stale: self.stale.get_or_create_owned(&labels),
            cap_waits: self.cap_waits.get_or_create_owned(&labels),
            cap_timeouts: self.cap_timeouts.get_or_create_owned(&labels),
            cap_refusals: self.cap_refusals.get_or_create_owned(&labels),
            pending: self.pending.get_or_create_owned(&labels),
            checks: RESULTS.map(|result| self.checks.get_or_create_owned(&labels.result(result))),
            states: EFFECTIVE.map(|state| self.states.get_or_create_owned(&labels.state(state.word()))),
            busy,
            idle,
        }
    }

    /// Forgets all but `kept` (upstream and backend).
    pub(super) fn retain(&self, kept: &HashSet<(Name, Name)>) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.retain(|(upstream, backend)| {
            if kept.contains(&(upstream.clone(), backend.clone())) {
                return true;
            }
            let labels = BackendLabels { upstream: upstream.to_string(), backend: backend.to_string() };
            for family in [
                &self.requests,
                &self.connections,
                &self.reused,
                &self.stale,
                &self.cap_waits,
                &self.cap_timeouts,
                &self.cap_refusals,
            ] {
                family.remove(&labels);
            }
            self.in_flight.remove(&labels);
            self.pending.remove(&labels);
            self.addresses.remove(&labels);
            for kind in FAILURES {
                self.failures.remove(&labels.failure(kind));
            }
            for result in RESULTS {
                self.checks.remove(&labels.result(result));
            }
            for state in EFFECTIVE {
                self.states.remove(&labels.state(state.word()));
            }
            for state in STATES {
                self.connections_open.remove(&labels.state(state));
            }
            false
        });
    }
}

impl BackendLabels {
    fn failure(&self, kind: &'static str) -> FailureLabels {
        FailureLabels { upstream: self.upstream.clone(), backend: self.backend.clone(), kind }
    }

    fn result(&self, result: &'static str) -> ResultLabels {
        ResultLabels { upstream: self.upstream.clone(), backend: self.backend.clone(), result }
    }

    fn state(&self, state: &'static str) -> StateLabels {
        StateLabels { upstream: self.upstream.clone(), backend: self.backend.clone(), state }
    }
}
