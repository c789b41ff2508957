//! Listener sockets: bound once per worker, accepted from until their queue is empty.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{Interest, unix::AsyncFd};
use tracing::warn;

use crate::{
    admission::Place,
    arrival, congestion,
    connection::Connection,
    deferral,
    engine::{Client, Stop},
    proxy,
    worker::{Listen, Worker},
};

/// Connections that may wait for `accept`, per worker.
const BACKLOG: i32 = 4096;

/// How long accepting pauses when the process is out of descriptors or buffers.
const PAUSE: Duration = Duration::from_millis(50);

/// Binds `count` sockets to `address`, which listen from then on: one for each worker.
///
/// With `probe` a plain bind comes first: with `SO_REUSEPORT` alone another process's listener would silently share the
/// address. It is left out where a listener of our own has the port, which makes room in the same change.
///
/// # Errors
/// The address is in use, is not of this machine, or may not be bound.
pub(crate) fn bind(address: SocketAddr, count: usize, probe: bool) -> io::Result<Vec<TcpListener>> {
    if probe {
        socket(address)?.bind(&address.into())?;
    }
    let sockets = (0..count).map(|_| {
        let socket = socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    });
    sockets.collect()
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    // Without it connections in TIME_WAIT would block the address; it does not let two processes listen.
    socket.set_reuse_address(true)?;
    // Accepted connections inherit it.
    socket.set_tcp_nodelay(true)?;
    congestion::suit(&socket, address.ip());
    deferral::set(&socket);
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Accepts connections until `listen.stop`, then those that wait, then closes.
///
/// Closing with connections in the queue would reset them: their clients have sent requests already.
pub(crate) async fn accept(worker: Rc<Worker>, listen: Listen) {
    let Listen { socket, slot, listener: last, stop, admission, open } = listen;
    let ends = Stop::new(stop.clone());
    // The fallback is for connections that waited in the queue while a new snapshot took the listener away.
    let settings = || worker.with_snapshot(|snapshot| Arc::clone(snapshot.listener(slot).unwrap_or(&last)));
    let connect = |socket: TcpStream, peer: SocketAddr, mut place: Place| {
        let listener = settings();
        if listener.awaits_header(peer.ip()) {
            let served = arrival::welcome(Rc::clone(&worker), peer, slot, listener, place, socket, ends.clone());
            worker.spawn(worker.connections.track_future(served));
            return;
        }
        if !place.is_for(peer.ip(), listener.limit_for(peer.ip())) {
            listener.metrics.refused.inc();
            return;
        }
        let connection = Connection::new(peer.ip(), None, slot, listener, place);
        let client = Client::new(socket, worker.deadlines.deadline(), ends.clone());
        let served = proxy::serve(Rc::clone(&worker), connection, client);
        worker.spawn(worker.connections.track_future(served));
    };
    #[expect(
        deprecated,
        reason = "the other way needs unsafe code; a `TcpListener` keeps its descriptor open and its own"
    )]
    let listener = AsyncFd::with_interest(socket, Interest::READABLE);
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => {
            warn!(%error, "a listener socket could not be used");
            return;
        }
    };
    let mut is_failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.async_io(Interest::READABLE, accept_now) => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                is_failing = false;
                // While the listener is full this one waits here and those behind it in the queue.
                let limit = || if stop.is_cancelled() { None } else { settings().connections };
                let place = admission.enter(limit).await;
                worker.clock.now();
                connect(socket, peer, place);
            }
            Err(error) => {
                worker.metrics.accept_errors.inc();
                if !is_of_one_connection(&error) {
                    // Once for a run of failures; the metric counts them all.
                    if !std::mem::replace(&mut is_failing, true) {
                        warn!(%error, "accepting failed; it is tried again every {PAUSE:?}");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
    ends.set();
    // Connections that lie idle look at `ends` when they are woken.
    worker.deadlines.wake_all();
    let listener = listener.into_inner();
    // No more than the queue holds: new ones must not keep a listener open that is to close.
    for _ in 0..BACKLOG {
        match accept_now(&listener) {
            Ok((socket, peer)) => connect(socket, peer, admission.enter(|| None).await),
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) => break,
        }
    }
    drop(listener);
    drop(open);
}

/// Accepts a connection, if one waits. Its socket does not block, and the runtime knows nothing of it.
fn accept_now(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, peer) = acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let peer = peer.and_then(|peer| peer.try_into().ok()).ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((socket.into(), peer))
}

/// Whether an error of `accept` says something about one connection only, so that the next may be accepted at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_another_socket_listens_on_is_refused() {
        let other = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        other.set_reuse_port(true).unwrap();
        other.set_reuse_address(true).unwrap();
        other.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        other.listen(1).unwrap();
        let address = other.local_addr().unwrap().as_socket().unwrap();
        assert_eq!(bind(address, 2, true).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(other);
        assert_eq!(bind(address, 2, true).unwrap().len(), 2);
    }
}
