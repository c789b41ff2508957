use std::{io, time::Duration};

use shared::value::BackendAddress;
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::stream::{Stream, Upstream};
use crate::error::Reason;

/// Opens a connection to `address` within `time`, resolving included.
///
/// A DNS name is resolved by the system for each new connection.
pub(crate) async fn connect(address: &BackendAddress, time: Duration) -> Result<Upstream, Reason> {
    let connected = timeout(time, async {
        Ok::<_, io::Error>(match address {
            BackendAddress::Ip(address) => Stream::Tcp(prepared(TcpStream::connect(address).await?)?),
            BackendAddress::Dns(host, port) => {
                Stream::Tcp(prepared(TcpStream::connect((host.as_str(), *port)).await?)?)
            }
            BackendAddress::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
        })
    });
    match connected.await {
        Ok(Ok(stream)) => Ok(Upstream::new(stream)),
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
