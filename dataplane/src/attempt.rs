//! One try of a request at an endpoint.

use std::{sync::Arc, time::Duration};

use crate::{
    error::Reason,
    gate::{Answered, Barred, Gate, Pass, Verdict},
    instant::Instant,
    live::{Counted, EndpointLive},
};

/// A try that an endpoint's gate let in. Dropping it ends the try; if nothing was said of it until then, without a verdict.
#[derive(Debug)]
pub(crate) struct Attempt {
    endpoint: Arc<EndpointLive>,
    /// Nanoseconds after the endpoint became known: half as long as a moment.
    started: u64,
    stage: Stage,
    /// Where the load of an endpoint has a bound, its place among all requests to the upstream.
    counted: Option<Counted>,
}

/// What the head of a backend's final response says of how the try went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// The status.
    pub(crate) status: u16,
    /// The status of gRPC of a response that is nothing else, if it is no success.
    pub(crate) grpc: Option<u8>,
}

impl Said {
    /// What a response with `status` says. Only one without a body can be nothing but a status of gRPC: `grpc` is asked then.
    pub(crate) fn new(status: u16, is_empty: bool, grpc: impl FnOnce() -> Option<u8>) -> Self {
        Self { status, grpc: if is_empty { grpc() } else { None } }
    }
}

/// How far a try is. It is one call of the breaker, whatever is said of it.
#[derive(Debug)]
enum Stage {
    /// There is no verdict yet.
    Let(Pass),
    /// It was counted as a success, and its response is not over.
    Answered(Answered),
    /// Nothing more is to be said.
    Over,
}

impl Attempt {
    /// Begins a try at `endpoint`, if its gate lets it in.
    pub(crate) fn begin(endpoint: &Arc<EndpointLive>, now: Instant) -> Result<Self, Barred> {
        let pass = endpoint.gate.enter(now)?;
        endpoint.load.begin();
        Ok(Self {
            endpoint: Arc::clone(endpoint),
            started: endpoint.load.nanos(now),
            stage: Stage::Let(pass),
            counted: None,
        })
    }

    /// The same if fewer than `limit` requests are under way there.
    pub(crate) fn begin_below(endpoint: &Arc<EndpointLive>, limit: u32, now: Instant) -> Option<Self> {
        if !endpoint.load.begin_below(limit) {
            return None;
        }
        match endpoint.gate.enter(now) {
            Ok(pass) => Some(Self {
                endpoint: Arc::clone(endpoint),
                started: endpoint.load.nanos(now),
                stage: Stage::Let(pass),
                counted: None,
            }),
            Err(_) => {
                endpoint.load.cancel();
                None
            }
        }
    }

    /// Keeps the place of the request among all to its upstream, as long as the try lasts.
    pub(crate) fn counts(&mut self, counted: Counted) {
        self.counted = Some(counted);
    }

    /// Says that it really begins `now`: it was let in before a pause.
    pub(crate) fn begins(&mut self, now: Instant) {
        self.started = self.endpoint.load.nanos(now);
    }

    /// Where it is made.
    pub(crate) fn endpoint(&self) -> &Arc<EndpointLive> {
        &self.endpoint
    }

    /// How long it has taken until `now`.
    pub(crate) fn took(&self, now: Instant) -> Duration {
        Duration::from_nanos(self.endpoint.load.nanos(now).saturating_sub(self.started))
    }

    /// Notes the head of the backend's final response: the try is judged by it.
    /// The client was waited for as long as it `held` the try up.
    pub(crate) fn answered(&mut self, said: Said, held: Duration, at: Instant) {
        self.judge(held, at, |gate, pass, took| gate.judge_answer(pass, (said.status, said.grpc), took, at));
    }

    /// Notes that the try failed for `reason`: counts it, and judges it if the backend is at fault.
    pub(crate) fn failed(&mut self, reason: Reason, held: Duration, at: Instant) {
        let metrics = &self.endpoint.metrics;
        match reason {
            // The time of a whole request is also used up by a client that takes its response slowly.
            Reason::TotalTimeout if !matches!(self.stage, Stage::Let(_)) => return,
            Reason::ConnectFailed | Reason::ConnectTimeout => drop(metrics.connect_failures.inc()),
            Reason::UpstreamTimeout | Reason::TotalTimeout => drop(metrics.timeouts.inc()),
            Reason::UpstreamReset | Reason::BadResponse => drop(metrics.resets.inc()),
            // Not the backend's fault.
            _ => return,
        }
        self.judge(held, at, |gate, pass, took| (Verdict::Failure, gate.judge(pass, Verdict::Failure, took, at)));
        // A response that began and was cut off.
        if let Stage::Answered(answered) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.endpoint.gate.amend(answered, at);
        }
    }

    /// Has the gate `judge` the try, if it was not yet, by how long it took.
    fn judge(
        &mut self,
        held: Duration,
        at: Instant,
        judge: impl FnOnce(&Gate, Pass, Duration) -> (Verdict, Option<Answered>),
    ) {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        self.stage = match stage {
            Stage::Let(pass) => {
                let took = self.took(at).saturating_sub(held);
                let (verdict, answered) = judge(&self.endpoint.gate, pass, took);
                match verdict {
                    Verdict::Success => self.endpoint.load.answered(took, at),
                    Verdict::Failure => self.endpoint.load.failed(took, at),
                }
                answered.map_or(Stage::Over, Stage::Answered)
            }
            other => other,
        };
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.endpoint.load.end();
        if let Stage::Let(pass) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.endpoint.gate.leave(pass);
        }
    }
}
