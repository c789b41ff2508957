use serde::{Deserialize, Serialize};

use super::{is, is_default, is_millis};
use crate::value::{StatusRange, TimeSpan};

/// When the circuit breaker of each backend of an upstream opens, and how it closes again.
///
/// The names and meanings are Resilience4j's. Stored and validated; it does not act on traffic yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// Whether the window holds the last calls or the last seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub sliding_window_type: SlidingWindowType,
    /// Calls (`count`) or seconds (`time`) in the window, 1 to 10000.
    #[serde(skip_serializing_if = "is::<100, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 10000))]
    pub sliding_window_size: u32,
    /// Calls that the window must hold before a rate is judged, 1 to 100000.
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
    /// Trial calls while half-open, 1 to 1000.
    #[serde(skip_serializing_if = "is::<5, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000))]
    pub permitted_number_of_calls_in_half_open_state: u32,
    /// How long half-open may last before the breaker opens again; `0s` waits for all trial calls.
    #[serde(skip_serializing_if = "is_millis::<0>")]
    pub max_wait_duration_in_half_open_state: TimeSpan,
    /// Statuses of the backend that count as failures.
    #[serde(skip_serializing_if = "is_gateway_statuses")]
    pub failure_statuses: Vec<StatusRange>,
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

impl Default for Breaker {
    fn default() -> Self {
        Self {
            sliding_window_type: SlidingWindowType::Count,
            sliding_window_size: 100,
            minimum_number_of_calls: 20,
            failure_rate_threshold: 50,
            slow_call_duration_threshold: TimeSpan::from_secs(60),
            slow_call_rate_threshold: 100,
            wait_duration_in_open_state: TimeSpan::from_secs(10),
            permitted_number_of_calls_in_half_open_state: 5,
            max_wait_duration_in_half_open_state: TimeSpan::from_millis(0),
            failure_statuses: gateway_statuses(),
        }
    }
}

fn gateway_statuses() -> Vec<StatusRange> {
    StatusRange::new(502, 504).into_iter().collect()
}

fn is_gateway_statuses(value: &Vec<StatusRange>) -> bool {
    *value == gateway_statuses()
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
