//! Why the proxy answers itself: one word each, the same in the log, the metrics and the `Proxy-Status` field.

use http1::Fault;
use shared::routing::{host::AuthorityError, path::PathError};

/// A reason for an answer that no backend gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// The request cannot be read in one way only.
    BadRequest,
    /// The request's head is larger than allowed.
    HeadTooLarge,
    /// The request's target is longer than allowed.
    TargetTooLong,
    /// An `Expect` that nobody here knows.
    ExpectationFailed,
    /// A transfer coding that nobody here knows.
    NotImplemented,
    /// A version of HTTP other than 1.0 and 1.1.
    VersionUnsupported,
    /// The connection does not begin as the PROXY protocol asks.
    ProxyProtocol,
    /// The request did not come in time.
    RequestTimeout,
    /// The request's body is larger than allowed.
    BodyTooLarge,
    /// `CONNECT`, which is never forwarded.
    MethodRefused,
    /// No route's match holds.
    NoRoute,
    /// An IP rule keeps the client out.
    IpDenied,
    /// The upstream has no backend that may be used.
    NoBackend,
    /// The breakers of all backends that could be used are open.
    BreakerOpen,
    /// The backend has as many connections as it may, and none became free in time.
    ConnectionsExhausted,
    /// As many requests wait for a connection to the backend as may.
    QueueFull,
    /// No connection to the backend.
    ConnectFailed,
    /// No connection to the backend in time.
    ConnectTimeout,
    /// No response head in time.
    UpstreamTimeout,
    /// The backend ended the connection before a response head.
    UpstreamReset,
    /// The backend sent what is no response.
    BadResponse,
    /// The backend answered with a status of the 5xx class, which the route replaces.
    BackendError,
    /// The client went away before there was a response head.
    ClientGone,
    /// The client took nothing of its response for too long.
    ClientTooSlow,
    /// The data plane ended before the request did.
    ShutDown,
    /// The proxy made a mistake, which ended the request.
    Bug,
    /// The whole request took too long.
    TotalTimeout,
    /// The route makes of the path what is none.
    RewriteFailed,
    /// The route is out of service.
    Maintenance,
    /// `Max-Forwards: 0`: the request was for this proxy. No fault.
    MaxForwards,
}

impl Reason {
    /// All reasons, for metrics.
    pub(crate) const ALL: [Self; 30] = [
        Self::BadRequest,
        Self::HeadTooLarge,
        Self::TargetTooLong,
        Self::ExpectationFailed,
        Self::NotImplemented,
        Self::VersionUnsupported,
        Self::ProxyProtocol,
        Self::RequestTimeout,
        Self::BodyTooLarge,
        Self::MethodRefused,
        Self::NoRoute,
        Self::IpDenied,
        Self::NoBackend,
        Self::BreakerOpen,
        Self::ConnectionsExhausted,
        Self::QueueFull,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::UpstreamTimeout,
        Self::UpstreamReset,
        Self::BadResponse,
        Self::BackendError,
        Self::ClientGone,
        Self::ClientTooSlow,
        Self::ShutDown,
        Self::Bug,
        Self::TotalTimeout,
        Self::RewriteFailed,
        Self::Maintenance,
        Self::MaxForwards,
    ];

