//! Why the proxy answers itself: one word each, the same in the log, the metrics and the `Proxy-Status` field.

use shared::routing::{host::AuthorityError, path::PathError};

/// A reason for an answer that no backend gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// The request cannot be read in one way only.
    BadRequest,
    /// `CONNECT`, which is never forwarded.
    MethodRefused,
    /// No route's match holds.
    NoRoute,
    /// An IP rule keeps the client out.
    IpDenied,
    /// The upstream has no backend that may be used.
    NoBackend,
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
    /// The client went away before there was a response head.
    ClientGone,
    /// No snapshot acts yet.
    NotReady,
}

impl Reason {
    /// All reasons, for metrics.
    pub(crate) const ALL: [Self; 12] = [
        Self::BadRequest,
        Self::MethodRefused,
        Self::NoRoute,
        Self::IpDenied,
        Self::NoBackend,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::UpstreamTimeout,
        Self::UpstreamReset,
        Self::BadResponse,
        Self::ClientGone,
        Self::NotReady,
    ];

    /// The word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::MethodRefused => "method_refused",
            Self::NoRoute => "no_route",
            Self::IpDenied => "ip_denied",
            Self::NoBackend => "no_backend",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamReset => "upstream_reset",
            Self::BadResponse => "bad_response",
            Self::ClientGone => "client_gone",
            Self::NotReady => "not_ready",
        }
    }

    /// The status of the answer.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::IpDenied => 403,
            Self::NoRoute => 404,
            Self::MethodRefused => 405,
            Self::ClientGone => 499,
            Self::ConnectFailed | Self::UpstreamReset | Self::BadResponse => 502,
            Self::NoBackend | Self::NotReady => 503,
            Self::ConnectTimeout | Self::UpstreamTimeout => 504,
        }
    }

    /// The proxy error type of RFC 9209 §2.3 that comes nearest.
    pub(crate) const fn proxy_error(self) -> &'static str {
        match self {
            Self::BadRequest | Self::ClientGone => "http_request_error",
            Self::MethodRefused | Self::IpDenied => "http_request_denied",
            Self::NoRoute => "destination_not_found",
            Self::NoBackend | Self::NotReady => "destination_unavailable",
            Self::ConnectFailed => "connection_refused",
            Self::ConnectTimeout => "connection_timeout",
            Self::UpstreamTimeout => "http_response_timeout",
            Self::UpstreamReset => "connection_terminated",
            Self::BadResponse => "http_protocol_error",
        }
    }

    /// What a person who sees the answer may know: no address, no name of a backend.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::BadRequest => "The request is malformed.",
            Self::MethodRefused => "This method is not forwarded.",
            Self::NoRoute => "Nothing is served here.",
            Self::IpDenied => "Your address is not allowed here.",
            Self::NoBackend => "No backend is available for this request.",
            Self::ConnectFailed | Self::UpstreamReset | Self::BadResponse => "The backend failed to answer.",
            Self::ConnectTimeout | Self::UpstreamTimeout => "The backend did not answer in time.",
            Self::ClientGone => "The client went away.",
            Self::NotReady => "The proxy has no configuration yet.",
        }
    }
}

impl From<AuthorityError> for Reason {
    fn from(_: AuthorityError) -> Self {
        Self::BadRequest
    }
}

impl From<PathError> for Reason {
    fn from(_: PathError) -> Self {
        Self::BadRequest
    }
}
