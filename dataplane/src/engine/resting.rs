//! A socket that the runtime does not watch: what comes on it wakes nobody.
//!
//! The runtime registers sockets for everything, and edge by edge: each packet of a backend is a wake-up of the worker, also while
//! it has to wait for the client before it can take any of it. And a client that connects for one request has mostly sent all of it
//! by the time that it is accepted, and can take all of the response: nobody ever waits for its socket, and to have it watched and
//! let go of again would be two system calls for nothing.

use std::{
    io, mem, net,
    os::fd::{AsFd, BorrowedFd},
    task::{Context, Poll},
};

use rustix::net::{RecvFlags, recv};
use tokio::{io::Interest, net::TcpStream};

use super::{
    splice::{Action, Socket},
    stream::Stream,
};

/// A TCP socket out of the runtime's sight. Reads and writes are tried at once, and where they would have to wait the stream
/// [`resume`](Stream::resume)s; what cannot do that by itself says that it is not connected.
pub(crate) struct Resting(
    /// None once the runtime could not let go of it or take it back: then it is closed.
    Option<net::TcpStream>,
);

impl Stream {
    /// A socket that was accepted, and is watched once somebody waits for it. It does not block.
    pub(crate) fn accepted(socket: net::TcpStream) -> Self {
        Self::Resting(Resting(Some(socket)))
    }

    /// Whether the runtime does not watch the socket.
    pub(crate) fn rests(&self) -> bool {
        matches!(self, Self::Resting(_))
    }

    /// Takes the socket out of the runtime, for one system call. A Unix socket stays.
    ///
    /// # Errors
    /// That failed, and the connection is lost.
    pub(crate) fn rest(&mut self) -> io::Result<()> {
        *self = match mem::replace(self, Self::Resting(Resting(None))) {
            Self::Tcp(stream) => Self::Resting(Resting(Some(stream.into_std()?))),
            other => other,
        };
        Ok(())
    }

    /// Gives a resting socket back to the runtime, for one system call. Answers whether it rested.
    ///
    /// The runtime does not know yet what there is to read: its first wait finds out.
    ///
    /// # Errors
    /// That failed, and the connection is lost.
    pub(crate) fn resume(&mut self) -> io::Result<bool> {
        let Self::Resting(Resting(stream)) = self else { return Ok(false) };
        let stream = stream.take().ok_or(io::ErrorKind::NotConnected)?;
        *self = Self::Tcp(TcpStream::from_std(stream)?);
        Ok(true)
    }
}

impl Resting {
    /// Reads once. None if that would have to wait.
    pub(super) fn receive_now(&self, room: &mut [u8]) -> Option<io::Result<usize>> {
        let received = self.now(|socket| Ok(recv(socket, room, RecvFlags::DONTWAIT)?.0));
        received.map_or_else(
            |error| (error.kind() != io::ErrorKind::WouldBlock).then_some(Err(error)),
            |count| Some(Ok(count)),
        )
    }
}

