//! The socket of an HTTP/2 connection: what one turn writes goes out in one system call.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http2::{Connection, Failure};
use tokio::io::AsyncWrite;

use super::chunk::Chunk;
use crate::engine::{Buffers, Socket};

/// Reads of one turn, of a buffer each: then others of the worker have theirs.
const READS: usize = 16;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All was said.
    Done,
    /// Nobody is there any more.
    Gone,
    /// The peer broke the protocol or did too much. It is to be told.
    Failed(Failure),
}

/// A socket, and what was read from it before the protocol was known.
pub(super) struct Transport<S> {
    socket: S,
    ahead: Vec<u8>,
    buffers: Buffers,
    has_read: bool,
}

impl<S: Socket + AsyncWrite + Unpin> Transport<S> {
    /// A transport over `socket`, from which `ahead` was read already.
    pub(super) fn new(socket: S, ahead: Vec<u8>, buffers: Buffers) -> Self {
        Self { socket, ahead, buffers, has_read: false }
    }

    /// Whether anything was read since the last call.
    pub(super) fn take_has_read(&mut self) -> bool {
        std::mem::take(&mut self.has_read)
    }

    /// Reads and writes what can be; `hand_out` is called when there may be requests.
    pub(super) fn poll(
        &mut self,
        connection: &Connection<Chunk>,
        context: &mut Context<'_>,
        mut hand_out: impl FnMut(&S),
    ) -> Poll<End> {
        connection.drives();
        let end = self.turn(connection, context, &mut hand_out);
        connection.rests(context.waker());
        end
    }

    fn turn(
        &mut self,
        connection: &Connection<Chunk>,
        context: &mut Context<'_>,
        hand_out: &mut impl FnMut(&S),
    ) -> Poll<End> {
        let mut reads = 0;
        loop {
            while connection.wants_bytes() && reads < READS {
                reads += 1;
                match self.poll_receive(connection, context) {
                    Poll::Ready(Ok(Ok(()))) => hand_out(&self.socket),
                    Poll::Ready(Ok(Err(failure))) => {
                        hand_out(&self.socket);
                        // Whoever does not take it now may still do so later.
                        let _ = self.poll_send(connection, context);
                        return Poll::Ready(End::Failed(failure));
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(End::Gone),
                    Poll::Pending => break,
                }
            }
            let was_full = !connection.wants_bytes();
            match self.poll_send(connection, context) {
                Poll::Ready(Ok(())) if connection.is_done() => {
                    return Poll::Ready(connection.failure().map_or(End::Done, End::Failed));
                }
                Poll::Ready(Ok(())) | Poll::Pending if reads == READS => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(Ok(())) if was_full => {}
                Poll::Ready(Ok(())) | Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(End::Gone),
            }
        }
    }

    /// Reads once. An inner error is what the peer did wrong; the end of the stream is an outer one.
    fn poll_receive(
        &mut self,
        connection: &Connection<Chunk>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Result<(), Failure>>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Ok(connection.receive(&std::mem::take(&mut self.ahead))));
        }
        ready!(self.socket.poll_readable(context))?;
        let mut buffer = self.buffers.large();
        let count = ready!(self.socket.poll_receive(context, || &mut buffer[..]))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.has_read = true;
        Poll::Ready(Ok(connection.receive(&buffer[..count])))
    }

    /// Sends what was gathered.
    fn poll_send(&mut self, connection: &Connection<Chunk>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let sent =
                connection.with_unwritten(|bytes| (!bytes.is_empty()).then(|| self.socket.poll_send(context, bytes)));
            match sent {
                None => return Poll::Ready(Ok(())),
                Some(Poll::Ready(Ok(0))) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Some(Poll::Ready(sent)) => connection.written(sent?),
                Some(Poll::Pending) => return Poll::Pending,
            }
        }
    }

    /// Sends what was gathered and says to the peer that nothing more follows.
    pub(super) fn poll_end(
        &mut self,
        connection: &Connection<Chunk>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_send(connection, context))?;
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    /// Reads bytes that are of no more use; `Ok(0)` is the end.
    pub(super) fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [0; 4096];
        self.socket.poll_receive(context, || &mut room[..])
    }
}
