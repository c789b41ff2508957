use std::{io, net::SocketAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, UnixStream},
    time::timeout,
};

use super::{
    acquire::Greeting,
    capacity::Permit,
    stream::{Stream, Upstream},
};
use crate::{congestion, error::Reason, instant::Instant, live::EndpointAddress};

/// A backend that vanished without a word is noticed after 90 s: the first probe after 60 s of silence, then every 10 s, and the
/// third without an answer ends the connection.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(10)).with_retries(3);

/// Opens a connection to `address` within `limit`, which begins with `greeting`; it takes the place of `permit`. Dropping the future
/// gives the attempt up.
pub(crate) async fn connect(
    address: &EndpointAddress,
    greeting: Option<&Greeting>,
    permit: Permit<Upstream>,
    limit: Duration,
) -> Result<Upstream, Reason> {
    let connected = timeout(limit, async {
        let mut stream = match address {
            EndpointAddress::Ip(address) => Stream::Tcp(socket(*address)?.connect(*address).await?),
            EndpointAddress::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
        };
        if let Some(greeting) = greeting {
            stream.write_all(&greeting.0).await?;
        }
        Ok::<_, io::Error>(stream)
    });
    match connected.await {
        Ok(Ok(stream)) => {
            let mut upstream = Upstream::new(stream, permit, Instant::now());
            upstream.greeting = greeting.cloned();
            Ok(upstream)
        }
        Ok(Err(error)) => {
            tracing::debug!(backend = %address, %error, "connecting to a backend failed");
            Err(Reason::ConnectFailed)
        }
        Err(_) => Err(Reason::ConnectTimeout),
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_nodelay(true)?;
    SockRef::from(&socket).set_tcp_keepalive(&KEEPALIVE)?;
    congestion::suit(&socket, address.ip());
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_sends_at_once_and_probes_a_silent_backend() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = socket(address).unwrap().connect(address).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    }
}
