//! What upstreams and endpoints are doing, as the status endpoints and the reports to the control plane show it.

use serde::Serialize;
use shared::{
    protocol::Revision,
    status::{EffectiveState, EndpointStatus, LoadStatus, UpstreamStatus},
};

use crate::{
    gate::GateStatus,
    instant::Instant,
    live::EndpointLive,
    snapshot::{Snapshot, Upstream},
};

/// All live state of a data plane.
#[derive(Serialize)]
pub(crate) struct Whole {
    /// The revision that acts.
    revision: Revision,
    /// Its upstreams, by name.
    upstreams: Vec<UpstreamStatus>,
}

/// Everything that acts.
pub(crate) fn of_all(snapshot: &Snapshot, now: Instant) -> Whole {
    let mut upstreams: Vec<_> = snapshot.upstreams().collect();
    upstreams.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    let upstreams = upstreams.into_iter().map(|upstream| of_upstream(upstream, now)).collect();
    Whole { revision: snapshot.revision, upstreams }
}

/// One upstream with all its endpoints.
fn of_upstream(upstream: &Upstream, now: Instant) -> UpstreamStatus {
    let members = upstream.members();
    let mut endpoints: Vec<_> =
        members.map(|(endpoint, weight, backup)| of_endpoint(upstream, &endpoint, weight, backup, now)).collect();
    endpoints.sort_unstable_by(|a, b| (&a.backend, &a.address).cmp(&(&b.backend, &b.address)));
    UpstreamStatus {
        upstream: upstream.name().clone(),
        panic: endpoints.iter().any(|endpoint| endpoint.state == EffectiveState::Panic),
        retry_budget: upstream.live().budget_status(now),
        endpoints,
    }
}

/// One endpoint of `upstream`.
pub(crate) fn of_endpoint(
    upstream: &Upstream,
    endpoint: &EndpointLive,
    weight: f64,
    backup: bool,
    now: Instant,
) -> EndpointStatus {
    let GateStatus { state, reason, since, admin, admin_since, health, breaker, transitions } =
        endpoint.gate.status(now);
    EndpointStatus {
        backend: endpoint.backend.clone(),
        address: endpoint.address.to_string(),
        weight,
        backup,
        state,
        reason,
        since,
        admin,
        admin_since: Some(admin_since),
        health,
        breaker,
        load: LoadStatus { sessions: upstream.is_sticky().then(|| endpoint.load.sessions()), ..load(endpoint, now) },
        transitions,
    }
}

fn load(endpoint: &EndpointLive, now: Instant) -> LoadStatus {
    let (load, capacity) = (&endpoint.load, &endpoint.capacity);
    let idle = capacity.idle();
    let latencies = load.quantiles(now);
    let expected = load.expected_micros(now);
    LoadStatus {
        in_flight: load.in_flight(),
        queued: capacity.pending(),
        connections_busy: capacity.open().saturating_sub(idle),
        connections_idle: idle,
        requests: load.tries(),
        failures: load.failures(),
        latency_p50_us: latencies.map(|[median, _]| median),
        latency_p99_us: latencies.map(|[_, slowest]| slowest),
        latency_ewma_us: (expected > 0.0).then_some(expected as u64),
        ..LoadStatus::default()
    }
}
