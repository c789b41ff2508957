//! One try of a request at an endpoint.

use std::{sync::Arc, time::Instant};

use crate::{
    error::Reason,
    gate::{Barred, Pass, Verdict},
    live::EndpointLive,
};

/// A try that an endpoint's gate let in. Dropping it ends the try; if nothing was said of it until then, without a verdict.
#[derive(Debug)]
pub(crate) struct Attempt {
    endpoint: Arc<EndpointLive>,
    started: Instant,
    /// Until there is a verdict.
    pass: Option<Pass>,
}

impl Attempt {
    /// Begins a try at `endpoint`, if its gate lets it in.
    pub(crate) fn begin(endpoint: &Arc<EndpointLive>, now: Instant) -> Result<Self, Barred> {
        let pass = endpoint.gate.enter(now)?;
        endpoint.metrics.in_flight.inc();
        Ok(Self { endpoint: Arc::clone(endpoint), started: now, pass: Some(pass) })
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
            self.endpoint.gate.judge(pass, verdict, at.saturating_duration_since(self.started), at);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.endpoint.metrics.in_flight.dec();
        if let Some(pass) = self.pass.take() {
            self.endpoint.gate.leave(pass);
        }
    }
}
