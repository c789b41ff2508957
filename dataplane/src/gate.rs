//! Whether an endpoint may be used: its admin state, its health and its breaker, and the one effective state that follows.
//!
//! A try [`enters`](Gate::enter) an endpoint's gate and leaves it with a [`Verdict`] or without one. Moments are passed in, so that tests
//! decide what time it is.

use std::time::{Duration, Instant};

use shared::{
    status::{AdminState, BreakerState, BreakerStatus, EffectiveState, Health, HealthStatus, Transition},
    value::Timestamp,
};

/// The gate of one endpoint. Shared by all workers; no lock on the request path.
#[derive(Debug)]
pub(crate) struct Gate {
    since: Timestamp,
}

/// What a gate shows of itself.
pub(crate) struct GateStatus {
    /// What follows from the three inputs.
    pub(crate) state: EffectiveState,
    /// Why, in one word.
    pub(crate) reason: String,
    /// Since when.
    pub(crate) since: Timestamp,
    /// What the operator wants.
    pub(crate) admin: AdminState,
    /// What checks say.
    pub(crate) health: HealthStatus,
    /// What the breaker says.
    pub(crate) breaker: BreakerStatus,
    /// The last transitions, the newest first; at most 8.
    pub(crate) transitions: Vec<Transition>,
}

/// What a try was let in with. Given back by [`Gate::judge`] or [`Gate::leave`].
#[derive(Debug)]
pub(crate) struct Pass {}

/// How a try went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The backend answered.
    Success,
    /// It did not, not in time, or with a status that counts as a failure.
    Failure,
}

/// Why nothing new goes to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(dead_code, reason = "nothing bars an endpoint yet")]
pub(crate) enum Barred {
    /// By its admin state or its health.
    Unavailable,
    /// By its breaker, for so long yet.
    Breaker(Duration),
}

impl Default for Gate {
    fn default() -> Self {
        Self { since: Timestamp::now() }
    }
}

impl Gate {
    /// What it shows.
    pub(crate) fn status(&self, _now: Instant) -> GateStatus {
        let breaker = BreakerStatus {
            state: BreakerState::Closed,
            since: self.since,
            open_until: None,
            forced: None,
            calls: 0,
            failed: 0,
            slow: 0,
            failure_rate: None,
            slow_call_rate: None,
            permits: 0,
            consecutive_openings: 0,
        };
        GateStatus {
            state: EffectiveState::Serving,
            reason: AdminState::Active.word().to_owned(),
            since: self.since,
            admin: AdminState::Active,
            health: HealthStatus { state: Health::Unchecked, since: self.since, last_check: None },
            breaker,
            transitions: Vec::new(),
        }
    }

    /// Lets a try in that begins `now`, or says why not.
    pub(crate) fn enter(&self, _now: Instant) -> Result<Pass, Barred> {
        Ok(Pass {})
    }

    /// Whether a try may be expected to be let in: for who compares endpoints before it enters. Cheap, and no promise.
    pub(crate) fn is_open(&self, _now: Instant) -> bool {
        true
    }

    /// When it last began to let tries in after its health or its breaker had kept them out, if they ever did: slow start counts from
    /// then.
    pub(crate) fn recovered_at(&self) -> Option<Instant> {
        None
    }

    /// Takes back `pass` with what became of its try, which took so long.
    pub(crate) fn judge(&self, _pass: Pass, _verdict: Verdict, _took: Duration, _now: Instant) {}

    /// Takes back `pass` of a try that says nothing about the endpoint.
    pub(crate) fn leave(&self, _pass: Pass) {}

    /// Whether an answer with `status` is a failure.
    pub(crate) fn is_failure(&self, _status: u16) -> bool {
        false
    }
}
