use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{is, is_default, is_millis, is_true};
use crate::value::{FieldName, Method, StatusRange, TimeSpan};

/// How the endpoints of an upstream are checked, beside what requests tell. One of `http`, `tcp` and `grpc` says what a check is.
///
/// Each data plane checks every endpoint once, however many threads it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"http": {"path": "/healthz", "expect": ["200-299"], "body_contains": "ok"}, "interval": "5s", "interval_down": "1s", "rise": 2, "fall": 3}), json!({"grpc": {"service": "shop.v1.Shop"}, "first_state": "probe_first", "panic": false}), json!({"tcp": {}}))))]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheck {
    /// A request, by the protocol of the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// A connection that is made, and closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpCheck>,
    /// A call of `grpc.health.v1.Health/Check`, over HTTP/2 without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcCheck>,
    /// From one check to the next, 100ms to 1d.
    #[serde(skip_serializing_if = "is_millis::<5_000>")]
    pub interval: TimeSpan,
    /// The same while the endpoint fails its checks, if that is shorter.
    #[serde(skip_serializing_if = "is_millis::<2_000>")]
    pub interval_down: TimeSpan,
    /// By how much of it each interval differs, at random, 0 to 50 per cent: endpoints are not checked all at one moment.
    #[serde(skip_serializing_if = "is::<10, _>")]
    #[cfg_attr(feature = "openapi", schema(maximum = 50))]
    pub jitter: u8,
    /// How long a check may take, up to 1m.
    #[serde(skip_serializing_if = "is_millis::<1_000>")]
    pub timeout: TimeSpan,
    /// Checks in a row that must pass until an endpoint that failed is healthy, 1 to 100.
    #[serde(skip_serializing_if = "is::<2, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100))]
    pub rise: u32,
    /// Checks in a row that must fail until an endpoint is unhealthy, 1 to 100.
    #[serde(skip_serializing_if = "is::<3, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100))]
    pub fall: u32,
    /// What an endpoint is until its first check has ended.
    #[serde(skip_serializing_if = "is_default")]
    pub first_state: FirstState,
    /// Whether all endpoints are used, as if none failed, when all fail their checks: more likely the checks are wrong than
    /// everything is down. Without it such requests are answered 503 `no_backend`.
    #[serde(skip_serializing_if = "is_true")]
    pub panic: bool,
}

/// A request whose response tells of health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"method": "HEAD", "path": "/healthz", "host": "shop.example.com", "headers": {"x-check": "1"}, "expect": ["200", "204"]}))))]
#[serde(default, deny_unknown_fields)]
pub struct HttpCheck {
    /// The method; there is no body.
    #[serde(skip_serializing_if = "is_get")]
    pub method: Method,
    /// The path, maybe with a query.
    #[serde(skip_serializing_if = "is_root")]
    pub path: String,
    /// The `Host`; the backend's address unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Further header fields.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub headers: BTreeMap<FieldName, String>,
    /// Statuses that pass; 200 to 299 unless said otherwise.
    #[serde(skip_serializing_if = "is_success")]
    pub expect: Vec<StatusRange>,
    /// What the first 64 KiB of the body must contain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
}

/// A connection that is made, and closed: nothing to say of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TcpCheck {}

/// A call of the gRPC health service; `SERVING` passes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"service": "shop.v1.Shop", "host": "shop.example.com"}))))]
#[serde(default, deny_unknown_fields)]
pub struct GrpcCheck {
    /// The service that is asked for; the server as a whole unless said otherwise.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// The `:authority`; the backend's address unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// What an endpoint is until its first check has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FirstState {
    /// It takes requests.
    #[default]
    AssumeHealthy,
    /// It takes none; its first check, which is made at once, decides.
    ProbeFirst,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            http: None,
            tcp: None,
            grpc: None,
            interval: TimeSpan::from_secs(5),
            interval_down: TimeSpan::from_secs(2),
            jitter: 10,
            timeout: TimeSpan::from_secs(1),
            rise: 2,
            fall: 3,
            first_state: FirstState::AssumeHealthy,
            panic: true,
        }
    }
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self {
            method: get(),
            path: "/".to_owned(),
            host: None,
            headers: BTreeMap::new(),
            expect: success(),
            body_contains: None,
        }
    }
}

fn get() -> Method {
    "GET".parse().expect("GET is a method")
}

fn is_get(method: &Method) -> bool {
    method.as_str() == "GET"
}

fn is_root(path: &String) -> bool {
    path == "/"
}

fn success() -> Vec<StatusRange> {
    StatusRange::new(200, 299).into_iter().collect()
}

fn is_success(statuses: &Vec<StatusRange>) -> bool {
    *statuses == success()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_left_out() {
        assert_eq!(serde_json::to_string(&HealthCheck::default()).unwrap(), "{}");
        let text = r#"{"http":{}}"#;
        let check: HealthCheck = serde_json::from_str(text).unwrap();
        assert_eq!(check.http, Some(HttpCheck::default()));
        assert_eq!(serde_json::to_string(&check).unwrap(), text);
    }
}
