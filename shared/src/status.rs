//! Live state of upstreams and endpoints: what a data plane reports, and what the status and events endpoints show.
//!
//! The words are the same in the log, the metrics, the status endpoint and the event stream.

use serde::{Deserialize, Serialize};

use crate::value::{Name, Timestamp};

/// What an operator wants of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AdminState {
    /// It takes requests.
    #[default]
    Active,
    /// It finishes what is open and keeps its sessions, and takes nothing new.
    Draining,
    /// It takes nothing.
    Disabled,
}

impl AdminState {
    /// The word for it, everywhere.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}

/// What health checks say of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It is not checked.
    #[default]
    Unchecked,
    /// It is checked, and no check has ended yet.
    Pending,
    /// It passes its checks.
    Healthy,
    /// It fails its checks.
    Unhealthy,
}

impl Health {
    /// The word for it, everywhere.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Pending => "pending",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls pass and are counted.
    #[default]
    Closed,
    /// No call passes.
    Open,
    /// A few trial calls pass.
    HalfOpen,
}

impl BreakerState {
    /// The word for it, everywhere.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What follows for an endpoint from admin state, health and breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EffectiveState {
    /// It takes requests.
    #[default]
    Serving,
    /// It takes requests, though it fails its checks, for all endpoints of its upstream do (panic mode).
    Panic,
    /// Its breaker lets trial calls pass.
    Probing,
    /// It takes requests of its sessions only.
    Draining,
    /// It takes nothing: its checks fail, or none has passed yet.
    Unhealthy,
    /// It takes nothing: its breaker is open.
    BreakerOpen,
    /// It takes nothing: an operator said so.
    Disabled,
}

impl EffectiveState {
    /// The word for it, everywhere.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Panic => "panic",
            Self::Probing => "probing",
            Self::Draining => "draining",
            Self::Unhealthy => "unhealthy",
            Self::BreakerOpen => "breaker_open",
            Self::Disabled => "disabled",
        }
    }
}

/// One endpoint as one data plane sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EndpointStatus {
    /// The backend that it belongs to.
    pub backend: Name,
    /// Its address: `IP:port` or `unix:/path`.
    pub address: String,
    /// Its weight, its share of its backend's if that has several addresses.
    pub weight: f64,
    /// Whether it is a backup.
    pub backup: bool,
    /// What follows from the three states below.
    pub state: EffectiveState,
    /// Why, in one word: that of the input which decides.
    pub reason: String,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// What the operator wants.
    pub admin: AdminState,
    /// Since when; absent where a data plane does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_since: Option<Timestamp>,
    /// What checks say.
    pub health: HealthStatus,
    /// What its breaker says.
    pub breaker: BreakerStatus,
    /// What it has to do.
    pub load: LoadStatus,
    /// Its last transitions, the newest first; at most [`Self::TRANSITIONS`].
    #[serde(default)]
    pub transitions: Vec<Transition>,
}

impl EndpointStatus {
    /// Transitions that are shown.
    pub const TRANSITIONS: usize = 8;
}

/// What health checks say, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HealthStatus {
    /// The state.
    pub state: Health,
    /// Since when.
    pub since: Timestamp,
    /// Why, in one word, whichever input decides.
    #[serde(default)]
    pub reason: String,
    /// How the last check ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check: Option<CheckStatus>,
}

/// How a health check ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckStatus {
    /// When.
    pub at: Timestamp,
    /// Whether it passed.
    pub passed: bool,
    /// What was seen, in a few words: `status 503`, `connection refused`.
    pub detail: String,
    /// How long it took, in microseconds.
    pub duration_us: u64,
}

