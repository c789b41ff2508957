use serde::{Deserialize, Serialize};

use super::{is, is_default, is_millis};
use crate::value::TimeSpan;

/// How long connections to the backends of an upstream are kept. A change acts on connections that are open, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"idle_timeout": "30s", "max_idle": 64, "max_requests": 10000}))))]
#[serde(default, deny_unknown_fields)]
pub struct Pool {
    /// How long a connection may lie idle, up to 1d. Keep it below the backend's own limit; where the backend tells its own
    /// (`Keep-Alive: timeout=`), 1 s less than that counts if it is shorter.
    #[serde(skip_serializing_if = "is_millis::<55_000>")]
    pub idle_timeout: TimeSpan,
    /// Idle connections that each worker keeps to each backend, 0 to 100000; 0 keeps none.
    #[serde(skip_serializing_if = "is::<1024, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 100_000))]
    pub max_idle: u32,
    /// A connection that was opened longer ago takes no further request, up to 30d. None: no matter how long ago.
    #[serde(skip_serializing_if = "is_default")]
    pub max_age: Option<TimeSpan>,
    /// Requests that one connection takes, 1 to 1000000. None: no matter how many.
    #[serde(skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_000_000))]
    pub max_requests: Option<u32>,
    /// How long a backend may be silent on an HTTP/2 connection on which requests are under way; then it is sent a PING. Up to
    /// 1d, 25 s unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<25_000>")]
    pub ping_interval: TimeSpan,
    /// How long it may go on being silent after that; then the connection is closed. Up to 1d, 25 s unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<25_000>")]
    pub ping_timeout: TimeSpan,
}

impl Default for Pool {
    fn default() -> Self {
        // Many servers close after 60 s.
        Self {
            idle_timeout: TimeSpan::from_secs(55),
            max_idle: 1024,
            max_age: None,
            max_requests: None,
            ping_interval: TimeSpan::from_secs(25),
            ping_timeout: TimeSpan::from_secs(25),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_an_empty_object() {
        assert_eq!(serde_json::to_string(&Pool::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Pool>("{}").unwrap(), Pool::default());
    }
}
