//! A client's connection: heads come in, answers go out, one request after the other.

use std::{
    io, net,
    task::{Context, Poll},
    time::Duration,
};

use http1::{Fault, HeadLimits, Progress, RequestBody, Version};
use socket2::SockRef;
use tokio::io::AsyncReadExt;

use super::{
    buffers::{Buffer, Buffers, SMALL},
    deadlines::Deadline,
    input::Input,
    scratch::Scratch,
    socket::Socket,
    splice::Socket as _,
    stop::Stop,
    stream::Stream,
};
use crate::{instant::Instant, worker::Worker};

/// How long writing an answer of our own may take.
const ANSWER: Duration = Duration::from_secs(15);
/// What of a refused request is still read, so that the client reads the answer and not a reset.
const LINGER: (u64, Duration) = (1 << 20, Duration::from_secs(2));
/// Bytes that a new connection sends without waiting for what its peer says: ten segments on a usual path (RFC 6928).
const AT_ONCE: u64 = 14_600;

/// A client's connection.
pub(crate) struct Client {
    /// The socket, which the runtime watches from when somebody has to wait for it.
    pub(crate) stream: Stream,
    /// What was read and not used.
    pub(crate) input: Input,
    /// The time-out of whatever goes on now.
    pub(crate) deadline: Deadline,
    /// Whether the client ended its side.
    pub(crate) has_ended: bool,
    /// The version of the request that goes on now.
    pub(crate) version: Version,
    /// Set when no further request is taken.
    pub(crate) stop: Stop,
    /// Whether the runtime wakes this connection's task when there is something to read: it was told to, and there was nothing since
    /// as long as it knows of nothing.
    is_watched: bool,
    /// Bytes of the bodies of all its responses.
    pub(crate) sent: u64,
    /// Whether anything was read.
    was_read: bool,
    /// Whether the end of the last response may wait for the connection's, to go out with it.
    is_held: bool,
    /// Whether a line break alone would belong to the last request.
    may_break_line: bool,
    /// Whether the last request had a body that a small buffer does not hold: if the next one has, too, one read takes all of it.
    pub(crate) reads_much: bool,
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
    pub(crate) fn new(socket: net::TcpStream, deadline: Deadline, stop: Stop) -> Self {
        Self {
            stream: Stream::accepted(socket),
            input: Input::default(),
            deadline,
            has_ended: false,
            version: Version::Http11,
            stop,
            is_watched: false,
            sent: 0,
            was_read: false,
            is_held: false,
            may_break_line: false,
            reads_much: false,
        }
    }

    /// Reads once. `Ok(0)` is the end of what the client sends.
    pub(crate) fn poll_read(&mut self, buffers: &Buffers, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_read_into(|| buffers.small(), context)
    }

    /// The same into a buffer from `fresh`, if there is none.
    ///
    /// Each request asks several times, and mostly there is nothing. The runtime is told once to wake the task, and not again before
    /// it has. Always asked by the same task.
    pub(crate) fn poll_read_into(
        &mut self,
        fresh: impl FnOnce() -> Buffer,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.is_watched && !self.stream.is_readable() {
            return Poll::Pending;
        }
        if self.was_read && self.stream.rests() {
            // Only reads of a watched socket count as a part of the task's turn: who sends without end would never let others have theirs.
            self.stream.resume()?;
        }
        let read = self.input.poll_fill(&mut self.stream, fresh, context);
        self.was_read |= read.is_ready();
        // A task that has had its turn is told "pending" whatever there is, and the runtime was told nothing.
        self.is_watched = read.is_pending() && tokio::task::coop::has_budget_remaining();
        read
    }

    /// The same for who can do without for a moment: as long as the socket rests it is not read, and the task is woken to ask again.
    /// Most connections that bring one request are over by then.
    pub(crate) fn poll_read_ahead(&mut self, buffers: &Buffers, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.stream.rests() && !self.deadline.has_waited_a_moment() {
            return Poll::Pending;
        }
        self.poll_read(buffers, context)
    }

