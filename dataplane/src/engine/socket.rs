//! Reads and writes of a socket with as little of the runtime in between as may be.

use std::{
    io,
    os::fd::AsFd,
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use tokio::{
    io::{AsyncWrite, Interest},
    net::{TcpStream, UnixStream},
};

/// Bytes up to which a write is tried before the runtime is asked whether there is room. Almost always there is for so few; for more the
/// runtime remembers that there was none.
const SHORT: usize = 16 << 10;

/// A stream socket.
pub(crate) trait Socket {
    /// Waits until the runtime knows of something to read, or of the end.
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether the runtime knows of something to read, or of the end. Asks for no wake-up, and costs one look at a number.
    fn is_readable(&self) -> bool;

    /// Reads once into `room`, which is not empty; `Ok(0)` is the end of the stream.
    ///
    /// After a short read the runtime knows without a system call that there is nothing more.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there was nothing after all: then the runtime knows that, too.
    fn receive(&self, room: &mut [u8]) -> io::Result<usize>;

    /// Writes once, as [`AsyncWrite::poll_write`] does.
    fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Reads once into what `room` gives when there is something to read; none while there is not.
    fn poll_receive<'a>(
        &mut self,
        context: &mut Context<'_>,
        room: impl FnOnce() -> &'a mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_readable(context))?;
        let room = room();
        loop {
            match self.receive(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.poll_readable(context))?,
                read => return Poll::Ready(read),
            }
        }
    }
}

/// Reads once. A short read is told to the runtime, by way of `short`, as one that would have blocked.
fn receive(socket: impl AsFd, room: &mut [u8], short: &mut Option<usize>) -> io::Result<usize> {
    let size = room.len();
    let (count, _) = recv(socket, room, RecvFlags::DONTWAIT)?;
    if count == 0 || count == size {
        return Ok(count);
    }
    *short = Some(count);
    Err(io::ErrorKind::WouldBlock.into())
}

/// Writes once, if there is room, whatever the runtime knows of that.
pub(super) fn send_now(socket: impl AsFd, bytes: &[u8]) -> Option<io::Result<usize>> {
    send_with(socket, bytes, SendFlags::empty())
}

/// The same for bytes that the end of the stream follows at once: what does not fill a segment waits for it, and goes in one with it.
/// Without an end it would wait for 200 ms.
pub(super) fn send_last(socket: impl AsFd, bytes: &[u8]) -> Option<io::Result<usize>> {
    send_with(socket, bytes, SendFlags::MORE)
}

fn send_with(socket: impl AsFd, bytes: &[u8], flags: SendFlags) -> Option<io::Result<usize>> {
    match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL | flags) {
        Err(Errno::AGAIN | Errno::INTR) => None,
        sent => Some(sent.map_err(io::Error::from)),
    }
}

macro_rules! socket {
    ($stream:ty) => {
        impl Socket for $stream {
            fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(context)
            }

            fn is_readable(&self) -> bool {
                // Nothing is tried: the answer is whether the runtime would.
                self.try_io(Interest::READABLE, || Ok(())).is_ok()
            }

            fn receive(&self, room: &mut [u8]) -> io::Result<usize> {
                let mut short = None;
                let read = self.try_io(Interest::READABLE, || receive(self, room, &mut short));
                short.map_or(read, Ok)
            }

            fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                if bytes.len() <= SHORT
                    && let Some(sent) = send_now(&*self, bytes)
                {
                    return Poll::Ready(sent);
                }
                Pin::new(self).poll_write(context, bytes)
            }
        }
    };
}

socket!(TcpStream);
socket!(UnixStream);

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test]
    async fn reads_and_writes_go_on_when_there_is_something_and_room() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut room = [0; 4];
        let mut taken = false;
        let read = theirs.poll_receive(&mut context, || {
            taken = true;
            &mut [] as &mut [u8]
        });
        assert!(read.is_pending() && !taken, "no room is made for nothing");
        assert!(matches!(ours.poll_send(&mut context, b"abcdef"), Poll::Ready(Ok(6))));
        for expected in [&b"abcd"[..], b"ef"] {
            let count = std::future::poll_fn(|context| theirs.poll_receive(context, || &mut room)).await.unwrap();
            assert_eq!(&room[..count], expected);
        }
        assert!(theirs.poll_receive(&mut context, || &mut room).is_pending());

        // Until it is full, whatever the size of the pieces.
        let sent = std::iter::from_fn(|| match theirs.poll_send(&mut context, &[7; SHORT]) {
            Poll::Ready(sent) => Some(sent.unwrap()),
            Poll::Pending => None,
        });
        let mut left: usize = sent.sum();
        assert!(left > 0);
        let mut room = vec![0; 2 * SHORT];
        while left > 0 {
            left -= std::future::poll_fn(|context| ours.poll_receive(context, || &mut room)).await.unwrap();
        }
        let sent = std::future::poll_fn(|context| theirs.poll_send(context, b"on")).await;
        assert_eq!(sent.unwrap(), 2);
        let count = std::future::poll_fn(|context| ours.poll_receive(context, || &mut room)).await.unwrap();
        assert_eq!(&room[..count], b"on");
        drop(ours);
        assert_eq!(std::future::poll_fn(|context| theirs.poll_receive(context, || &mut room)).await.unwrap(), 0);
        assert!(theirs.poll_send(&mut context, b"x").map(|sent| sent.is_err()) == Poll::Ready(true));
    }
}
