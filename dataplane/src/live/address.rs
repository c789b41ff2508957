use std::{fmt, net::SocketAddr, path::PathBuf};

use shared::value::BackendAddress;

/// Where an endpoint is: what can be connected to as it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum EndpointAddress {
    /// An address that was written down or resolved.
    Ip(SocketAddr),
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl EndpointAddress {
    /// That of a backend that needs no resolving.
    pub(crate) fn of(address: &BackendAddress) -> Option<Self> {
        match address {
            BackendAddress::Ip(address) => Some(Self::Ip(*address)),
            BackendAddress::Unix(path) => Some(Self::Unix(path.clone())),
            BackendAddress::Dns(..) | BackendAddress::Srv(_) => None,
        }
    }
}

impl From<SocketAddr> for EndpointAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}
