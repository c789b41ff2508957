use std::sync::atomic::Ordering;

use tokio::time::{Instant, timeout_at};
use tracing::warn;

use shared::{
    Findings,
    config::Config,
    protocol::{Check, Command, InstanceId, ListenerFault, ToData},
    value::Name,
};

use super::{State, bounds, publication};

/// Why a configuration would not apply on one data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFault {
    /// Which data plane.
    pub instance: InstanceId,
    /// What it cannot act on; pointers into the configuration.
    pub findings: Findings,
    /// Listeners that it cannot bind.
    pub listeners: Vec<ListenerFault>,
}

/// What became of a command on one data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Which data plane.
    pub instance: InstanceId,
    /// Why it was not carried out, if it was not.
    pub refused: Option<String>,
}

/// Has all data planes reset the breakers of a backend, and gathers what comes back in time.
pub(super) async fn reset_breaker(state: &State, upstream: &Name, backend: &Name) -> Vec<Reset> {
    let deadline = Instant::now() + state.limits.check;
    let id = state.checks.fetch_add(1, Ordering::Relaxed);
    let command = Command::ResetBreaker { id, upstream: upstream.clone(), backend: backend.clone() };
    let Some(frame) = publication::encode(&ToData::Command(command)) else { return Vec::new() };
    let mut resets = Vec::new();
    for (instance, answer) in state.registry.ask(id, &frame) {
        let refused = match timeout_at(deadline, answer).await {
            Ok(Ok(checked)) if !checked.findings.has_errors() => None,
            Ok(Ok(checked)) => Some(bounds::text(&checked.findings.to_string(), bounds::MESSAGE)),
            Ok(Err(_)) => Some("it went before it answered".to_owned()),
            Err(_) => Some("it did not answer in time".to_owned()),
        };
        resets.push(Reset { instance, refused });
    }
    resets
}

/// Asks all data planes at once, under one id that is never used again, and gathers what comes back in time.
pub(super) async fn ask(state: &State, config: &Config) -> Vec<CheckFault> {
    let deadline = Instant::now() + state.limits.check;
    if state.registry.connected().is_empty() {
        return Vec::new();
    }
    let id = state.checks.fetch_add(1, Ordering::Relaxed);
    let body = serde_json::value::to_raw_value(config).expect("configuration types have string keys only");
    let Some(frame) = publication::encode(&ToData::Check(Check { id, body })) else { return Vec::new() };

    let mut faults = Vec::new();
    for (instance, answer) in state.registry.ask(id, &frame) {
        // One deadline for all, so waiting for one after the other is waiting for all at once.
        match timeout_at(deadline, answer).await {
            Ok(Ok(checked)) => {
                if checked.findings.has_errors() || !checked.listeners.is_empty() {
                    let findings = bounds::findings(checked.findings);
                    faults.push(CheckFault { instance, findings, listeners: bounds::listeners(checked.listeners) });
                }
            }
            Ok(Err(_)) => {
                warn!(data_plane = %instance, "the data plane cannot be asked, or went before it answered a check")
            }
            Err(_) => warn!(
                data_plane = %instance,
                limit_ms = state.limits.check.as_millis(),
                "the data plane did not answer a check in time; the change goes on without its word"
            ),
        }
    }
    faults
}
