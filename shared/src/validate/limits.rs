//! How much of everything a configuration may hold.
//!
//! They are far above what anybody needs and keep a mistake, or an attack, from taking all memory of every data plane.
//! Texts have limits of their own where they are parsed ([`value`](crate::value)); the whole document has
//! [`MAX_DOCUMENT`](crate::document::MAX_DOCUMENT).

use crate::{config::Weight, value::TimeSpan};

/// Listeners: each is one socket per worker.
pub const LISTENERS: usize = 1_000;
/// Trusted proxies of one listener, and likewise sources of the PROXY protocol.
pub const TRUSTED_PROXIES: usize = 1_000;
/// The least that a listener's limit on request heads can be: what a browser sends must fit.
pub const LEAST_HEAD_BYTES: u64 = 1 << 10;
/// The most that a listener's limit on request heads can be: a head is held whole, in one buffer.
pub const HEAD_BYTES: u64 = 64 << 10;
/// The most that a listener's limit on header fields can be.
pub const HEAD_FIELDS: u16 = 512;
/// The least that a listener's limit on request targets can be.
pub const LEAST_TARGET_BYTES: u64 = 64;
/// Routes.
pub const ROUTES: usize = 100_000;
/// Hosts of one route.
pub const HOSTS_PER_ROUTE: usize = 1_000;
/// Methods of one route; there are about 40 registered ones.
pub const METHODS_PER_ROUTE: usize = 50;
/// Header fields that one route asks for, and likewise query parameters: each is looked for in the request.
pub const FIELDS_PER_ROUTE: usize = 100;
/// Client address ranges of one route, which are looked through one by one; more belong into IP rules.
pub const CLIENT_CIDRS_PER_ROUTE: usize = 1_000;
/// Bytes of a text that a header field or query parameter is compared with, and of a parameter's name.
pub const VALUE_BYTES: usize = 4_096;
/// Upstreams that one route splits its requests among.
pub const SPLIT_TARGETS: usize = 100;
/// Header fields that each kind of rule of one route writes or leaves out.
pub const HEADER_RULES: usize = 100;
/// Bytes of the text of a header value that a rule writes, without what its variables bring.
pub const HEADER_VALUE_BYTES: usize = 4_096;
/// Query parameters that each kind of rule of one route writes or leaves out.
pub const QUERY_RULES: usize = 100;
/// Bytes of the body of a fixed answer.
pub const RESPOND_BODY_BYTES: usize = 64 << 10;
/// Further tries of one request.
pub const RETRIES: u8 = 10;
/// What one route tries again for; there are 500 statuses.
pub const RETRY_CONDITIONS: usize = 500;
/// The most that the wait before the first further try may be.
pub const BACKOFF_BASE: TimeSpan = TimeSpan::from_secs(10);
/// The most that the wait before any further try may be.
pub const BACKOFF: TimeSpan = TimeSpan::from_secs(60);
/// The most of a retry budget in per cent of the requests: more would let every request be sent twice and again.
pub const BUDGET_PERCENT: u8 = 100;
/// The most retries a second that a budget allows besides.
pub const BUDGET_PER_SECOND: u32 = 10_000;
/// The longest life of a cookie of the proxy's own; browsers keep none longer.
pub const COOKIE_AGE: TimeSpan = TimeSpan::from_secs(400 * 86_400);
/// Pages for errors in the settings, and likewise of one route.
pub const ERROR_PAGES: usize = 100;
/// Entries of each list of a route's CORS policy.
pub const CORS_ENTRIES: usize = 100;
/// How long a browser may be told to remember the answer to a preflight.
pub const CORS_MAX_AGE: TimeSpan = TimeSpan::from_secs(86_400);
/// Upstreams.
pub const UPSTREAMS: usize = 10_000;
/// Backends of one upstream.
pub const BACKENDS_PER_UPSTREAM: usize = 1_000;
/// The sum of the weights of one upstream: the schedule of the round robin has a place for each.
pub const WEIGHTS_PER_UPSTREAM: usize = 1_000_000;
/// The longest slow start.
pub const SLOW_START: TimeSpan = TimeSpan::from_secs(3_600);
/// The least bound on the load of an endpoint, in per cent of its share: 100 would leave no room for the last request.
pub const LEAST_LOAD_PERCENT: u16 = 101;
/// The most that a bound on the load of an endpoint can be, in per cent of its share.
pub const LOAD_PERCENT: u16 = 10_000;
/// Bytes of the name of a cookie.
pub const COOKIE_NAME_BYTES: usize = 128;
/// Connections that a cap of a backend may allow; more do not fit between two addresses anyway.
pub const CONNECTIONS_PER_BACKEND: u32 = 100_000;
/// Requests that may wait for a connection to one backend.
pub const PENDING_PER_BACKEND: u32 = 100_000;
/// The longest that a request may wait for a connection to a backend.
pub const QUEUE_TIMEOUT: TimeSpan = TimeSpan::from_secs(3_600);
/// Idle connections of one worker to one backend.
pub const IDLE_CONNECTIONS: u32 = 100_000;
/// How long a connection to a backend may lie idle.
pub const IDLE_TIMEOUT: TimeSpan = TimeSpan::from_secs(86_400);
/// The longest age after which a connection to a backend is not used again.
pub const CONNECTION_AGE: TimeSpan = TimeSpan::from_secs(30 * 86_400);
/// The most requests after which a connection to a backend is not used again.
pub const REQUESTS_PER_CONNECTION: u32 = 1_000_000;
/// Statuses or ranges of them that a breaker counts as failures; there are 500 statuses.
pub const FAILURE_STATUSES: usize = 500;
/// Statuses of gRPC that a breaker counts as failures; there are 16.
pub const FAILURE_GRPC_STATUSES: usize = 16;
/// DNS servers that are asked.
pub const NAME_SERVERS: usize = 8;
/// What a floor of DNS's times to live may be: below it servers would be asked all the time.
pub const DNS_MIN_TTL: (TimeSpan, TimeSpan) = (TimeSpan::from_secs(1), TimeSpan::from_secs(3_600));
/// The longest time for which a name is not asked for again.
pub const DNS_LONGEST_TTL: TimeSpan = TimeSpan::from_secs(86_400);
/// What a DNS server may be given for an answer.
pub const DNS_TIMEOUT: (TimeSpan, TimeSpan) = (TimeSpan::from_millis(100), TimeSpan::from_secs(30));
/// Questions again to DNS servers that did not answer.
pub const DNS_RETRIES: u32 = 5;
/// Addresses of one backend: what an answer has beyond is not used.
pub const ADDRESSES_PER_BACKEND: usize = 256;
/// By how much a breaker's wait may grow each time.
pub const WAIT_BACKOFF: std::ops::RangeInclusive<f64> = 1.0..=10.0;
/// From one health check to the next.
pub const CHECK_INTERVAL: std::ops::RangeInclusive<TimeSpan> = TimeSpan::from_millis(100)..=TimeSpan::from_secs(86_400);
/// How long a health check may take.
pub const CHECK_TIMEOUT: TimeSpan = TimeSpan::from_secs(60);
/// Header fields that a health check sends beside its own.
pub const CHECK_FIELDS: usize = 50;
/// Bytes of each text of a health check: path, value, service, what a body must contain.
pub const CHECK_TEXT_BYTES: usize = 4_096;
/// IP rules.
pub const IP_RULES: usize = 100_000;
/// Characters of an IP rule's comment.
pub const COMMENT_CHARS: usize = 500;
/// Bytes of a file name: Linux's `PATH_MAX`, with the final NUL.
pub const FILE_BYTES: usize = 4_095;

// The limits on backends and on each weight keep this one, so nothing needs to check it.
const _: () = assert!(BACKENDS_PER_UPSTREAM * Weight::MAX as usize <= WEIGHTS_PER_UPSTREAM);
