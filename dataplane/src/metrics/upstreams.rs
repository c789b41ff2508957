use std::sync::Arc;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use shared::value::Name;

use super::sampled::SampledGauge;
use crate::{instant::Instant, live::UpstreamLive};

/// Counters of all upstreams; clones share them.
#[derive(Clone, Default)]
pub(super) struct Upstreams {
    retries: Family<RetryLabels, Counter>,
    budgets: Family<UpstreamLabel, SampledGauge>,
}

/// Handles of one upstream.
#[derive(Debug)]
pub(crate) struct UpstreamMetrics {
    /// By [`RetryResult`].
    retries: [Counter; RetryResult::ALL.len()],
    budget: SampledGauge,
}

/// What became of a request that was to be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryResult {
    /// It was.
    Made,
    /// The upstream's retry budget was used up.
    OverBudget,
    /// There was no endpoint for it.
    NoEndpoint,
    /// What was sent of its body was not kept.
    BodyGone,
    /// There was no time for it.
    TooLate,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RetryLabels {
    upstream: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabel {
    upstream: String,
}

impl RetryResult {
    const ALL: [Self; 5] = [Self::Made, Self::OverBudget, Self::NoEndpoint, Self::BodyGone, Self::TooLate];

    const fn word(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::OverBudget => "over_budget",
            Self::NoEndpoint => "no_endpoint",
            Self::BodyGone => "body_gone",
            Self::TooLate => "too_late",
        }
    }
}

impl UpstreamMetrics {
    /// The counter of requests that were to be tried again and became of which `result`.
    pub(crate) fn retries(&self, result: RetryResult) -> &Counter {
        &self.retries[result as usize]
    }

    /// Shows what is left of the retry budget of `live`, as long as that lives.
    pub(crate) fn watch(&self, live: &Arc<UpstreamLive>) {
        let live = Arc::downgrade(live);
        self.budget.add(move || {
            let left = live.upgrade()?.budget.available(Instant::now());
            Some(u32::try_from(left).unwrap_or(u32::MAX))
        });
    }
}

impl Upstreams {
    /// Registers all of them.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "retries",
            "Requests that were to be tried again, by what became of that",
            self.retries.clone(),
        );
        registry.register(
            "retry_budget_available",
            "Retries that the budget of an upstream allows now",
            self.budgets.clone(),
        );
    }

    /// Handles of an upstream.
    pub(super) fn upstream(&self, name: &Name) -> UpstreamMetrics {
        let retries = RetryResult::ALL.map(|result| self.retries.get_or_create_owned(&labels(name, result)));
        let budget = self.budgets.get_or_create_owned(&UpstreamLabel { upstream: name.to_string() });
        UpstreamMetrics { retries, budget }
    }

    /// Forgets the upstream `name`.
    pub(super) fn remove(&self, name: &Name) {
        for result in RetryResult::ALL {
            self.retries.remove(&labels(name, result));
        }
        self.budgets.remove(&UpstreamLabel { upstream: name.to_string() });
    }
}

fn labels(name: &Name, result: RetryResult) -> RetryLabels {
    RetryLabels { upstream: name.to_string(), result: result.word() }
}
