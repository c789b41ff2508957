use serde::{Deserialize, Serialize};

use super::{Forward, Respond};

/// What happens to a request for which no endpoint may be used: all breakers are open, all are unhealthy, there is none, or none has
/// room within the `max_connections` of its backend (`queue_full`, `connections_exhausted`).
///
/// It is applied once, to a request that was sent nowhere yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"forward": {"upstream": "shop-static"}}), json!({"respond": {"status": 503, "headers": {"retry-after": "30"}, "body": "Back soon.\n"}}))))]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// It is sent to a backend of another upstream; if that has none either, it is answered 503.
    Forward(Forward),
    /// It is answered.
    Respond(Respond),
}
