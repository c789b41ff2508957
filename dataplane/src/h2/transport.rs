//! The bytes between `h2` and the socket: what one turn of the connection writes goes out in one system call.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{limits, watch::Watch};
use crate::{
    engine::{Buffer, Buffers, LARGE},
    metrics::Http2Side,
};

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
    buffers: Buffers,
    /// What was written and not sent, at most [`limits::GATHERED`]. A connection that has sent all owns no buffer.
    gathered: Option<Buffer>,
    start: usize,
    end: usize,
    watch: Watch,
    /// Whether anything was read since somebody asked.
    has_read: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// A transport over `stream`, from which `ahead` was read already. Before its first frame the peer sends `preface` bytes.
    pub(super) fn new(stream: S, ahead: Vec<u8>, preface: usize, buffers: Buffers, metrics: Http2Side) -> Self {
        let watch = Watch::new(preface, metrics);
        let wire = Wire { stream, ahead, buffers, gathered: None, start: 0, end: 0, watch, has_read: false };
        Self { wire: Rc::new(RefCell::new(wire)) }
    }

    /// Looks at the socket.
    pub(super) fn with_socket<T>(&self, look: impl FnOnce(&S) -> T) -> T {
        look(&self.wire.borrow().stream)
    }

    /// Looks at the counts of frames. Nothing else may be done with the connection meanwhile.
    pub(super) fn with_watch<T>(&self, look: impl FnOnce(&mut Watch) -> T) -> T {
        look(&mut self.wire.borrow_mut().watch)
    }

    /// Whether anything was read since the last call.
    pub(super) fn take_has_read(&self) -> bool {
        std::mem::take(&mut self.wire.borrow_mut().has_read)
    }

    /// Sends what was gathered.
    pub(super) fn poll_send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.borrow_mut().poll_send(context, 0)
    }

    /// Writes `bytes`, which are few, behind all that was gathered.
    pub(super) fn push(&self, bytes: &[u8]) {
        self.wire.borrow_mut().gather(bytes, LARGE);
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
        while let Some(gathered) = &mut self.gathered
            && self.end - self.start > left
        {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &gathered[self.start..self.end]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.start += count,
            }
        }
        if self.start == self.end {
            (self.gathered, self.start, self.end) = (None, 0, 0);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes of `bytes` what there is room for before `limit`.
    fn gather(&mut self, bytes: &[u8], limit: usize) -> usize {
        let gathered = self.gathered.get_or_insert_with(|| self.buffers.large());
        if self.start > 0 && bytes.len() > limit.saturating_sub(self.end) {
            gathered.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let count = bytes.len().min(limit.saturating_sub(self.end));
        gathered[self.end..self.end + count].copy_from_slice(&bytes[..count]);
        self.end += count;
        count
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Transport<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self.wire.borrow_mut();
        if wire.watch.fired().is_some() || wire.watch.breach().is_some() {
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
        if wire.watch.breach().is_some() {
            // `h2` would end the connection by another code, or not at all.
            room.set_filled(before);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = &mut *self.wire.borrow_mut();
        if wire.end - wire.start >= limits::GATHERED {
            ready!(wire.poll_send(context, limits::GATHERED / 2))?;
        }
        let count = wire.gather(bytes, limits::GATHERED);
        wire.watch.sent(&bytes[..count]);
        Poll::Ready(Ok(count))
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
        let metrics = Http2Metrics::new(&mut Registry::default()).downstream;
        Transport::new(sink, ahead.to_vec(), ahead.len(), Buffers::default(), metrics)
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
        while let Poll::Ready(count) = Pin::new(&mut transport).poll_write(&mut context, &[0; 1 << 14]) {
            taken += count.unwrap();
            assert!(taken <= limits::GATHERED + 1000, "unbounded");
        }
        assert!(transport.poll_send(&mut context).is_pending());
        transport.wire.borrow_mut().stream.room = 1 << 20;
        assert!(transport.poll_send(&mut context).is_ready());
        assert_eq!(transport.wire.borrow().stream.writes.iter().sum::<usize>(), 300 + taken);
        assert!(transport.wire.borrow().gathered.is_none());
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
