use std::{io, pin::Pin, time::Duration};

use shared::{
    config::{HealthCheck, UpstreamProtocol},
    value::BackendAddress,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{grpc, http};
use crate::live::EndpointAddress;

/// How an endpoint is checked.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What the configuration says.
    pub(super) config: HealthCheck,
    /// What the backend speaks.
    pub(super) protocol: UpstreamProtocol,
    /// The backend's address as it is configured.
    backend: BackendAddress,
    /// What a `Host` field that names the backend says.
    pub(super) authority: String,
}

/// What the configuration says of how an endpoint is checked.
pub(crate) type Configured<'a> = (&'a HealthCheck, UpstreamProtocol, &'a BackendAddress);

/// How a check ended: what was seen, in a few words; an error if it did not pass.
pub(super) type Outcome = Result<String, String>;

/// A connection to an endpoint.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Socket for T {}

/// A connection to an endpoint, whatever it is made of.
pub(super) type Connection = Pin<Box<dyn Socket>>;

impl Plan {
    /// Ready to act.
    pub(super) fn new((config, protocol, backend): Configured<'_>) -> Self {
        Self { config: config.clone(), protocol, backend: backend.clone(), authority: backend.authority() }
    }

    /// Whether this was made from `configured`.
    pub(super) fn is_of(&self, (config, protocol, backend): Configured<'_>) -> bool {
        self.config == *config && self.protocol == protocol && self.backend == *backend
    }

    /// Whether a check by `other` tells of the same as one by this.
    pub(super) fn checks_as(&self, other: &Self) -> bool {
        let (config, others) = (&self.config, &other.config);
        let is_same_kind = config.http == others.http && config.tcp == others.tcp && config.grpc == others.grpc;
        is_same_kind && self.protocol == other.protocol && self.backend == other.backend
    }

    /// Makes one check at `address`.
    pub(super) async fn probe(&self, address: &EndpointAddress) -> Outcome {
        let limit = self.config.timeout.duration();
        timeout(limit, self.unlimited(address)).await.unwrap_or_else(|_| Err(timed_out(limit)))
    }

    async fn unlimited(&self, address: &EndpointAddress) -> Outcome {
        let connection = connect(address).await.map_err(|error| told(&error))?;
        match (&self.config.http, &self.config.grpc) {
            (Some(check), _) => http::probe(connection, check, self).await,
            (None, Some(check)) => grpc::probe(connection, check, self).await,
            (None, None) => Ok("connected".to_owned()),
        }
    }
}

async fn connect(address: &EndpointAddress) -> io::Result<Connection> {
    Ok(match address {
        EndpointAddress::Ip(address) => Box::pin(TcpStream::connect(address).await?),
        EndpointAddress::Unix(path) => Box::pin(UnixStream::connect(path).await?),
    })
}

/// What an operator is told of a connection that cannot be made.
fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => error.to_string(),
    }
}

fn timed_out(limit: Duration) -> String {
    format!("no answer within {limit:?}")
}