/// What a breaker says, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BreakerStatus {
    /// The state.
    pub state: BreakerState,
    /// Since when.
    pub since: Timestamp,
    /// Why, in one word, whichever input decides.
    #[serde(default)]
    pub reason: String,
    /// When trial calls may pass; only while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_until: Option<Timestamp>,
    /// What forces it: `force_open` or `force_closed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<String>,
    /// Calls in the window.
    pub calls: u32,
    /// Failed ones of them.
    pub failed: u32,
    /// Slow ones of them.
    pub slow: u32,
    /// Failed calls in per cent; absent while there are fewer than `minimum_number_of_calls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_rate: Option<f64>,
    /// Slow calls in per cent; absent while there are fewer than `minimum_number_of_calls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_call_rate: Option<f64>,
    /// Trial calls that may still pass while half-open.
    pub permits: u32,
    /// How often it opened without having closed in between.
    pub consecutive_openings: u32,
}

/// What an endpoint has to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct LoadStatus {
    /// Requests on their way there or back.
    pub in_flight: u32,
    /// Requests that wait for a connection.
    pub queued: u32,
    /// Connections with a request on them.
    pub connections_busy: u32,
    /// Connections without.
    pub connections_idle: u32,
    /// Tries since the endpoint is known.
    pub requests: u64,
    /// Tries a second, over the time between the last two reports; only the control plane knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    /// Failed tries since the endpoint is known.
    pub failures: u64,
    /// Time to the response head, median of the last minutes, in microseconds; absent without requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p50_us: Option<u64>,
    /// The same for the slowest in a hundred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p99_us: Option<u64>,
    /// The same as a moving average that follows peaks at once, as `peak_ewma` balances by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ewma_us: Option<u64>,
    /// Sessions that began there since the endpoint is known: clients that got its cookie. Absent where the upstream is not `sticky`.
    /// How many go on nobody knows: only the clients have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
}

/// One upstream as one data plane sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpstreamStatus {
    /// Its name.
    pub upstream: Name,
    /// Whether all its endpoints fail their checks and are used all the same.
    pub panic: bool,
    /// The retries that it may still spend.
    pub retry_budget: BudgetStatus,
    /// Its endpoints by backend, then address.
    pub endpoints: Vec<EndpointStatus>,
}

/// What is left of a retry budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct BudgetStatus {
    /// Retries that may begin now.
    pub available: u64,
    /// Retries that began.
    pub spent: u64,
    /// Retries that were not made for want of budget.
    pub refused: u64,
}

/// A change of an endpoint's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// What changed.
    pub input: Input,
    /// The state before.
    pub from: String,
    /// The state after.
    pub to: String,
    /// Why, in one word.
    pub reason: String,
}

/// What of an endpoint's state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The admin state.
    Admin,
    /// The health.
    Health,
    /// The breaker.
    Breaker,
    /// The effective state, as it follows.
    Effective,
}

impl Input {
    /// The word for it, everywhere.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Health => "health",
            Self::Breaker => "breaker",
            Self::Effective => "effective",
        }
    }
}

/// A transition, and of which endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// The upstream.
    pub upstream: Name,
    /// The backend.
    pub backend: Name,
    /// The endpoint's address.
    pub address: String,
    /// What happened.
    #[serde(flatten)]
    pub transition: Transition,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_as_in_json() {
        let json = |value: serde_json::Value| value.as_str().unwrap().to_owned();
        for state in [
            EffectiveState::Serving,
            EffectiveState::Panic,
            EffectiveState::Probing,
            EffectiveState::Draining,
            EffectiveState::Unhealthy,
            EffectiveState::BreakerOpen,
            EffectiveState::Disabled,
        ] {
            assert_eq!(json(serde_json::to_value(state).unwrap()), state.word());
        }
        for state in [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen] {
            assert_eq!(json(serde_json::to_value(state).unwrap()), state.word());
        }
        for state in [Health::Unchecked, Health::Pending, Health::Healthy, Health::Unhealthy] {
            assert_eq!(json(serde_json::to_value(state).unwrap()), state.word());
        }
        for state in [AdminState::Active, AdminState::Draining, AdminState::Disabled] {
            assert_eq!(json(serde_json::to_value(state).unwrap()), state.word());
        }
        for input in [Input::Admin, Input::Health, Input::Breaker, Input::Effective] {
            assert_eq!(json(serde_json::to_value(input).unwrap()), input.word());
        }
    }
}
