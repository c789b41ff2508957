mod action;
mod cors;
mod fallback;
mod headers;
mod maintenance;
mod retries;
mod rewrite;
mod split_cookie;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Named, RouteErrors, is_bytes, is_default, is_millis};
use crate::value::{AbsolutePath, ByteSize, Cidr, FieldName, HostPattern, HostPolicy, Method, Name, Pattern, TimeSpan};

pub use action::{Action, Forward, Redirect, Respond, SplitBy, SplitTarget, SplitWhen};
pub use cors::Cors;
pub use fallback::Fallback;
pub use headers::{HeaderRules, ResponseHeaderRules, SecurityHeaders};
pub use maintenance::Maintenance;
pub use retries::{Backoff, Retries};
pub use rewrite::{PathRewrite, QueryRewrite, RegexRewrite, ReplacePrefix, Rewrite};
pub use split_cookie::SplitCookie;

/// What to do with which request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"name": "shop", "match": {"hosts": ["shop.example.com"], "path": {"prefix": "/api"}}, "action": {"forward": {"upstream": "shop"}}, "rewrite": {"path": {"strip_prefix": "/api"}}, "request_headers": {"set": {"x-env": "prod"}, "remove": ["x-debug"]}, "response_headers": {"security": "basic", "remove": ["x-powered-by"]}, "limits": {"body": "10MiB"}, "cors": {"allow_origins": ["https://app.example.com"]}, "errors": {"replace_backend": true}}))))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Unique among routes.
    pub name: Name,
    /// Which requests the route is for; left out or empty, every request.
    #[serde(default, rename = "match", skip_serializing_if = "is_default")]
    pub matches: RouteMatch,
    /// What happens to them.
    pub action: Action,
    /// By what a split chooses among its weights: `random`, `client_address` or a `cookie`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub split_by: SplitBy,
    /// Which `Host` the backend sees: `preserve`, `backend`, or a literal.
    #[serde(default, skip_serializing_if = "is_default")]
    pub host: HostPolicy,
    /// How long each part of a request may take.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: RouteTimeouts,
    /// When a request is tried again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retries: Retries,
    /// What happens to a request for which no endpoint may be used; else it is answered 503 `no_backend`,
    /// `breaker_open`, `queue_full` or `connections_exhausted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// How much a request may bring.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: RouteLimits,
    /// Whether calls of gRPC-Web, binary or text, become calls of gRPC. The upstream must speak `h2c`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grpc_web: bool,
    /// How path and query are changed on their way to a backend.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rewrite: Rewrite,
    /// What becomes of the request's header fields on their way to a backend.
    #[serde(default, skip_serializing_if = "is_default")]
    pub request_headers: HeaderRules,
    /// What becomes of the header fields of a backend's response on their way to the client.
    #[serde(default, skip_serializing_if = "is_default")]
    pub response_headers: ResponseHeaderRules,
    /// Takes the route out of service.
    #[serde(default, skip_serializing_if = "is_default")]
    pub maintenance: Maintenance,
    /// Which pages of other origins may use the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// What the proxy's own answers look like when something is wrong, and whether they replace those of backends.
    #[serde(default, skip_serializing_if = "is_default")]
    pub errors: RouteErrors,
}

/// How much a request of a route may bring.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"body": "10MiB"}))))]
#[serde(default, deny_unknown_fields)]
pub struct RouteLimits {
    /// Bytes of a request body, without its framing; more is 413 `body_too_large`. Counted as it streams. The listener's limit
    /// holds too. No limit unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<ByteSize>,
}

