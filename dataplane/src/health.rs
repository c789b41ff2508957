//! Active health checks: once per endpoint and process, beside the workers.
//!
//! One task looks at all endpoints ten times a second, begins the checks that are due, and acts on how they ended. An endpoint that no
//! snapshot names is not looked at any more, so nothing of it is left but the check that may be under way.

mod grpc;
mod http;
mod probe;
mod record;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use shared::{status::CheckStatus, value::Timestamp};
use tokio::{
    sync::{Semaphore, mpsc},
    time::MissedTickBehavior,
};

pub(crate) use probe::Configured;
pub(crate) use record::Record;

use probe::Plan;

use crate::{
    instant::Instant,
    live::{EndpointLive, Live},
};

/// How late a check, or a transition that no call makes, may be. Looking at an endpoint takes a few nanoseconds.
const TICK: Duration = Duration::from_millis(100);
/// Checks that are under way at one time; further ones wait for a place.
const CHECKS: usize = 256;

/// A check that ended.
struct Ended {
    endpoint: Arc<EndpointLive>,
    round: u64,
    check: CheckStatus,
}

/// Watches all endpoints of `live`, for as long as the process lives.
pub(crate) async fn watch(live: Arc<Live>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let places = Arc::new(Semaphore::new(CHECKS));
    let (results, mut ended) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            _ = tick.tick() => {
                for (endpoint, plan, round) in due(&live, Instant::now()) {
                    let (places, results) = (Arc::clone(&places), results.clone());
                    tokio::spawn(async move {
                        let _place = places.acquire_owned().await;
                        let check = check(&endpoint, &plan).await;
                        // Fails only when the process is ending.
                        let _ = results.send(Ended { endpoint, round, check });
                    });
                }
            }
            Some(ended) = ended.recv() => act(&live, ended, Instant::now()),
        }
    }
}

/// Makes the transitions that are due `now`; answers the checks that are.
fn due(live: &Live, now: Instant) -> Vec<(Arc<EndpointLive>, Arc<Plan>, u64)> {
    let mut checks = Vec::new();
    let mut changed = BTreeSet::new();
    live.each_endpoint(|endpoint| {
        endpoint.gate.tick(now);
        if let Some((plan, round)) = endpoint.health.take_due(now) {
            checks.push((Arc::clone(endpoint), plan, round));
        }
        if endpoint.health.take_changed() {
            changed.insert(endpoint.upstream.clone());
        }
    });
    for upstream in changed {
        settle(&live.endpoints_of(&upstream), now);
    }
    checks
}

/// Makes one check.
async fn check(endpoint: &EndpointLive, plan: &Plan) -> CheckStatus {
    let (at, begun) = (Timestamp::now(), Instant::now());
    let outcome = plan.probe(&endpoint.address).await;
    let duration_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let passed = outcome.is_ok();
    let (Ok(detail) | Err(detail)) = outcome;
    CheckStatus { at, passed, detail, duration_us }
}

/// Acts on a check that ended.
fn act(live: &Live, ended: Ended, now: Instant) {
    let Ended { endpoint, round, check } = ended;
    let passed = check.passed;
    if !passed {
        tracing::debug!(?endpoint, detail = check.detail, "a health check failed");
    }
    let Some(has_changed) = endpoint.health.ended(round, passed, now) else { return };
    endpoint.metrics.checks[usize::from(passed)].inc();
    endpoint.gate.checked(check);
    if has_changed {
        settle(&live.endpoints_of(&endpoint.upstream), now);
    }
}

/// Brings the health of all endpoints of an upstream to act, and whether they are used though all fail.
///
/// In one step for each: the last endpoint that fails takes requests all the while.
fn settle(endpoints: &[Arc<EndpointLive>], now: Instant) {
    let views: Vec<_> = endpoints.iter().map(|endpoint| endpoint.health.view()).collect();
    let mut counted = views.iter().filter(|view| view.is_counted).peekable();
    let panics = counted.peek().is_some() && counted.all(|view| view.is_unhealthy() && view.may_panic);
    for (endpoint, view) in endpoints.iter().zip(&views) {
        endpoint.gate.set_health(view.health, view.assumes_health, Some(panics), view.reason, now);
    }
}
