//! One HTTP/2 connection of a client: it is driven here, its streams are tasks of their own.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use h2::{PingPong, Reason as Code, server};
use http1::HeadLimits;
use tokio::net::TcpStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tracing::debug;

use super::{
    PREFACE,
    chunk::Chunk,
    heartbeat::Heartbeat,
    limits, stream,
    tasks::{Arrival, Tasks},
    transport::Transport,
    watch::{Guard, Seen},
};
use crate::{
    connection,
    engine::{Client, Deadline, Silence},
    instant::Instant,
    worker::Worker,
};

/// What the streams of a connection share.
pub(super) struct Shared {
    /// The connection as the request path knows it.
    pub(super) connection: connection::Connection,
    transport: Transport<TcpStream>,
    /// Streams that are under way.
    open: Cell<u32>,
    /// Malformed requests that the driver has not counted.
    malformed: Cell<u32>,
}

impl Shared {
    /// Has the connection know where its socket leads.
    pub(super) fn learn_ends(&self) {
        self.transport.with_socket(|socket| self.connection.learn_ends(socket));
    }

    /// Notes a malformed request.
    pub(super) fn malformed(&self) {
        self.malformed.set(self.malformed.get() + 1);
    }
}

/// Counts a stream as open while it lives.
pub(super) struct Open(pub(super) Rc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

/// Serves the connection of `client`, whose first bytes are the preface, until it ends.
pub(crate) async fn serve(worker: Rc<Worker>, connection: connection::Connection, client: Client) {
    let Client { stream, input, deadline, stop, .. } = client;
    let metrics = worker.metrics.http2.downstream.clone();
    let transport = Transport::new(stream, input.bytes().to_vec(), PREFACE.len(), worker.buffers.clone(), metrics);
    drop(input);
    let (head, head_time) = connection.limits(&worker);
    let mut builder = builder(head);
    let Some(mut frames) = handshake(&mut builder, &transport, &deadline, head_time).await else { return };
    let shared =
        Rc::new(Shared { connection, transport: transport.clone(), open: Cell::new(0), malformed: Cell::new(0) });
    let mut driver = Driver {
        pings: frames.ping_pong(),
        connection: frames,
        transport: transport.clone(),
        shared,
        deadline,
        stopped: Some(Box::pin(stop.awaited())),
        started: false,
        unused: Duration::ZERO,
        heartbeat: Heartbeat::default(),
        period: limits::CHECK,
        is_closing: false,
        worker: Rc::clone(&worker),
    };
    driver.arm();
    let end = std::future::poll_fn(|context| driver.poll(context)).await;
    // Streams that are left learn that the connection is gone.
    drop(driver);
    let code = match end {
        End::Guard(guard) => {
            worker.metrics.http2.fired(guard);
            debug!(guard = guard.word(), "an HTTP/2 connection was ended");
            Some(Code::ENHANCE_YOUR_CALM)
        }
        End::Breach(code) => {
            debug!(%code, "an HTTP/2 connection failed");
            Some(code)
        }
        End::Done | End::Gone => None,
    };
    let farewell = code.and_then(|code| transport.with_watch(|watch| watch.farewell(code)));
    if let Some(frame) = farewell {
        transport.push(&frame);
    }
    if !matches!(end, End::Gone) {
        let _ = tokio::time::timeout(limits::CLOSE, std::future::poll_fn(|context| transport.poll_end(context))).await;
        linger(&transport).await;
    }
}

fn builder(head: HeadLimits) -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(limits::STREAMS)
        .max_header_list_size(limits::header_list(head))
        .max_frame_size(limits::FRAME)
        .initial_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_send_buffer_size(limits::SEND_BUFFER)
        .max_pending_accept_reset_streams(limits::PENDING_RESETS)
        .max_local_error_reset_streams(Some(limits::PROVOKED_RESETS))
        .max_concurrent_reset_streams(limits::REMEMBERED_RESETS)
        .data_frame_budget(limits::SMALL_DATA);
    builder
}

type Connection = server::Connection<Transport<TcpStream>, Chunk>;