    /// The word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::HeadTooLarge => "head_too_large",
            Self::TargetTooLong => "target_too_long",
            Self::ExpectationFailed => "expectation_failed",
            Self::NotImplemented => "not_implemented",
            Self::VersionUnsupported => "version_unsupported",
            Self::ProxyProtocol => "proxy_protocol",
            Self::RequestTimeout => "request_timeout",
            Self::BodyTooLarge => "body_too_large",
            Self::MethodRefused => "method_refused",
            Self::NoRoute => "no_route",
            Self::IpDenied => "ip_denied",
            Self::NoBackend => "no_backend",
            Self::BreakerOpen => "breaker_open",
            Self::ConnectionsExhausted => "connections_exhausted",
            Self::QueueFull => "queue_full",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamReset => "upstream_reset",
            Self::BadResponse => "bad_response",
            Self::BackendError => "backend_error",
            Self::ClientGone => "client_gone",
            Self::ClientTooSlow => "client_too_slow",
            Self::ShutDown => "shut_down",
            Self::Bug => "bug",
            Self::TotalTimeout => "total_timeout",
            Self::RewriteFailed => "rewrite_failed",
            Self::Maintenance => "maintenance",
            Self::MaxForwards => "max_forwards",
        }
    }

    /// The status of the answer; [`BackendError`](Self::BackendError) has that of the response that is replaced.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::MaxForwards => 200,
            Self::BadRequest | Self::ProxyProtocol => 400,
            Self::RequestTimeout => 408,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::ExpectationFailed => 417,
            Self::HeadTooLarge => 431,
            Self::RewriteFailed | Self::Bug => 500,
            Self::NotImplemented => 501,
            Self::VersionUnsupported => 505,
            Self::IpDenied => 403,
            Self::NoRoute => 404,
            Self::MethodRefused => 405,
            Self::ClientGone | Self::ClientTooSlow => 499,
            Self::ConnectFailed | Self::UpstreamReset | Self::BadResponse | Self::BackendError => 502,
            Self::NoBackend
            | Self::BreakerOpen
            | Self::ConnectionsExhausted
            | Self::QueueFull
            | Self::Maintenance
            | Self::ShutDown => 503,
            Self::ConnectTimeout | Self::UpstreamTimeout | Self::TotalTimeout => 504,
        }
    }

    /// Whether the client is at fault.
    pub(crate) const fn is_of_client(self) -> bool {
        matches!(self.status(), 400..=499)
    }

    /// Whether there was no room at an endpoint within the cap of its backend.
    pub(crate) const fn is_of_cap(self) -> bool {
        matches!(self, Self::ConnectionsExhausted | Self::QueueFull)
    }

    /// The proxy error type of RFC 9209 §2.3 that comes nearest.
    pub(crate) const fn proxy_error(self) -> &'static str {
        match self {
            Self::BadRequest
            | Self::ProxyProtocol
            | Self::ClientGone
            | Self::ClientTooSlow
            | Self::MaxForwards
            | Self::HeadTooLarge
            | Self::TargetTooLong
            | Self::ExpectationFailed
            | Self::NotImplemented
            | Self::VersionUnsupported
            | Self::RequestTimeout
            | Self::BodyTooLarge => "http_request_error",
            Self::MethodRefused | Self::IpDenied => "http_request_denied",
            Self::NoRoute => "destination_not_found",
            Self::NoBackend | Self::BreakerOpen | Self::Maintenance => "destination_unavailable",
            Self::ConnectionsExhausted | Self::QueueFull => "connection_limit_reached",
            Self::ConnectFailed => "connection_refused",
            Self::ConnectTimeout => "connection_timeout",
            Self::UpstreamTimeout | Self::TotalTimeout => "http_response_timeout",
            Self::UpstreamReset => "connection_terminated",
            Self::BadResponse | Self::BackendError => "http_protocol_error",
            Self::ShutDown | Self::Bug => "proxy_internal_error",
            Self::RewriteFailed => "proxy_configuration_error",
        }
    }

    /// What a person who sees the answer may know: no address, no name of a backend.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::BadRequest => "The request is malformed.",
            Self::HeadTooLarge => "The request's header is too large.",
            Self::TargetTooLong => "The request's target is too long.",
            Self::ExpectationFailed => "The request expects what this proxy does not know.",
            Self::NotImplemented => "The request uses a coding that this proxy does not know.",
            Self::VersionUnsupported => "This version of HTTP is not served here.",
            Self::RequestTimeout => "The request did not arrive in time.",
            Self::BodyTooLarge => "The request's body is too large.",
            Self::MethodRefused => "This method is not forwarded.",
            Self::NoRoute => "Nothing is served here.",
            Self::IpDenied => "Your address is not allowed here.",
            Self::NoBackend | Self::BreakerOpen => "No backend is available for this request.",
            Self::ConnectionsExhausted | Self::QueueFull => "The backend is busy. Try again in a moment.",
            Self::ConnectFailed | Self::UpstreamReset | Self::BadResponse | Self::BackendError => {
                "The backend failed to answer."
            }
            Self::ConnectTimeout | Self::UpstreamTimeout => "The backend did not answer in time.",
            // Only for the log: nobody is told.
            Self::ProxyProtocol => "The connection does not begin as it must.",
            Self::ClientGone => "The client went away.",
            Self::ClientTooSlow => "The client took its response too slowly.",
            Self::ShutDown => "The proxy ended.",
            Self::Bug => "The proxy made a mistake.",
            Self::TotalTimeout => "The request took too long.",
            Self::RewriteFailed => "The request leads to no path of the backend.",
            Self::Maintenance => "This is out of service for a while. Come back later.",
            Self::MaxForwards => "The request was not to go further than here.",
        }
    }
}

impl Reason {
    /// Why a request with `fault` is refused.
    pub(crate) const fn of_request(fault: Fault) -> Self {
        match fault {
            Fault::HeadTooLarge | Fault::TooManyFields | Fault::TrailersTooLarge => Self::HeadTooLarge,
            Fault::TargetTooLong => Self::TargetTooLong,
            Fault::UnknownExpectation => Self::ExpectationFailed,
            Fault::UnknownTransferCoding => Self::NotImplemented,
            Fault::UnsupportedVersion => Self::VersionUnsupported,
            Fault::BodyTooLarge => Self::BodyTooLarge,
            _ => Self::BadRequest,
        }
    }
}

/// Why a request is refused that could be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What the client is told.
    pub(crate) reason: Reason,
    /// What exactly is wrong, in a word for the access log.
    pub(crate) detail: &'static str,
}

impl Refusal {
    /// Of a request that cannot be read in one way only.
    pub(crate) const fn malformed(detail: &'static str) -> Self {
        Self { reason: Reason::BadRequest, detail }
    }
}

impl From<AuthorityError> for Refusal {
    fn from(error: AuthorityError) -> Self {
        Self::malformed(match error {
            AuthorityError::NoHost => "host_empty",
            AuthorityError::TooLong => "host_too_long",
            AuthorityError::ForbiddenByte { .. } => "host_forbidden_byte",
            AuthorityError::EmptyLabel => "host_empty_label",
            AuthorityError::BadAddress => "host_bad_address",
            AuthorityError::BadPort => "host_bad_port",
        })
    }
}

impl From<PathError> for Refusal {
    fn from(error: PathError) -> Self {
        Self::malformed(match error {
            PathError::NotAbsolute => "path_not_absolute",
            PathError::ForbiddenByte { .. } => "path_forbidden_byte",
            PathError::BadEscape { .. } => "path_bad_escape",
            PathError::EncodedNul { .. } => "path_encoded_nul",
            PathError::EncodedSlash { .. } => "path_encoded_slash",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::value::REASONS;

    use super::*;

    #[test]
    fn configurations_name_every_reason_that_a_client_is_told() {
        // A connection that does not begin as it must is closed.
        let is_told = |reason: &Reason| {
            !matches!(reason.status(), 200 | 499)
                && !matches!(reason, Reason::ProxyProtocol | Reason::ShutDown | Reason::Bug)
        };
        let told: BTreeSet<&str> = Reason::ALL.into_iter().filter(is_told).map(Reason::word).collect();
        assert_eq!(told, REASONS.iter().copied().collect());
        assert!(REASONS.is_sorted());
    }
}
