//! One HTTP/2 connection of a client: it is driven here, its streams are served by tasks of their own.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use http2::{Arrival, Counts, Failure};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tracing::debug;

use super::{
    chunk::Chunk,
    heartbeat::Heartbeat,
    limits, stream,
    tasks::{Request, Tasks},
    transport::{End, Transport},
};
use crate::{
    connection,
    engine::{Client, Deadline, Silence, Stream},
    instant::Instant,
    worker::Worker,
};

/// Serves the connection of `client`, whose first bytes are those of the preface, until it ends.
pub(crate) async fn serve(worker: Rc<Worker>, connection: connection::Connection, client: Client) {
    let Client { mut stream, input, deadline, stop, .. } = client;
    if stream.resume().is_err() {
        return;
    }
    let (head, head_time) = connection.limits(&worker);
    deadline.arm(Instant::now(), head_time);
    let mut driver = Driver {
        frames: http2::Connection::new(limits::of_client(head), &worker.memory),
        transport: Transport::new(stream, input.bytes().to_vec(), worker.buffers.clone()),
        connection: Rc::new(connection),
        deadline,
        stopped: Some(Box::pin(stop.awaited())),
        is_greeted: false,
        is_used: false,
        unused: Duration::ZERO,
        heartbeat: Heartbeat::default(),
        since_stalled: Duration::ZERO,
        period: Duration::ZERO,
        is_closing: false,
        worker,
    };
    drop(input);
    let end = std::future::poll_fn(|context| driver.poll(context)).await;
    driver.count();
    match end {
        End::Failed(Failure::Guard(guard)) => {
            driver.worker.metrics.http2.fired(guard);
            debug!(guard = guard.word(), "an HTTP/2 connection was ended");
        }
        End::Failed(Failure::Code(code)) => {
            stream::broken(&driver.worker, &driver.connection);
            debug!(%code, "an HTTP/2 connection failed");
        }
        End::Done | End::Gone => {}
    }
    let Driver { frames, mut transport, .. } = driver;
    // Streams that are left learn that the connection is gone.
    frames.lost();
    if end != End::Gone {
        let said = std::future::poll_fn(|context| transport.poll_end(&frames, context));
        let _ = tokio::time::timeout(limits::CLOSE, said).await;
        linger(&mut transport).await;
    }
}

/// Reads on for a moment, so that the peer reads what was sent: closing with unread bytes would reset the connection.
async fn linger(transport: &mut Transport<Stream>) {
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

struct Driver {
    frames: http2::Connection<Chunk>,
    transport: Transport<Stream>,
    worker: Rc<Worker>,
    /// The connection as the request path knows it.
    connection: Rc<connection::Connection>,
    deadline: Deadline,
    /// Until no further requests are taken.
    stopped: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// Whether the client's SETTINGS came; until then the time for a head is running.
    is_greeted: bool,
    /// Whether a stream was started since the last check.
    is_used: bool,
    /// For how long checks have found no stream.
    unused: Duration,
    heartbeat: Heartbeat,
    /// How long ago it was looked for streams that have stalled.
    since_stalled: Duration,
    /// The time between checks.
    period: Duration,
    is_closing: bool,
}

impl Driver {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        self.deadline.wakes(context.waker());
        if self.stopped.as_mut().is_some_and(|stopped| stopped.as_mut().poll(context).is_ready()) {
            self.stopped = None;
            self.shut_down();
        }
        loop {
            let Self { frames, transport, worker, connection, is_used, .. } = self;
            let polled =
                transport.poll(frames, context, |socket| *is_used |= hand_out(worker, connection, frames, socket));
            if let Poll::Ready(end) = polled {
                return Poll::Ready(end);
            }
            if !self.is_closing && !self.allows_more() {
                self.shut_down();
                continue;
            }
            self.count();
            if !self.is_greeted && self.frames.has_settings() {
                self.is_greeted = true;
                self.arm();
            }
            if !self.deadline.has_passed() {
                return Poll::Pending;
            }
            if !self.is_greeted {
                return Poll::Ready(End::Gone);
            }
            if let Some(end) = self.check() {
                return Poll::Ready(end);
            }
        }
    }

    /// Looks now and then at whether the connection is used and its peer is there. A timer that is armed anew for each request
    /// would cost each request something.
    fn check(&mut self) -> Option<End> {
        let has_streams = self.frames.active() > 0;
        if self.is_closing {
            // By now the client has read that it is to begin no more streams, or never will.
            self.frames.close();
            if !has_streams {
                return Some(End::Done);
            }
        }
        let is_used = std::mem::take(&mut self.is_used) || has_streams;
        self.unused = if is_used { Duration::ZERO } else { self.unused + self.period };
        let has_read = self.transport.take_has_read();
        let (idle, silence) = self.times();
        if self.unused >= idle {
            self.shut_down();
            return None;
        }
        if self.heartbeat.beat(&self.frames, self.period, silence, has_read) {
            return Some(End::Gone);
        }
        self.since_stalled += self.period;
        if self.is_closing || self.since_stalled >= limits::CHECK {
            // Our own answers, which no task waits for.
            self.since_stalled = Duration::ZERO;
            self.frames.give_up_stalled();
        }
        self.arm();
        None
    }

    /// Asks the client to begin no more streams, and has the connection end a moment later if it has none, whether the client says that it
    /// has read that or not: one that is gone says nothing.
    fn shut_down(&mut self) {
        self.frames.shut_down();
        self.is_closing = true;
        self.arm();
    }

    /// Whether the listener lets the client begin another stream.
    fn allows_more(&self) -> bool {
        let most = self.worker.with_snapshot(|snapshot| self.connection.listener(snapshot).requests);
        self.connection.allows_more(most)
    }

    /// Adds what happened to the metrics.
    fn count(&self) {
        let counts = self.frames.take_counts();
        if counts == Counts::default() {
            return;
        }
        let metrics = &self.worker.metrics.http2;
        metrics.downstream.add(&counts);
        metrics.refused_streams.inc_by(counts.refused);
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
            let listener = self.connection.listener(snapshot);
            (listener.idle, listener.silence)
        })
    }
}

/// Starts the streams that came; whether there was any.
fn hand_out(
    worker: &Rc<Worker>,
    connection: &Rc<connection::Connection>,
    frames: &http2::Connection<Chunk>,
    socket: &Stream,
) -> bool {
    let mut has_any = false;
    while let Some(arrival) = frames.next() {
        if !has_any && worker.with_snapshot(|snapshot| snapshot.greets) {
            connection.learn_ends(socket);
        }
        has_any = true;
        worker.metrics.http2.downstream.streams.inc();
        match arrival {
            Arrival::Request(head, stream) => {
                connection.counts_request();
                Tasks::serve(worker, Request { connection: Rc::clone(connection), head, stream });
            }
            Arrival::Refused(asked, refusal, stream) => stream::refuse(worker, connection, &asked, refusal, stream),
        }
    }
    has_any
}
