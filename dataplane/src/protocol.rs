//! Versions of HTTP.

/// The version in which a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

impl Protocol {
    /// All versions, for metrics.
    pub(crate) const ALL: [Self; 3] = [Self::Http10, Self::Http11, Self::Http2];

    /// As the access log and metrics name it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

impl From<http1::Version> for Protocol {
    fn from(version: http1::Version) -> Self {
        match version {
            http1::Version::Http10 => Self::Http10,
            http1::Version::Http11 => Self::Http11,
        }
    }
}
