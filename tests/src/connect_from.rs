use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream},
};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

/// Connects to `address` (`127.0.0.1:8080`) from `source`: a peer with an address of its own, e.g. `127.0.0.7`.
///
/// # Errors
/// The address takes no connection, or `source` is not of this machine.
pub fn connect_from(source: IpAddr, address: &str) -> io::Result<TcpStream> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::new(source, 0))?;
    connect(&socket, &address)?;
    Ok(socket.into())
}
