use std::{io, time::Duration};

use shared::value::BackendAddress;
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    error::Reason,
    transport::{self, RequestSender},
};

/// How long a connection may take, resolving included.
const CONNECT: Duration = Duration::from_secs(2);

/// Opens a connection to `address`.
///
/// A DNS name is resolved by the system for each new connection.
pub(crate) async fn connect(address: &BackendAddress) -> Result<RequestSender, Reason> {
    let connected = timeout(CONNECT, async {
        match address {
            BackendAddress::Ip(address) => transport::over(prepared(TcpStream::connect(address).await?)?).await,
            BackendAddress::Dns(host, port) => {
                transport::over(prepared(TcpStream::connect((host.as_str(), *port)).await?)?).await
            }
            BackendAddress::Unix(path) => transport::over(UnixStream::connect(path).await?).await,
        }
    });
    match connected.await {
        Ok(Ok(sender)) => Ok(sender),
        Ok(Err(error)) => {
            tracing::debug!(backend = %address, %error, "connecting to a backend failed");
            Err(Reason::ConnectFailed)
        }
        Err(_) => Err(Reason::ConnectTimeout),
    }
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}
