//! The bytes between `h2` and the socket: what one turn of the connection writes goes out in one system call.

use std::{
    cell::{RefCell, RefMut},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{limits, watch::Watch};
use crate::metrics::Http2Side;

/// One end of an HTTP/2 connection; clones share it. One is `h2`'s, one belongs to whoever drives the connection and sends what
/// was gathered.
pub(super) struct Transport<S> {
    wire: Rc<RefCell<Wire<S>>>,
}

impl<S> Clone for Transport<S> {
    fn clone(&self) -> Self {
        Self { wire: Rc::clone(&self.wire) }
    }
}

struct Wire<S> {
    stream: S,
    /// Bytes that were read before the protocol was known.
    ahead: Vec<u8>,
    /// What was written and not sent.
    gathered: Vec<u8>,
    sent: usize,
    watch: Watch,
    /// Whether anything was read since somebody asked.
    has_read: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// A transport over `stream`, from which `ahead` was read already. Before its first frame the peer sends `preface` bytes.
    pub(super) fn new(stream: S, ahead: Vec<u8>, preface: usize, metrics: Http2Side) -> Self {
        let wire =
            Wire { stream, ahead, gathered: Vec::new(), sent: 0, watch: Watch::new(preface, metrics), has_read: false };
        Self { wire: Rc::new(RefCell::new(wire)) }
    }

    /// The counts of frames.
    pub(super) fn watch(&self) -> RefMut<'_, Watch> {
        RefMut::map(self.wire.borrow_mut(), |wire| &mut wire.watch)
    }

    /// Whether anything was read since the last call.
    pub(super) fn take_has_read(&self) -> bool {
        std::mem::take(&mut self.wire.borrow_mut().has_read)
    }

    /// Sends what was gathered.
    pub(super) fn poll_send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.borrow_mut().poll_send(context, 0)
    }

    /// Writes `bytes` behind all that was gathered.
    pub(super) fn push(&self, bytes: &[u8]) {
        self.wire.borrow_mut().gathered.extend_from_slice(bytes);
    }

    /// Reads bytes that are of no more use; `Ok(0)` is the end.
    pub(super) fn poll_discard(&self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [0; 4096];
        let mut room = ReadBuf::new(&mut room);
        ready!(Pin::new(&mut self.wire.borrow_mut().stream).poll_read(context, &mut room))?;
        Poll::Ready(Ok(room.filled().len()))
    }

    /// Says to the peer that nothing more follows what was gathered.
    pub(super) fn poll_end(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.borrow_mut().poll_end(context)
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context, 0))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    /// Sends until at most `left` bytes wait.
    fn poll_send(&mut self, context: &mut Context<'_>, left: usize) -> Poll<io::Result<()>> {
        while self.gathered.len() - self.sent > left {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.gathered[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        if self.sent == self.gathered.len() {
            // A connection that waits owns no buffer of the size of its last body.
            self.gathered.clear();
            self.gathered.shrink_to(limits::KEPT_GATHERED);
            self.sent = 0;
        } else if self.sent >= limits::GATHERED {
            self.gathered.drain(..self.sent);
            self.sent = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Transport<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self.wire.borrow_mut();
        if wire.watch.fired().is_some() {
            // Whoever drives the connection ends it as soon as `h2` has nothing more to do.
            return Poll::Pending;
        }
        let before = room.filled().len();
        if wire.ahead.is_empty() {
            ready!(Pin::new(&mut wire.stream).poll_read(context, room))?;
        } else {
            let count = wire.ahead.len().min(room.remaining());
            room.put_slice(&wire.ahead[..count]);
            wire.ahead.drain(..count);
        }
        wire.has_read = true;
        wire.watch.received(&room.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = &mut *self.wire.borrow_mut();
        if wire.gathered.len() - wire.sent >= limits::GATHERED {
            ready!(wire.poll_send(context, limits::GATHERED / 2))?;
        }
        wire.watch.sent(bytes);
        wire.gathered.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sent by `poll_send` after the turn.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.borrow_mut().poll_end(context)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use prometheus_client::registry::Registry;

    use super::*;
    use crate::metrics::Http2Metrics;

    fn transport(sink: Sink, ahead: &[u8]) -> Transport<Sink> {
        Transport::new(sink, ahead.to_vec(), ahead.len(), Http2Metrics::new(&mut Registry::default()).downstream)
    }

    /// Takes so many bytes, then nothing; notes each write.
    struct Sink {
        room: usize,
        writes: Vec<usize>,
    }

    impl AsyncRead for Sink {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Sink {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Poll::Pending;
            }
            self.room -= count;
            self.writes.push(count);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn writes_of_a_turn_go_out_together_and_a_peer_that_does_not_read_stops_them() {
        let mut context = Context::from_waker(Waker::noop());
        let mut transport = transport(Sink { room: 1 << 20, writes: Vec::new() }, b"");
        for _ in 0..3 {
            assert!(Pin::new(&mut transport).poll_write(&mut context, &[0; 100]).is_ready());
        }
        assert!(transport.poll_send(&mut context).is_ready());
        assert_eq!(transport.wire.borrow().stream.writes, [300]);

        transport.wire.borrow_mut().stream.room = 1000;
        let mut taken = 0;
        while Pin::new(&mut transport).poll_write(&mut context, &[0; 1 << 14]).is_ready() {
            taken += 1 << 14;
            assert!(taken <= limits::GATHERED + (1 << 15), "unbounded");
        }
        assert!(transport.poll_send(&mut context).is_pending());
        transport.wire.borrow_mut().stream.room = 1 << 20;
        assert!(transport.poll_send(&mut context).is_ready());
        assert_eq!(transport.wire.borrow().stream.writes.iter().sum::<usize>(), 300 + taken);
        assert!(transport.wire.borrow().gathered.capacity() <= limits::KEPT_GATHERED);
    }

    #[test]
    fn what_was_read_ahead_comes_first() {
        let mut context = Context::from_waker(Waker::noop());
        let mut transport = transport(Sink { room: 0, writes: Vec::new() }, b"abc");
        let mut bytes = [0; 2];
        let mut room = ReadBuf::new(&mut bytes);
        assert!(Pin::new(&mut transport).poll_read(&mut context, &mut room).is_ready());
        assert_eq!(room.filled(), b"ab");
        room.clear();
        assert!(Pin::new(&mut transport).poll_read(&mut context, &mut room).is_ready());
        assert_eq!(room.filled(), b"c");
        room.clear();
        assert!(Pin::new(&mut transport).poll_read(&mut context, &mut room).is_pending());
    }
}
