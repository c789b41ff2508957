//! One end of a connection to a backend.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

use super::{
    acquire::Greeting,
    capacity::Permit,
    resting::Resting,
    socket::{Socket, send_last, send_now},
    splice::Socket as _,
};
use crate::instant::Instant;

/// A connected socket.
pub(crate) enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix stream socket.
    Unix(UnixStream),
    /// TCP that the runtime does not watch, until it [`resume`](Self::resume)s: nobody waits for it.
    Resting(Resting),
}

/// What the socket answers that the runtime watches; a resting one cannot be waited for.
macro_rules! watched {
    ($stream:expr, $socket:ident => $answer:expr) => {
        match $stream {
            Self::Tcp($socket) => $answer,
            Self::Unix($socket) => $answer,
            Self::Resting(_) => Err(io::ErrorKind::NotConnected)?,
        }
    };
}

/// A connection to a backend, while it serves a request or lies idle.
pub(crate) struct Upstream {
    /// The socket.
    pub(crate) stream: Stream,
    /// Whether the last read took all the room it had: then there may be more that nobody knows of.
    pub(crate) read_all_room: bool,
    /// When it was opened.
    pub(crate) opened: Instant,
    /// Whole requests that it served.
    pub(crate) requests: u32,
    /// Its place among the connections to the endpoint that may be open.
    pub(crate) permit: Permit<Self>,
    /// The header of the PROXY protocol that it began with, if it did: it is for requests with the same one only.
    pub(crate) greeting: Option<Greeting>,
    /// Requests that it may serve, as far as the backend told.
    allowed: u32,
}

impl Upstream {
    /// A connection that was opened just now.
    pub(crate) fn new(stream: Stream, permit: Permit<Self>, opened: Instant) -> Self {
        Self { stream, read_all_room: false, opened, requests: 0, permit, greeting: None, allowed: u32::MAX }
    }

    /// Counts a request that was answered whole; `max` is what the response's `Keep-Alive` said of their number.
    ///
    /// Some servers say with each response how many may follow, others how many the connection takes in all: the lower reading
    /// of what was said at any time counts.
    pub(crate) fn has_served(&mut self, max: Option<u32>) {
        if let Some(max) = max {
            self.allowed = self.allowed.min(self.requests.saturating_add(max));
        }
        self.requests += 1;
    }

    /// Whether it served as many requests as the backend takes on it.
    pub(crate) fn is_used_up(&self) -> bool {
        self.requests >= self.allowed
    }

