//! One try of a request at an endpoint.

use std::{sync::Arc, time::Instant};

use crate::{
    error::Reason,
    gate::{Barred, Pass, Verdict},
    live::{Counted, EndpointLive},
};

/// A try that an endpoint's gate let in. Dropping it ends the try; if nothing was said of it until then, without a verdict.
#[derive(Debug)]
pub(crate) struct Attempt {
    endpoint: Arc<EndpointLive>,
    started: Instant,
    /// Until there is a verdict.
    pass: Option<Pass>,
    /// Where the load of an endpoint has a bound, its place among all requests to the upstream.
    counted: Option<Counted>,
}

impl Attempt {
    /// Begins a try at `endpoint`, if its gate lets it in.
    pub(crate) fn begin(endpoint: &Arc<EndpointLive>, now: Instant) -> Result<Self, Barred> {
        let pass = endpoint.gate.enter(now)?;
        endpoint.load.begin();
        Ok(Self { endpoint: Arc::clone(endpoint), started: now, pass: Some(pass), counted: None })
    }

    /// The same if fewer than `limit` requests are under way there.
    pub(crate) fn begin_below(endpoint: &Arc<EndpointLive>, limit: u32, now: Instant) -> Option<Self> {
        if !endpoint.load.begin_below(limit) {
            return None;
        }
        match endpoint.gate.enter(now) {
            Ok(pass) => Some(Self { endpoint: Arc::clone(endpoint), started: now, pass: Some(pass), counted: None }),
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

    /// Where it is made.
    pub(crate) fn endpoint(&self) -> &Arc<EndpointLive> {
        &self.endpoint
    }

    /// Notes the head of the backend's final response: the try is judged by it.
    pub(crate) fn answered(&mut self, status: u16, at: Instant) {
        let verdict = if self.endpoint.gate.is_failure(status) { Verdict::Failure } else { Verdict::Success };
        self.judge(verdict, at);
    }

    /// Notes that the try failed for `reason`: counts it, and judges it if the backend is at fault.
    pub(crate) fn failed(&mut self, reason: Reason, at: Instant) {
        let metrics = &self.endpoint.metrics;
        match reason {
            Reason::ConnectFailed | Reason::ConnectTimeout => drop(metrics.connect_failures.inc()),
            Reason::UpstreamTimeout | Reason::TotalTimeout => drop(metrics.timeouts.inc()),
            Reason::UpstreamReset | Reason::BadResponse => drop(metrics.resets.inc()),
            // Not the backend's fault.
            _ => return,
        }
        self.judge(Verdict::Failure, at);
    }

    fn judge(&mut self, verdict: Verdict, at: Instant) {
        if let Some(pass) = self.pass.take() {
            let took = at.saturating_duration_since(self.started);
            match verdict {
                Verdict::Success => self.endpoint.load.answered(took, at),
                Verdict::Failure => self.endpoint.load.failed(took, at),
            }
            self.endpoint.gate.judge(pass, verdict, took, at);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.endpoint.load.end();
        if let Some(pass) = self.pass.take() {
            self.endpoint.gate.leave(pass);
        }
    }
}