impl Socket for Resting {
    /// Tries at once. Pending asks for no wake-up: who wants to wait has to [`resume`](Stream::resume) first.
    fn poll_io<R>(&self, _: Interest, _: &mut Context<'_>, mut action: impl Action<R>) -> Poll<io::Result<R>> {
        let socket = self.0.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        loop {
            match action(socket.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn now<R>(&self, action: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        action(self.0.as_ref().ok_or(io::ErrorKind::NotConnected)?.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
        task::{Wake, Waker},
    };

    use rustix::net::{RecvFlags, recv};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, UnixStream},
    };

    use super::*;
    use crate::{
        engine::{Capacity, Upstream, socket::Socket as _},
        instant::Instant,
    };

    #[derive(Default)]
    struct Alarm(AtomicUsize);

    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (stream, listener.accept().await.unwrap().0)
    }

    /// Returns when the runtime has heard of everything that the kernel knows by now.
    async fn all_is_heard() {
        let (mut ours, mut theirs) = pair().await;
        theirs.write_all(b"x").await.unwrap();
        ours.read_exact(&mut [0]).await.unwrap();
    }

    fn try_receive(stream: &Stream, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        stream.poll_io(Interest::READABLE, context, |socket| {
            Ok(recv(socket, &mut [0; 8], RecvFlags::DONTWAIT).map(|(count, _)| count)?)
        })
    }

    #[tokio::test]
    async fn a_resting_socket_wakes_nobody_and_gives_what_came() {
        let (ours, mut theirs) = pair().await;
        let mut stream = Stream::Tcp(ours);
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(Arc::clone(&alarm));
        let mut context = Context::from_waker(&waker);
        for round in 1..=3 {
            assert!(stream.poll_readable(&mut context).is_pending());
            stream.rest().unwrap();
            stream.rest().unwrap();
            assert!(try_receive(&stream, &mut context).is_pending());
            theirs.write_all(b"abc").await.unwrap();
            all_is_heard().await;
            assert_eq!(alarm.0.load(Relaxed), round - 1, "while it rests");
            assert!(matches!(try_receive(&stream, &mut context), Poll::Ready(Ok(3))));

            assert!(stream.resume().unwrap() && !stream.resume().unwrap());
            all_is_heard().await;
            assert!(stream.poll_readable(&mut context).is_pending(), "nothing is left");
            theirs.write_all(b"de").await.unwrap();
            all_is_heard().await;
            assert_eq!(alarm.0.load(Relaxed), round, "after it rested");
            assert!(matches!(try_receive(&stream, &mut context), Poll::Ready(Ok(2))));
            // Would block: the runtime knows it now.
            assert!(try_receive(&stream, &mut context).is_pending());
        }
        // What came meanwhile is found by the first wait.
        stream.rest().unwrap();
        theirs.write_all(b"fgh").await.unwrap();
        assert!(stream.resume().unwrap());
        stream.read_exact(&mut [0; 3]).await.unwrap();
        // So is the end.
        stream.rest().unwrap();
        drop(theirs);
        assert!(matches!(try_receive(&stream, &mut context), Poll::Ready(Ok(0))));
    }

    /// Whatever the first is that has to wait.
    #[tokio::test]
    async fn who_has_to_wait_for_a_resting_socket_has_it_watched() {
        let mut context = Context::from_waker(Waker::noop());
        let mut room = [0; 8];
        let (ours, mut theirs) = pair().await;
        let mut stream = Stream::accepted(ours.into_std().unwrap());
        theirs.write_all(b"abc").await.unwrap();
        assert!(matches!(stream.poll_receive(&mut context, || &mut room), Poll::Ready(Ok(3))) && stream.rests());
        assert!(matches!(stream.poll_send(&mut context, b"de"), Poll::Ready(Ok(2))) && stream.rests());
        assert!(matches!(stream.poll_readable(&mut context), Poll::Ready(Err(_))) && !stream.is_readable());
        assert!(stream.peek().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) && stream.rests());
        assert!(stream.poll_receive(&mut context, || &mut room).is_pending() && !stream.rests());
        theirs.write_all(b"fg").await.unwrap();
        let received = std::future::poll_fn(|context| stream.poll_receive(context, || &mut room)).await;
        assert_eq!(received.unwrap(), 2);

        stream.rest().unwrap();
        let mut sent = 2;
        while let Poll::Ready(count) = stream.poll_send(&mut context, &[7; 1 << 16]) {
            sent += count.unwrap();
        }
        assert!(!stream.rests());
        let reading = async {
            let mut received = Vec::new();
            theirs.read_to_end(&mut received).await.unwrap();
            received.len()
        };
        let sending = async {
            sent += std::future::poll_fn(|context| stream.poll_send(context, b"x")).await.unwrap();
            stream.end().unwrap();
            sent
        };
        let (received, sent) = tokio::join!(reading, sending);
        assert_eq!(received, sent);

        for waits in 0..2 {
            let (ours, mut theirs) = pair().await;
            let mut stream = Stream::accepted(ours.into_std().unwrap());
            theirs.write_all(b"abc").await.unwrap();
            match waits {
                0 => assert_eq!(stream.read(&mut room).await.unwrap(), 3),
                _ => assert_eq!(stream.write(b"de").await.unwrap(), 2),
            }
            assert!(!stream.rests());
        }
    }

    #[tokio::test]
    async fn a_socket_that_the_runtime_lost_is_not_connected() {
        let mut stream = Stream::Resting(Resting(None));
        let mut context = Context::from_waker(Waker::noop());
        let failed = |error: io::Error| assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        failed(stream.read(&mut [0]).await.unwrap_err());
        failed(stream.write(b"x").await.unwrap_err());
        failed(stream.shutdown().await.unwrap_err());
        failed(stream.receive(&mut [0]).unwrap_err());
        failed(stream.end().unwrap_err());
        failed(stream.peek().unwrap_err());
        failed(stream.resume().unwrap_err());
        assert!(stream.ends().is_none());
        assert!(matches!(stream.poll_receive(&mut context, || &mut []), Poll::Ready(Err(_))));
        assert!(matches!(stream.poll_send(&mut context, b"x"), Poll::Ready(Err(_))));
        assert!(matches!(stream.poll_send_last(&mut context, b"x"), Poll::Ready(Err(_))));
        assert!(matches!(try_receive(&stream, &mut context), Poll::Ready(Err(_))));
    }

    /// The end of the stream goes out with them, and they do not wait for anything but it.
    #[tokio::test]
    async fn the_last_bytes_go_out_with_the_end() {
        let (ours, mut theirs) = pair().await;
        let mut stream = Stream::accepted(ours.into_std().unwrap());
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(stream.poll_send_last(&mut context, b"last"), Poll::Ready(Ok(4))));
        assert_eq!(recv(&theirs, &mut [0; 8], RecvFlags::DONTWAIT).unwrap_err(), rustix::io::Errno::AGAIN);
        stream.end().unwrap();
        let mut received = Vec::new();
        theirs.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"last");
    }

    #[tokio::test]
    async fn a_unix_socket_does_not_rest() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stream = Stream::Unix(ours);
        stream.rest().unwrap();
        theirs.write_all(b"x").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        assert!(!stream.resume().unwrap());
    }

    #[tokio::test]
    async fn a_connection_that_rested_is_used_again_if_nothing_came() {
        for (sent, is_closed, stands) in [(&b""[..], false, true), (b"x", false, false), (b"", true, false)] {
            let capacity = Arc::new(Capacity::new(1, &Arc::default()));
            let (ours, mut theirs) = pair().await;
            let mut upstream = Upstream::new(Stream::Tcp(ours), capacity.try_open().unwrap(), Instant::now());
            assert!(upstream.resume(), "it did not rest");
            upstream.stream.rest().unwrap();
            theirs.write_all(sent).await.unwrap();
            if is_closed {
                theirs.shutdown().await.unwrap();
            }
            assert_eq!(upstream.resume(), stands);
            assert!(!stands || upstream.stands(false));
            // What comes later is noticed as ever.
            drop(theirs);
            all_is_heard().await;
            assert!(!upstream.stands(true));
        }
    }
}
