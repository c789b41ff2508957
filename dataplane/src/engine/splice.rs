//! Large bodies go from socket to socket through a pipe, and never through this process (splice(2)).

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
    task::{Context, Poll, ready},
};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::{
    io::Interest,
    net::{TcpStream, UnixStream},
};

use super::stream::Stream;

/// A body with less than this to come is copied: a pipe costs three system calls.
pub(crate) const LEAST: u64 = 1 << 20;

/// Bytes that a pipe should hold; the kernel may allow less.
const PIPE: usize = 1 << 20;

/// Pipes that a worker keeps for later.
const KEPT: usize = 16;

/// The pipes of one worker; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Pipes {
    free: Rc<RefCell<Vec<Pipe>>>,
}

struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    size: usize,
}

impl Pipes {
    /// An empty pipe; `None` if the process has no descriptors left.
    pub(crate) fn take(&self) -> Option<Splice> {
        let pipe = self.free.borrow_mut().pop().or_else(|| Pipe::open().ok())?;
        Some(Splice { pipe: Some(pipe), filled: 0, home: Rc::clone(&self.free) })
    }
}

impl Pipe {
    fn open() -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let size = fcntl_setpipe_size(&writer, PIPE).or_else(|_| rustix::pipe::fcntl_getpipe_size(&writer))?;
        Ok(Self { reader, writer, size })
    }
}

/// A body on its way through a pipe.
pub(crate) struct Splice {
    /// Always there until dropped.
    pipe: Option<Pipe>,
    /// Bytes in the pipe.
    filled: usize,
    home: Rc<RefCell<Vec<Pipe>>>,
}

/// What one step of a splice did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// So many bytes came.
    In(usize),
    /// So many bytes went out.
    Out(usize),
}

/// Where a step of a splice did not get on.
#[derive(Debug)]
pub(crate) enum Side<T> {
    /// On the side that the bytes come from.
    From(T),
    /// On the side that they go to.
    To(T),
}

impl Splice {
    /// Moves some bytes, of which `rest` are still to come in: out of the pipe if there are any in it, else into it.
    ///
    /// `In(0)` is the end of what comes. A pending answer says which side is waited for.
    pub(crate) fn step(
        &mut self,
        from: &impl Socket,
        to: &impl Socket,
        rest: u64,
        context: &mut Context<'_>,
    ) -> Result<Moved, Side<Option<io::Error>>> {
        let pipe = self.pipe.as_ref().expect("a splice has its pipe");
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        if self.filled > 0 {
            // The pipe is emptied before it is filled again: then "would block" can only mean the socket.
            let out = |to: BorrowedFd<'_>| Ok(splice(&pipe.reader, None, to, None, self.filled, flags)?);
            return match to.poll_io(Interest::WRITABLE, context, out) {
                Poll::Ready(Ok(count)) => {
                    self.filled -= count;
                    Ok(Moved::Out(count))
                }
                Poll::Ready(Err(error)) => Err(Side::To(Some(error))),
                Poll::Pending => Err(Side::To(None)),
            };
        }
        let room = usize::try_from(rest).unwrap_or(usize::MAX).min(pipe.size);
        let into = |from: BorrowedFd<'_>| Ok(splice(from, None, &pipe.writer, None, room, flags)?);
        match from.poll_io(Interest::READABLE, context, into) {
            Poll::Ready(Ok(count)) => {
                self.filled += count;
                Ok(Moved::In(count))
            }
            Poll::Ready(Err(error)) => Err(Side::From(Some(error))),
            Poll::Pending => Err(Side::From(None)),
        }
    }

    /// Moves some bytes out of the pipe if the kernel has any room for them, whatever the runtime knows of that. Whether it had.
    pub(crate) fn push(&mut self, to: &impl Socket) -> bool {
        let pipe = self.pipe.as_ref().expect("a splice has its pipe");
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let pushed = match self.filled {
            0 => 0,
            filled => to.now(|to| Ok(splice(&pipe.reader, None, to, None, filled, flags)?)).unwrap_or(0),
        };
        self.filled -= pushed;
        pushed > 0
    }

    /// Whether the pipe is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }
}

impl Drop for Splice {
    fn drop(&mut self) {
        let mut home = self.home.borrow_mut();
        // With bytes in it, it must not carry another body.
        if let (0, Some(pipe)) = (self.filled, self.pipe.take())
            && home.len() < KEPT
        {
            home.push(pipe);
        }
    }
}

/// A socket that bytes are spliced from or to.
pub(crate) trait Socket {
    /// Does `action` with the socket once it may be ready for it, and again after "would block".
    fn poll_io<R>(&self, interest: Interest, context: &mut Context<'_>, action: impl Action<R>) -> Poll<io::Result<R>>;

    /// Does `action` with the socket now, whether it may be ready for it or not.
    fn now<R>(&self, action: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R>;
}

/// What is done with a socket's descriptor.
pub(crate) trait Action<R>: FnMut(BorrowedFd<'_>) -> io::Result<R> {}

impl<R, F: FnMut(BorrowedFd<'_>) -> io::Result<R>> Action<R> for F {}

macro_rules! socket {
    ($stream:ty) => {
        impl Socket for $stream {
            fn poll_io<R>(
                &self,
                interest: Interest,
                context: &mut Context<'_>,
                mut action: impl Action<R>,
            ) -> Poll<io::Result<R>> {
                loop {
                    ready!(match interest {
                        Interest::READABLE => self.poll_read_ready(context),
                        _ => self.poll_write_ready(context),
                    })?;
                    match self.try_io(interest, || action(self.as_fd())) {
                        Err(error)
                            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                        done => return Poll::Ready(done),
                    }
                }
            }

            fn now<R>(&self, action: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
                action(self.as_fd())
            }
        }
    };
}

socket!(TcpStream);
socket!(UnixStream);

impl Socket for Stream {
    fn poll_io<R>(&self, interest: Interest, context: &mut Context<'_>, action: impl Action<R>) -> Poll<io::Result<R>> {
        match self {
            Self::Tcp(stream) => stream.poll_io(interest, context, action),
            Self::Unix(stream) => stream.poll_io(interest, context, action),
            Self::Resting(resting) => resting.poll_io(interest, context, action),
        }
    }

    fn now<R>(&self, action: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        match self {
            Self::Tcp(stream) => stream.now(action),
            Self::Unix(stream) => stream.now(action),
            Self::Resting(resting) => resting.now(action),
        }
    }
}