/// How long each part of a request may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"connect": "1s", "first_byte": "30s", "total": "1m"}))))]
#[serde(default, deny_unknown_fields)]
pub struct RouteTimeouts {
    /// Getting a connection to a backend; then 504 `connect_timeout`. 2 s unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<2_000>")]
    pub connect: TimeSpan,
    /// How long the client may send nothing of its body; then 408. 60 s unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<60_000>")]
    pub request_body_idle: TimeSpan,
    /// Bytes a second that the client's body must bring on average, once it was waited for longer than 5 s in all; else 408.
    /// Time in which the backend takes nothing does not count. `0B` asks for nothing; 240 B unless said otherwise.
    #[serde(skip_serializing_if = "is_bytes::<240>")]
    pub request_body_min_rate: ByteSize,
    /// From the end of the request to the head of the response; then 504 `upstream_timeout`. 60 s unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<60_000>")]
    pub first_byte: TimeSpan,
    /// How long nothing may move once the response has begun; then it is cut off. 60 s unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<60_000>")]
    pub idle: TimeSpan,
    /// The whole request, from its head to the last byte of the response; then 504 `total_timeout`, or the response is cut
    /// off. No limit unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<TimeSpan>,
    /// How long an upgraded connection (WebSocket, …) may carry nothing in either direction; `total` does not end it. 1 h
    /// unless said otherwise.
    #[serde(skip_serializing_if = "is_millis::<3_600_000>")]
    pub tunnel_idle: TimeSpan,
}

impl Default for RouteTimeouts {
    fn default() -> Self {
        Self {
            connect: TimeSpan::from_secs(2),
            request_body_idle: TimeSpan::from_secs(60),
            request_body_min_rate: ByteSize::from_bytes(240),
            first_byte: TimeSpan::from_secs(60),
            idle: TimeSpan::from_secs(60),
            total: None,
            tunnel_idle: TimeSpan::from_secs(3600),
        }
    }
}

/// Which requests a route is for: all conditions that are given must hold.
///
/// Of all routes whose whole match holds, one takes the request: the first by host (exact, longest wildcard, any), then by path
/// (exact, longest prefix, regex with the longer pattern first, no path), then by the number of further conditions (one each for
/// `methods`, `client_cidrs` and `listeners`, one for each header and each query parameter), then by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"hosts": ["shop.example.com", "*.shop.example.com"], "path": {"prefix": "/api"}, "methods": ["GET", "POST"], "headers": {"x-beta": {"present": true}}, "query": {"v": {"exact": "2"}}, "client_cidrs": ["10.0.0.0/8"]}))))]
#[serde(default, deny_unknown_fields)]
pub struct RouteMatch {
    /// Any of these hosts. Hosts compare in lower case, without port and trailing dot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostPattern>,
    /// The canonical path: unreserved characters decoded, no dot segments, no empty segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// Any of these methods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Method>,
    /// All of these header fields; of a field that is sent repeatedly, one value is enough.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, ValueMatch>))]
    pub headers: BTreeMap<FieldName, ValueMatch>,
    /// All of these query parameters, compared after decoding; of a repeated one, one value is enough.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, ValueMatch>,
    /// Any of these client address ranges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_cidrs: Vec<Cidr>,
    /// Any of these listeners.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Name>,
}

/// How a path is compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// The whole path.
    Exact(AbsolutePath),
    /// Whole leading segments: `/api` is for `/api` and `/api/v1`, not for `/apis`; `/api/` is for what lies below `/api`.
    Prefix(AbsolutePath),
    /// The whole path matches.
    Regex(Pattern),
}

/// How the value of a header field or a query parameter is compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ValueMatch {
    /// The whole value, byte by byte.
    Exact(String),
    /// The beginning of the value.
    Prefix(String),
    /// The whole value matches.
    Regex(Pattern),
    /// `true`: sent, whatever the value; `false`: not sent.
    Present(bool),
}

impl Route {
    /// The upstreams that its requests may go to.
    pub fn upstreams(&self) -> impl Iterator<Item = &Name> {
        let fallback = self.fallback.as_ref().and_then(|fallback| match fallback {
            Fallback::Forward(forward) => Some(&forward.upstream),
            Fallback::Respond(_) => None,
        });
        self.action.upstreams().chain(fallback)
    }
}

impl Named for Route {
    fn name(&self) -> Name {
        self.name.clone()
    }
}
