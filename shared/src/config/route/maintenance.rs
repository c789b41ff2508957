use serde::{Deserialize, Serialize};

use crate::{
    config::is_millis,
    value::{Cidr, TimeSpan},
};

/// A switch that takes a route out of service: 503 `maintenance` with `Retry-After`, whatever its action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"enabled": true, "retry_after": "10m", "allow": ["10.0.0.0/8"]}))))]
#[serde(default, deny_unknown_fields)]
pub struct Maintenance {
    /// Whether the route is out of service.
    #[serde(skip_serializing_if = "crate::config::is_default")]
    pub enabled: bool,
    /// When clients should come back, in whole seconds. 5 min unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<300_000>")]
    pub retry_after: TimeSpan,
    /// Clients that are served all the same, by their address past trusted proxies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Cidr>,
}

impl Default for Maintenance {
    fn default() -> Self {
        Self { enabled: false, retry_after: TimeSpan::from_secs(300), allow: Vec::new() }
    }
}
