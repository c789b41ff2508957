use serde::{Deserialize, Serialize};

use super::{is, is_default, is_millis, is_true};
use crate::value::{GrpcStatus, StatusRange, TimeSpan};

/// When the circuit breaker of each backend of an upstream opens, and how it closes again.
///
/// The names and meanings are Resilience4j's. One call is one try at one endpoint; it is judged when the head of the response has
/// come. A request whose client went away counts nowhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"sliding_window_size": 200, "failure_rate_threshold": 40, "slow_call_duration_threshold": "2s", "slow_call_rate_threshold": 80, "wait_duration_in_open_state": "5s", "failure_statuses": ["500-599"], "failure_grpc_statuses": ["unavailable", "internal"]}), json!({"sliding_window_type": "time", "sliding_window_size": 30, "minimum_number_of_calls": 50}), json!({"enabled": false}))))]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// Whether there is one. Without it no call is counted and none is refused.
    #[serde(skip_serializing_if = "is_true")]
    pub enabled: bool,
    /// Whether the window holds the last calls or the last seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub sliding_window_type: SlidingWindowType,
    /// Calls (`count`) or seconds (`time`) in the window, 1 to 10000.
    #[serde(skip_serializing_if = "is::<100, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 10000))]
    pub sliding_window_size: u32,
    /// Calls that the window must hold before a rate is judged, 1 to 100000; with `count` at most `sliding_window_size` count.
    #[serde(skip_serializing_if = "is::<20, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100000))]
    pub minimum_number_of_calls: u32,
    /// Opens at this share of failed calls, 1 to 100 per cent.
    #[serde(skip_serializing_if = "is::<50, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100))]
    pub failure_rate_threshold: u8,
    /// A call that takes longer is slow.
    #[serde(skip_serializing_if = "is_millis::<60_000>")]
    pub slow_call_duration_threshold: TimeSpan,
    /// Opens at this share of slow calls, 1 to 100 per cent.
    #[serde(skip_serializing_if = "is::<100, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100))]
    pub slow_call_rate_threshold: u8,
    /// How long the breaker stays open before it lets trial calls through.
    #[serde(skip_serializing_if = "is_millis::<10_000>")]
    pub wait_duration_in_open_state: TimeSpan,
    /// By how much that wait grows each time the breaker opens again, 1 to 10. It is as short as at first once the breaker has
    /// stayed closed for longer than it last stayed open.
    #[serde(skip_serializing_if = "is_double")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 10))]
    pub wait_backoff_factor: f64,
    /// The longest that the wait becomes; a `wait_duration_in_open_state` above it holds as it is and does not grow.
    #[serde(skip_serializing_if = "is_millis::<60_000>")]
    pub max_wait_duration_in_open_state: TimeSpan,
    /// Trial calls while half-open, 1 to 1000: no more are under way at any time. When so many have ended, the breaker closes, or
    /// opens again if one of their rates reaches its threshold.
    #[serde(skip_serializing_if = "is::<5, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000))]
    pub permitted_number_of_calls_in_half_open_state: u32,
    /// How long half-open may last before the breaker opens again; `0s` waits for all trial calls.
    #[serde(skip_serializing_if = "is_millis::<0>")]
    pub max_wait_duration_in_half_open_state: TimeSpan,
    /// Statuses of the backend that count as failures.
    #[serde(skip_serializing_if = "is_gateway_statuses")]
    pub failure_statuses: Vec<StatusRange>,
    /// Statuses of gRPC that count as failures, whatever the status of HTTP is: of a response that is nothing else (trailers only)
    /// and of a type `application/grpc`. `[unavailable]` unless said otherwise.
    #[serde(skip_serializing_if = "is_unavailable")]
    pub failure_grpc_statuses: Vec<GrpcStatus>,
}

/// What a breaker's window counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SlidingWindowType {
    /// The last `sliding_window_size` calls.
    #[default]
    Count,
    /// The calls of the last `sliding_window_size` seconds.
    Time,
}

/// What an operator makes of a backend's breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BreakerOverride {
    /// It opens and closes by itself.
    #[default]
    Auto,
    /// It is open: nothing goes to the backend.
    ForceOpen,
    /// It is closed and counts, and never opens.
    ForceClosed,
}

const DOUBLE: f64 = 2.0;

fn is_double(factor: &f64) -> bool {
    *factor == DOUBLE
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            enabled: true,
            sliding_window_type: SlidingWindowType::Count,
            sliding_window_size: 100,
            minimum_number_of_calls: 20,
            failure_rate_threshold: 50,
            slow_call_duration_threshold: TimeSpan::from_secs(60),
            slow_call_rate_threshold: 100,
            wait_duration_in_open_state: TimeSpan::from_secs(10),
            wait_backoff_factor: DOUBLE,
            max_wait_duration_in_open_state: TimeSpan::from_secs(60),
            permitted_number_of_calls_in_half_open_state: 5,
            max_wait_duration_in_half_open_state: TimeSpan::from_millis(0),
            failure_statuses: gateway_statuses(),
            failure_grpc_statuses: vec![GrpcStatus::UNAVAILABLE],
        }
    }
}

fn gateway_statuses() -> Vec<StatusRange> {
    StatusRange::new(502, 504).into_iter().collect()
}

fn is_gateway_statuses(value: &Vec<StatusRange>) -> bool {
    *value == gateway_statuses()
}

fn is_unavailable(value: &Vec<GrpcStatus>) -> bool {
    *value == [GrpcStatus::UNAVAILABLE]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_an_empty_object() {
        assert_eq!(serde_json::to_string(&Breaker::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Breaker>("{}").unwrap(), Breaker::default());
    }
}
