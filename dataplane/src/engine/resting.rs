//! A backend's socket that the runtime does not watch: what comes on it wakes nobody.
//!
//! The runtime registers sockets for everything, and edge by edge: each packet of a backend is a wake-up of the worker, also while
//! it has to wait for the client before it can take any of it.

use std::{
    io, mem, net,
    os::fd::{AsFd, BorrowedFd},
    task::{Context, Poll},
};

use tokio::{io::Interest, net::TcpStream};

use super::{
    splice::{Action, Socket},
    stream::Stream,
};

/// A TCP socket out of the runtime's sight. It can be spliced from, and for anything else it is not connected.
pub(crate) struct Resting(
    /// None once the runtime could not let go of it or take it back: then it is closed.
    Option<net::TcpStream>,
);

impl Stream {
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

    #[tokio::test]
    async fn a_resting_socket_is_not_connected_for_whoever_would_wait() {
        let (ours, _theirs) = pair().await;
        let mut stream = Stream::Tcp(ours);
        stream.rest().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let failed = |error: io::Error| assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        failed(stream.read(&mut [0]).await.unwrap_err());
        failed(stream.write(b"x").await.unwrap_err());
        failed(stream.shutdown().await.unwrap_err());
        failed(stream.receive(&mut [0]).unwrap_err());
        assert!(matches!(stream.poll_readable(&mut context), Poll::Ready(Err(_))) && !stream.is_readable());
        // Lost, as after an error of the runtime.
        let mut stream = Stream::Resting(Resting(None));
        assert!(matches!(try_receive(&stream, &mut context), Poll::Ready(Err(_))));
        failed(stream.resume().unwrap_err());
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
