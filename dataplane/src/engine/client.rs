//! A client's connection: heads come in, answers go out, one request after the other.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http1::{Fault, HeadLimits, Progress, Version};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::{
    buffers::{Buffers, SMALL},
    deadlines::Deadline,
    input::Input,
    scratch::Scratch,
};
use crate::worker::Worker;

/// Limits of a request head.
const HEAD: HeadLimits = HeadLimits { bytes: 32 << 10, fields: 100, target_bytes: 8 << 10 };
/// How long a head may take from its first byte to its last.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// How long a connection may lie idle between requests.
const IDLE: Duration = Duration::from_secs(75);
/// How long writing an answer of our own may take.
const ANSWER: Duration = Duration::from_secs(15);
/// What of a refused request is still read, so that the client reads the answer and not a reset.
const LINGER: (u64, Duration) = (1 << 20, Duration::from_secs(2));

/// A client's connection.
pub(crate) struct Client {
    /// The socket.
    pub(crate) stream: TcpStream,
    /// What was read and not used.
    pub(crate) input: Input,
    /// The time-out of whatever goes on now.
    pub(crate) deadline: Deadline,
    /// Whether the client ended its side.
    pub(crate) has_ended: bool,
    /// The version of the request that goes on now.
    pub(crate) version: Version,
    /// Cancelled when no further request is taken.
    pub(crate) stop: CancellationToken,
}

/// What came where a request was expected.
pub(crate) enum Read {
    /// A head, complete and consumed by nobody yet.
    Head,
    /// A head that is refused.
    Fault(Fault),
    /// A head that took too long.
    TooSlow,
    /// Nothing more, and nothing to answer.
    End,
}

impl Client {
    /// A connection that was accepted just now.
    pub(crate) fn new(stream: TcpStream, deadline: Deadline, stop: CancellationToken) -> Self {
        Self { stream, input: Input::default(), deadline, has_ended: false, version: Version::Http11, stop }
    }

    /// Reads once. `Ok(0)` is the end of what the client sends.
    pub(crate) fn poll_read(&mut self, buffers: &Buffers, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.poll_fill(&mut self.stream, || buffers.small(), context)
    }

    /// Reads once of a body, for which a larger buffer saves calls.
    pub(crate) fn poll_read_body(&mut self, buffers: &Buffers, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.poll_fill(&mut self.stream, || buffers.large(), context)
    }

    /// Waits for the next request head. While nothing of it has come the connection owns no memory but its own, and
    /// `stop` ends it.
    pub(crate) async fn read_head(&mut self, worker: &Worker, scratch: &mut Option<Box<Scratch>>) -> Read {
        // A request ended, or the connection was accepted, a moment ago.
        self.deadline.arm(worker.clock.recent(), IDLE);
        let mut has_begun = false;
        let read = std::future::poll_fn(|context| {
            self.deadline.wakes(context.waker());
            loop {
                if !self.input.is_empty() {
                    let scratch = scratch.get_or_insert_with(|| worker.scratch());
                    match scratch.request.parse(self.input.bytes(), &HEAD) {
                        Ok(Progress::Complete(_)) => return Poll::Ready(Read::Head),
                        Ok(Progress::Partial) => {}
                        Err(fault) => return Poll::Ready(Read::Fault(fault)),
                    }
                    if !has_begun {
                        has_begun = true;
                        self.deadline.arm(Instant::now(), HEAD_TIME);
                    }
                    if self.input.bytes().len() == SMALL && self.input.is_full() {
                        self.input.move_to(worker.buffers.large());
                    }
                }
                if self.deadline.has_passed() {
                    return Poll::Ready(if has_begun { Read::TooSlow } else { Read::End });
                }
                if !has_begun && (self.stop.is_cancelled() || self.has_ended) {
                    return Poll::Ready(Read::End);
                }
                match self.poll_read(&worker.buffers, context) {
                    Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Poll::Ready(Read::End),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        self.deadline.disarm();
        read
    }

    /// Writes all of `bytes`; false if the client does not take them in time.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        let mut written = 0;
        self.deadline.arm(Instant::now(), ANSWER);
        let sent = std::future::poll_fn(|context| {
            while written < bytes.len() {
                match Pin::new(&mut self.stream).poll_write(context, &bytes[written..]) {
                    Poll::Ready(Ok(count)) => written += count,
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending if self.deadline.has_passed() => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(true)
        })
        .await;
        self.deadline.disarm();
        sent
    }

    /// Ends the connection so that the client reads what was sent, though it may still be sending: closing with unread bytes
    /// would reset it.
    pub(crate) async fn linger(mut self) {
        if self.has_ended || self.stream.shutdown().await.is_err() {
            return;
        }
        let (most, time) = LINGER;
        let rest = async {
            let mut discarded = [0; 4096];
            let mut seen = 0;
            while seen < most {
                match self.stream.read(&mut discarded).await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => seen += count as u64,
                }
            }
        };
        let _ = tokio::time::timeout(time, rest).await;
    }
}