    /// Writes once, the last bytes of a response behind which the connection is [`closed`](Self::close) or [lingers](Self::linger).
    pub(crate) fn poll_send_last(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_held = true;
        self.stream.poll_send_last(context, bytes)
    }

    /// Forgets that the runtime wakes the task when there is something to read: the caller reads past [`poll_read`](Self::poll_read).
    pub(crate) fn unwatch(&mut self) {
        self.is_watched = false;
    }

    /// A request is over, behind which old clients send a line break (RFC 9112 §2.2): with that alone no head begins.
    pub(crate) fn may_break_line(&mut self) {
        self.may_break_line = true;
    }

    /// Whether the client sends nothing more: it ended its side, and no further request of it was read ahead.
    pub(crate) fn is_over(&self) -> bool {
        self.has_ended && self.input.is_empty()
    }

    /// Whether the kernel has something to read of which the runtime does not know yet.
    pub(crate) fn has_more(&self) -> bool {
        !matches!(self.stream.peek(), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether anything that the client sent was not used: closing its connection now would reset it, and what of its responses
    /// is still in the kernel would be lost. Nothing of short ones is, and what the runtime knows will do;
    /// for longer ones, and where the runtime knows nothing, the kernel is asked.
    pub(crate) fn has_unread(&self) -> bool {
        match self.sent {
            _ if !self.input.is_empty() => true,
            0..=AT_ONCE if !self.stream.rests() => self.stream.is_readable() && !self.has_ended,
            _ => matches!(self.stream.peek(), Ok(1..)),
        }
    }

    /// Whatever ends the connection from now on resets it: where only its end ends a response, what is cut off must not look complete,
    /// be it by the end of this process.
    pub(crate) fn ends_with_reset(&self) {
        self.set_linger(Some(Duration::ZERO));
    }

    /// The response is whole: the connection may end as usual, if it was to end with a reset.
    pub(crate) fn ends_whole(&self) {
        if self.version == Version::Http10 {
            self.set_linger(None);
        }
    }

    fn set_linger(&self, time: Option<Duration>) {
        let _ = self.stream.now(|socket| SockRef::from(&socket).set_linger(time));
    }

    /// Ends the connection. All that was sent on it reaches the client, unless it sends something itself that nobody reads.
    pub(crate) fn close(self) {
        if self.is_held && !self.has_ended {
            // Were there something unread, to close the socket would drop what is held.
            let _ = self.stream.end();
        }
    }

    /// Waits at most `idle` for the next request head. While nothing of it has come the connection owns no memory but its own,
    /// and `stop` ends it, unless a request is there already. When it begins, `limits` gives what holds for it: its limits, and
    /// how long it may take.
    pub(crate) async fn read_head(
        &mut self,
        worker: &Worker,
        scratch: &mut Option<Box<Scratch>>,
        idle: Duration,
        limits: impl Fn() -> (HeadLimits, Duration),
    ) -> Read {
        // A request ended, or the connection was accepted, a moment ago.
        self.deadline.arm(worker.clock.recent(), idle);
        let mut begun: Option<HeadLimits> = None;
        let read = std::future::poll_fn(|context| {
            self.deadline.wakes(context.waker());
            loop {
                if begun.is_none() && self.may_break_line && self.input.bytes() == b"\r\n" {
                    self.input.consume(2);
                    self.may_break_line = false;
                }
                if !self.input.is_empty() {
                    let scratch = scratch.get_or_insert_with(|| worker.scratch());
                    let (head, time) = begun.map_or_else(&limits, |head| (head, Duration::ZERO));
                    match scratch.request.parse(self.input.bytes(), &head) {
                        Ok(Progress::Complete(_)) => return Poll::Ready(Read::Head),
                        Ok(Progress::Partial) => {}
                        Err(fault) => return Poll::Ready(Read::Fault(fault)),
                    }
                    if begun.replace(head).is_none() {
                        self.deadline.arm(Instant::now(), time);
                    }
                    if self.input.bytes().len() == SMALL && self.input.is_full() {
                        self.input.move_to(worker.buffers.large());
                    }
                }
                if self.deadline.has_passed() {
                    return Poll::Ready(if begun.is_some() { Read::TooSlow } else { Read::End });
                }
                if begun.is_none() && self.has_ended {
                    return Poll::Ready(Read::End);
                }
                let (buffers, reads_much) = (&worker.buffers, self.reads_much);
                let fresh = || if reads_much { buffers.large() } else { buffers.small() };
                match self.poll_read_into(fresh, context) {
                    Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Poll::Ready(Read::End),
                    Poll::Ready(Ok(count)) => self.reads_much &= count > SMALL,
                    Poll::Pending if begun.is_none() && self.stop.is_set() && !self.has_more() => {
                        return Poll::Ready(Read::End);
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
        self.deadline.disarm();
        read
    }

    /// Passes over the body of a request that is not forwarded, if all of it is there; else the
    /// connection cannot be kept.
    pub(crate) fn skip_body(&mut self, body: RequestBody, already_read: u64) -> bool {
        match body {
            RequestBody::None => true,
            _ if already_read > 0 => false,
            RequestBody::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= self.input.bytes().len() => {
                    self.input.consume(length);
                    true
                }
                _ => false,
            },
            RequestBody::Chunked => false,
        }
    }

    /// Writes all of `bytes`, which the end of the connection follows if they are `last`; false if the client does not take them in time.
    pub(crate) async fn send(&mut self, bytes: &[u8], is_last: bool) -> bool {
        let mut written = 0;
        self.deadline.arm(Instant::now(), ANSWER);
        let sent = std::future::poll_fn(|context| {
            while written < bytes.len() {
                let left = &bytes[written..];
                let sent =
                    if is_last { self.poll_send_last(context, left) } else { self.stream.poll_send(context, left) };
                match sent {
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
        if self.has_ended || self.stream.end().is_err() {
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
            // It sends too much to read all of it, and to close now would cut off what it has not read yet.
            std::future::pending().await
        };
        let _ = tokio::time::timeout(time, rest).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        task::{Waker, ready},
    };

    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
        task::coop::poll_proceed,
    };
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::engine::{Deadlines, deadlines::TICK};

    /// Whoever asked, and was told that there is nothing, is woken: however often it asked before, and though it had had its turn.
    #[tokio::test]
    async fn who_waits_is_woken() {
        let (mut client, mut peer) = pair().await;
        let buffers = Buffers::default();
        for (asks, had_its_turn) in [(1, false), (3, false), (1, true), (3, true)] {
            let mut asked = 0;
            let count = poll_fn(|context| {
                if had_its_turn && asked == 0 {
                    while let Poll::Ready(turn) = poll_proceed(context) {
                        turn.made_progress();
                    }
                }
                while asked < asks {
                    asked += 1;
                    assert!(client.poll_read(&buffers, context).is_pending());
                    if asked == asks {
                        assert_eq!(peer.try_write(b"x").unwrap(), 1);
                    }
                }
                let count = ready!(client.poll_read(&buffers, context)).unwrap();
                Poll::Ready(count)
            });
            assert_eq!(count.await, 1, "asked {asks} times");
            client.input.consume(1);
        }
        peer.shutdown().await.unwrap();
        assert_eq!(poll_fn(|context| client.poll_read(&buffers, context)).await.unwrap(), 0);
    }

    async fn pair() -> (Client, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        (
            Client::new(stream.into_std().unwrap(), Deadlines::new().deadline(), Stop::new(CancellationToken::new())),
            peer,
        )
    }

    #[tokio::test]
    async fn what_was_not_read_is_known_before_the_runtime_knows_it() {
        let (mut client, mut peer) = pair().await;
        // Of a socket that was never read the runtime takes it that there is something.
        poll_fn(|context| {
            assert!(client.poll_read(&Buffers::default(), context).is_pending());
            Poll::Ready(())
        })
        .await;
        assert!(!client.has_unread());
        client.sent = u64::MAX;
        assert!(!client.has_unread());
        peer.write_all(b"x").await.unwrap();
        assert!(client.has_unread());
        // For what is short it is enough to know of it a moment later.
        client.sent = 0;
        poll_fn(|context| client.stream.poll_readable(context)).await.unwrap();
        assert!(client.has_unread());
        let (client, mut peer) = pair().await;
        assert!(client.stream.rests() && !client.has_unread());
        peer.write_all(b"x").await.unwrap();
        assert!(client.stream.rests() && client.has_unread());
        let (mut client, mut peer) = pair().await;
        client.sent = u64::MAX;
        // Its end is nothing that closing the connection could lose.
        peer.shutdown().await.unwrap();
        assert!(!client.has_unread());
    }

    /// To close a socket with something unread in it drops what waits there for the end.
    #[tokio::test]
    async fn the_last_bytes_reach_a_client_that_sent_what_nobody_reads() {
        for is_watched in [false, true] {
            let (mut client, mut peer) = pair().await;
            if is_watched {
                client.stream.resume().unwrap();
            }
            peer.write_all(b"x").await.unwrap();
            assert!(client.send(b"the end", true).await && client.is_held);
            client.close();
            let mut received = [0; 8];
            assert_eq!(peer.read(&mut received).await.unwrap(), 7);
        }
    }

    #[tokio::test]
    async fn who_can_do_without_for_a_moment_is_woken_to_read() {
        let deadlines = Deadlines::new();
        let (client, mut peer) = pair().await;
        let mut client = Client { deadline: deadlines.deadline(), ..client };
        let (buffers, start) = (Buffers::default(), Instant::now());
        peer.write_all(b"x").await.unwrap();
        let mut asked = 0;
        let read = poll_fn(|context| {
            client.deadline.wakes(context.waker());
            asked += 1;
            let read = client.poll_read_ahead(&buffers, context);
            if read.is_pending() {
                assert_eq!(asked, 1);
                deadlines.turn(start + 3 * TICK);
            }
            read
        });
        assert_eq!(read.await.unwrap(), 1);
        assert_eq!(asked, 2);
        // From then on it is watched like any other.
        client.input.consume(1);
        peer.shutdown().await.unwrap();
        assert_eq!(poll_fn(|context| client.poll_read_ahead(&buffers, context)).await.unwrap(), 0);
    }

    /// Closing the connection while it sends would reset it, and the kernel drop what it has not taken yet.
    #[tokio::test]
    async fn who_sends_more_than_is_read_gets_its_response_all_the_same() {
        let (mut client, mut peer) = pair().await;
        let mut sent = 0;
        let mut context = Context::from_waker(Waker::noop());
        let piece = vec![7; SMALL];
        while let Poll::Ready(count) = client.stream.poll_send(&mut context, &piece) {
            sent += count.unwrap();
        }
        assert!(sent > 0);
        let (mut reader, mut writer) = peer.split();
        let receiving = async {
            let most = LINGER.0 as usize;
            writer.write_all(&vec![0; most]).await.unwrap();
            let flooding = async {
                let _ = writer.write_all(&vec![0; 16 * most]).await;
            };
            let mut received = Vec::new();
            tokio::select! {
                biased;
                () = flooding => panic!("nobody reads so much"),
                read = reader.read_to_end(&mut received) => assert_eq!(read.unwrap(), sent),
            }
        };
        tokio::select! {
            biased;
            () = client.linger() => panic!("it was closed before"),
            () = receiving => {}
        }
    }
}
