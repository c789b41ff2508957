use serde::{Deserialize, Serialize};

use super::{
    Balance, Breaker, BreakerOverride, HealthCheck, Named, Pool, ProxyProtocolVersion, RetryBudget, Sticky, is,
    is_default,
};
use crate::{
    status::AdminState,
    value::{BackendAddress, Name, TimeSpan, Timestamp},
};

/// A named group of backends that serve the same thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"name": "shop", "balance": {"policy": "least_connections", "slow_start": "30s"}, "sticky": {"max_age": "1d"}, "backends": [{"name": "a", "address": "10.0.0.1:8080", "weight": 3}, {"name": "b", "address": "app.internal:8080"}, {"name": "spare", "address": "10.0.0.3:8080", "backup": true}], "health_check": {"http": {"path": "/healthz"}}, "breaker": {"failure_statuses": ["500-599"]}, "retry_budget": {"percent": 10, "min_per_second": 5}}))))]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Unique among upstreams.
    pub name: Name,
    /// What its backends speak.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: UpstreamProtocol,
    /// The version of the PROXY protocol whose header each connection to a backend begins with, naming the client. A connection is
    /// used for requests only that would have the same header. None: no header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocolVersion>,
    /// How a backend is chosen.
    #[serde(default, skip_serializing_if = "is_default")]
    pub balance: Balance,
    /// Whether clients stay with their backend. None: each request goes where the policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// The members. None, or none with a weight: requests are answered 503 `no_backend`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
    /// How long connections to the backends are kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pool: Pool,
    /// How its backends are checked. None: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// The circuit breaker of each backend.
    #[serde(default, skip_serializing_if = "is_default")]
    pub breaker: Breaker,
    /// How many requests may be tried again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry_budget: RetryBudget,
}

/// What backends speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    H1,
    /// HTTP/2 from the first byte, without TLS (prior knowledge): many requests share a connection, and gRPC works.
    H2c,
}

/// A member of an upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"name": "a", "address": "10.0.0.1:8080", "weight": 3, "max_connections": 200, "max_pending": 500, "queue_timeout": "5s"}))))]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Unique within the upstream.
    pub name: Name,
    /// Where it is. All addresses of a name are endpoints of the backend; they are resolved in the background as `settings.dns` says.
    pub address: BackendAddress,
    /// Its share of the requests against the weights of the others, 0 to 1000; 0 takes none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight: Weight,
    /// Whether it takes requests.
    #[serde(default, skip_serializing_if = "is_default")]
    pub state: AdminState,
    /// Until when a draining backend keeps its sessions (see `sticky`), by the data plane's clock; then they move, without a new revision.
    /// None: as long as it drains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_until: Option<Timestamp>,
    /// Whether it takes requests only while none of those that are no backups may be used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub backup: bool,
    /// Connections that may be open to it at the same time, 1 to 100000: busy and idle ones of all workers of a data plane, to all its addresses. At
    /// the cap a request waits for one, as `max_pending` and `queue_timeout` say. None: no cap.
    #[serde(default, skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100_000))]
    pub max_connections: Option<u32>,
    /// Requests of all workers of a data plane that may wait at `max_connections`, first come first served, 0 to 100000; 1024 unless said
    /// otherwise. A further one goes to another backend that can take it, else it is answered 503 `queue_full` at once.
    #[serde(default = "usual_pending", skip_serializing_if = "is::<1024, _>")]
    #[cfg_attr(feature = "openapi", schema(maximum = 100_000))]
    pub max_pending: u32,
    /// How long a request waits at `max_connections`, up to 1h; then it is answered 503 `connections_exhausted`, unless it is tried again
    /// elsewhere. None: as long as connecting may take (`timeouts.connect` of the route).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_timeout: Option<TimeSpan>,
    /// What becomes of its circuit breaker whatever its calls say. Ended by `auto`, with which the breaker begins anew, closed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub breaker_override: BreakerOverride,
}

/// A backend's share of the requests: 0 to 1000, 1 unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = u16, minimum = 0, maximum = 1000, default = 1))]
#[serde(try_from = "u64", into = "u64")]
pub struct Weight(u16);

impl Weight {
    /// The largest weight.
    pub const MAX: u16 = 1000;

    /// The weight as a number, 0 to 1000.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u64> for Weight {
    type Error = String;

    fn try_from(weight: u64) -> Result<Self, String> {
        u16::try_from(weight)
            .ok()
            .filter(|weight| *weight <= Self::MAX)
            .map(Self)
            .ok_or_else(|| format!("{weight} is not a weight: 0 to 1000"))
    }
}

impl From<Weight> for u64 {
    fn from(weight: Weight) -> Self {
        Self::from(weight.0)
    }
}

const fn usual_pending() -> u32 {
    1024
}

impl Named for Upstream {
    fn name(&self) -> Name {
        self.name.clone()
    }
}

impl Named for Backend {
    fn name(&self) -> Name {
        self.name.clone()
    }
}
