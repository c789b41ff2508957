use serde::{Deserialize, Serialize};

use super::is;

/// How many retries the backends of an upstream are burdened with at most, over all workers of a data plane: a share of the
/// requests of the last 10 s, and so many a second in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"percent": 10, "min_per_second": 5}))))]
#[serde(default, deny_unknown_fields)]
pub struct RetryBudget {
    /// Retries in per cent of the requests, 0 to 100. 20 unless said otherwise.
    #[serde(skip_serializing_if = "is::<20, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 100))]
    pub percent: u8,
    /// Retries a second that are allowed besides, 0 to 10000. 3 unless said otherwise.
    #[serde(skip_serializing_if = "is::<3, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 10_000))]
    pub min_per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, min_per_second: 3 }
    }
}