/// Reads the preface. None if it does not come whole and in time.
async fn handshake(
    builder: &mut server::Builder,
    transport: &Transport<TcpStream>,
    deadline: &Deadline,
    time: Duration,
) -> Option<Connection> {
    let mut handshake = builder.handshake(transport.clone());
    deadline.arm(Instant::now(), time);
    std::future::poll_fn(|context| {
        deadline.wakes(context.waker());
        let shaken = Pin::new(&mut handshake).poll(context);
        if let Poll::Ready(Err(_)) = transport.poll_send(context) {
            return Poll::Ready(None);
        }
        match shaken {
            Poll::Ready(connection) => Poll::Ready(connection.ok()),
            Poll::Pending if deadline.has_passed() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Reads on for a moment, so that the peer reads what was sent: closing with unread bytes would reset the connection.
async fn linger(transport: &Transport<TcpStream>) {
    let (most, time) = limits::LINGER;
    let rest = async {
        let mut seen = 0;
        while seen < most {
            match std::future::poll_fn(|context| transport.poll_discard(context)).await {
                Ok(0) | Err(_) => return,
                Ok(count) => seen += count as u64,
            }
        }
    };
    let _ = tokio::time::timeout(time, rest).await;
}

/// How a connection ended.
enum End {
    /// All was said.
    Done,
    /// Nobody is there any more.
    Gone,
    /// The peer did what it must not do too often.
    Guard(Guard),
    /// The peer broke the protocol, in a way that `h2` does not look for.
    Breach(Code),
}

struct Driver {
    connection: Connection,
    transport: Transport<TcpStream>,
    worker: Rc<Worker>,
    shared: Rc<Shared>,
    deadline: Deadline,
    /// Until no further requests are taken.
    stopped: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    pings: Option<PingPong>,
    /// Whether a stream was started since the last check.
    started: bool,
    /// For how long checks have found no stream.
    unused: Duration,
    heartbeat: Heartbeat,
    /// The time between checks.
    period: Duration,
    is_closing: bool,
}

impl Driver {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        self.deadline.wakes(context.waker());
        if self.stopped.as_mut().is_some_and(|stopped| stopped.as_mut().poll(context).is_ready()) {
            self.stopped = None;
            self.connection.graceful_shutdown();
        }
        loop {
            let end = self.turn(context);
            if let Poll::Ready(Err(_)) = self.transport.poll_send(context) {
                return Poll::Ready(End::Gone);
            }
            if let Some(end) = self.watched() {
                return Poll::Ready(end);
            }
            if let Some(end) = end {
                return Poll::Ready(end);
            }
            if !self.deadline.has_passed() {
                return Poll::Pending;
            }
            if let Some(end) = self.check(context) {
                return Poll::Ready(end);
            }
        }
    }

    /// Reads and writes frames and starts the streams that come.
    fn turn(&mut self, context: &mut Context<'_>) -> Option<End> {
        loop {
            match self.connection.poll_accept(context) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.started = true;
                    let connection = &self.shared.connection;
                    let most = self.worker.with_snapshot(|snapshot| connection.listener(snapshot).requests);
                    if !connection.counts_request(most) {
                        self.connection.graceful_shutdown();
                    }
                    self.worker.metrics.http2.downstream.streams.inc();
                    let stream = respond.stream_id().into();
                    self.transport.with_watch(|watch| watch.handed_out(stream));
                    self.shared.open.set(self.shared.open.get() + 1);
                    let open = Open(Rc::clone(&self.shared));
                    Tasks::serve(&self.worker, Arrival { request, respond, open });
                }
                Poll::Ready(Some(Err(error))) => {
                    debug!(%error, "an HTTP/2 connection failed");
                    let is_calm = error.reason() != Some(Code::ENHANCE_YOUR_CALM) || !error.is_library();
                    if !is_calm {
                        self.worker.metrics.http2.fired(Guard::Library);
                    } else if error.is_library() {
                        stream::broken(&self.worker, &self.shared);
                    }
                    return Some(if error.is_io() { End::Gone } else { End::Done });
                }
                Poll::Ready(None) => return Some(End::Done),
                Poll::Pending => return None,
            }
        }
    }

    /// Whether the watcher of frames ends the connection.
    fn watched(&mut self) -> Option<End> {
        let malformed = self.shared.malformed.take();
        let Seen { unheard, breach, fired } = self.transport.with_watch(|watch| watch.look(malformed));
        for unheard in unheard {
            stream::unheard(&self.worker, &self.shared, unheard);
        }
        if breach.is_some() {
            stream::broken(&self.worker, &self.shared);
        }
        breach.map(End::Breach).or(fired.map(End::Guard))
    }

    /// Looks now and then at whether the connection is used and its peer is there. A timer that is armed anew for each request
    /// would cost each request something.
    fn check(&mut self, context: &mut Context<'_>) -> Option<End> {
        let has_streams = self.shared.open.get() > 0;
        if self.is_closing && !has_streams {
            return Some(End::Done);
        }
        let is_used = std::mem::take(&mut self.started) || has_streams;
        self.unused = if is_used { Duration::ZERO } else { self.unused + self.period };
        let has_read = self.transport.take_has_read();
        let (idle, silence) = self.times();
        if self.unused >= idle {
            self.is_closing = true;
            self.connection.graceful_shutdown();
        } else if self.heartbeat.beat(self.period, silence, has_streams, has_read, self.pings.as_mut(), context) {
            return Some(End::Gone);
        }
        self.arm();
        None
    }

    fn arm(&mut self) {
        let (idle, silence) = self.times();
        let least = silence.asked_after.min(silence.answered_within).min(idle / 2);
        self.period = if self.is_closing { limits::CLOSE } else { limits::CHECK.min(least) };
        self.deadline.arm(Instant::now(), self.period);
    }

    /// How long the listener lets connections lie idle, and clients be silent.
    fn times(&self) -> (Duration, Silence) {
        self.worker.with_snapshot(|snapshot| {
            let listener = self.shared.connection.listener(snapshot);
            (listener.idle, listener.silence)
        })
    }
}