    /// Whether an idle connection is open and nothing came on it that nobody asked for.
    ///
    /// Mostly without a system call: any readiness that the runtime knows of is an end or bytes out of turn. Only when the last
    /// read took all its room the runtime still thinks that there is more; then a read tells.
    pub(crate) fn is_quiet(&mut self) -> bool {
        if !self.stream.is_readable() {
            return true;
        }
        if !self.read_all_room {
            return false;
        }
        self.read_all_room = false;
        self.stream.receive(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether a request can be sent on an idle connection, as far as is known. For one that `is_repeatable` that is what the runtime knows;
    /// for others the kernel is asked, too.
    pub(crate) fn stands(&mut self, is_repeatable: bool) -> bool {
        self.is_quiet() && (is_repeatable || self.is_quiet_now())
    }

    /// Whether the kernel knows of nothing on an idle connection either: it may be ahead of what [`is_quiet`](Self::is_quiet)
    /// sees. Costs a system call; for a request that cannot be sent twice.
    pub(crate) fn is_quiet_now(&self) -> bool {
        matches!(self.stream.peek(), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Has the runtime watch a socket that rested, after a response. Answers whether the connection may be used again, as far as that tells.
    pub(crate) fn resume(&mut self) -> bool {
        match self.stream.resume() {
            Ok(false) => true,
            Ok(true) => {
                // The runtime has not looked yet, and will hear of whatever comes from now on.
                self.read_all_room = false;
                self.is_quiet_now()
            }
            Err(_) => false,
        }
    }
}

impl Stream {
    /// Writes once, the last bytes of the stream, whose end is to follow at once: mostly they go out with it ([`send_last`]).
    pub(crate) fn poll_send_last(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.now(|socket| Ok(send_last(socket, bytes)))? {
            Some(sent) => Poll::Ready(sent),
            None => self.poll_send(context, bytes),
        }
    }

    /// Asks the kernel for a byte without taking it: how many there are of it, none at the end.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing to read; others if the connection is gone.
    pub(crate) fn peek(&self) -> io::Result<usize> {
        self.now(|socket| Ok(recv(socket, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT)?.0))
    }

    /// The addresses of the other end and of this one, if the connection stands and has such.
    pub(crate) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        let ends = self.now(|socket| {
            let socket = SockRef::from(&socket);
            Ok((socket.peer_addr()?.as_socket(), socket.local_addr()?.as_socket()))
        });
        ends.ok().and_then(|(source, destination)| source.zip(destination))
    }

    /// Ends what is written.
    ///
    /// # Errors
    /// The connection is gone.
    pub(crate) fn end(&self) -> io::Result<()> {
        self.now(|socket| Ok(shutdown(socket, Shutdown::Write)?))
    }
}

impl Socket for Stream {
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        watched!(self, socket => socket.poll_readable(context))
    }

    fn is_readable(&self) -> bool {
        match self {
            Self::Tcp(socket) => socket.is_readable(),
            Self::Unix(socket) => socket.is_readable(),
            Self::Resting(_) => false,
        }
    }

    fn receive(&self, room: &mut [u8]) -> io::Result<usize> {
        watched!(self, socket => socket.receive(room))
    }

    fn poll_receive<'a>(
        &mut self,
        context: &mut Context<'_>,
        room: impl FnOnce() -> &'a mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self::Resting(resting) = self else {
            return watched!(self, socket => socket.poll_receive(context, room));
        };
        let room = room();
        if let Some(received) = resting.receive_now(room) {
            return Poll::Ready(received);
        }
        self.resume()?;
        watched!(self, socket => socket.poll_receive(context, || room))
    }

    fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Self::Resting(resting) = self {
            if let Some(sent) = resting.now(|socket| Ok(send_now(socket, bytes)))? {
                return Poll::Ready(sent);
            }
            self.resume()?;
        }
        watched!(self, socket => socket.poll_send(context, bytes))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        stream.resume()?;
        watched!(stream, socket => Pin::new(socket).poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        stream.resume()?;
        watched!(stream, socket => Pin::new(socket).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        stream.resume()?;
        watched!(stream, socket => Pin::new(socket).poll_write_vectored(context, parts))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        stream.resume()?;
        watched!(stream, socket => Pin::new(socket).poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::Capacity;

    #[tokio::test]
    async fn the_backend_says_how_many_requests_a_connection_takes() {
        // What each response says, and after how many the connection is used up.
        let cases: [(&[Option<u32>], usize); 6] = [
            (&[None; 5], usize::MAX),
            (&[Some(3); 5], 3),
            (&[Some(2), Some(1), Some(0)], 2),
            (&[None, Some(1)], 2),
            (&[Some(0)], 1),
            (&[Some(u32::MAX), None], usize::MAX),
        ];
        for (said, expected) in cases {
            let capacity = Arc::new(Capacity::new(1, &Arc::default()));
            let (stream, _other) = UnixStream::pair().unwrap();
            let permit = capacity.try_open().unwrap();
            let mut upstream = Upstream::new(Stream::Unix(stream), permit, Instant::now());
            let used_up = said.iter().position(|max| {
                upstream.has_served(*max);
                upstream.is_used_up()
            });
            assert_eq!(used_up.map_or(usize::MAX, |index| index + 1), expected, "{said:?}");
        }
    }

    #[tokio::test]
    async fn the_kernel_is_asked_when_it_matters() {
        let capacity = Arc::new(Capacity::new(1, &Arc::default()));
        let (stream, other) = UnixStream::pair().unwrap();
        let mut upstream = Upstream::new(Stream::Unix(stream), capacity.try_open().unwrap(), Instant::now());
        assert!(upstream.is_quiet() && upstream.is_quiet_now());
        drop(other);
        // The runtime has not looked since.
        assert!(upstream.is_quiet() && !upstream.is_quiet_now());
    }
}
