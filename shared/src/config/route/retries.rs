use serde::{Deserialize, Serialize};

use crate::{
    config::{is, is_default, is_millis},
    value::{Method, RetryOn, TimeSpan},
};

/// When a request is tried again, before its client is told anything.
///
/// What a try was answered with, or why it was not, is decided on by the head of the backend's response; nothing is tried again
/// behind the first byte that went to the client. All tries together stay within the route's `timeouts.total`, and retries
/// within the upstream's `retry_budget`. Another endpoint comes first. What was sent of a body is kept for that, up to 64 KiB of each
/// request and 64 MiB of all that a data plane has under way; a request of which more was sent is not tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"attempts": 2, "on": ["connect_failure", "reset", "timeout", "502-504", "grpc:unavailable"], "methods": ["POST"], "per_try_timeout": "2s", "backoff": {"base": "25ms", "max": "250ms"}}), json!({"attempts": 0}))))]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// Further tries of one request, 0 to 10; 0 tries none again. 1 unless said otherwise.
    #[serde(skip_serializing_if = "is::<1, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 10))]
    pub attempts: u8,
    /// What a request is tried again for. `[connect_failure, reset, timeout]` unless said otherwise.
    #[serde(skip_serializing_if = "is_usual")]
    pub on: Vec<RetryOn>,
    /// Methods besides the idempotent ones (GET, HEAD, PUT, DELETE, OPTIONS, TRACE) whose requests may reach backends more than
    /// once. Others are tried again only if nothing of them was sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
    /// How long one try may take: getting a connection, and waiting for the response head once all of the request was sent; then it
    /// counts as timed out. No limit of its own unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<TimeSpan>,
    /// How long is waited before each further try.
    #[serde(skip_serializing_if = "is_default")]
    pub backoff: Backoff,
}

/// How long is waited before a further try: by chance from nothing to `base`, twice as much before each one more, up to `max`.
///
/// A backend that says when to come back (`Retry-After`) is given that time, if it is no more than 5 s and within the request's
/// time; else its response is passed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"base": "50ms", "max": "1s"}))))]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// The most before the first further try, up to 10s; `0s` waits for nothing. 25 ms unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<25>")]
    pub base: TimeSpan,
    /// The most before any, up to 60s. 250 ms unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<250>")]
    pub max: TimeSpan,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 1, on: usual(), methods: Vec::new(), per_try_timeout: None, backoff: Backoff::default() }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: TimeSpan::from_millis(25), max: TimeSpan::from_millis(250) }
    }
}

fn usual() -> Vec<RetryOn> {
    vec![RetryOn::ConnectFailure, RetryOn::Reset, RetryOn::Timeout]
}

fn is_usual(value: &Vec<RetryOn>) -> bool {
    *value == usual()
}
