//! A connection to an HTTP/2 backend, which many requests share.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    PingPong,
    client::{self, SendRequest},
};
use tracing::debug;

use super::{heartbeat::Heartbeat, limits, links::Group, transport::Transport, watch::Watch};
use crate::{
    engine::{self, Deadline, Permit, PoolSettings, Stream, Upstream},
    error::Reason,
    instant::Instant,
    live::EndpointLive,
    worker::Worker,
};

/// A connection, to ask for places on it.
pub(super) struct Link {
    send: SendRequest<Bytes>,
    state: Rc<State>,
}

/// What is known of a connection.
struct State {
    /// Requests that are on their way.
    open: Cell<u32>,
    /// Requests that reached their end.
    served: Cell<u32>,
    /// Requests that were given up.
    cancelled: Cell<u32>,
    /// Whether it takes no further request.
    is_retired: Cell<bool>,
    /// Whether it closes for others who wait at the backend's cap.
    gives_way: Cell<bool>,
    /// When it last had a request.
    used: Cell<Instant>,
    opened: Instant,
    /// Told when there may be a place.
    group: Weak<Group>,
}

/// A connection that gave way, and is to close when its last request is over.
pub(super) struct Leaving {
    state: Weak<State>,
    was_seen: bool,
}

/// What a look at a connection that gave way shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It has closed.
    Gone,
    /// It will close in a moment, as far as is known.
    Leaves,
    /// It is still there at the second look: its requests are long ones. It is not to be counted as one that closes from now on.
    Stays,
}

impl Leaving {
    /// Looks at it.
    pub(super) fn look(&mut self) -> Seen {
        let Some(state) = self.state.upgrade().filter(|state| state.gives_way.get()) else { return Seen::Gone };
        if !std::mem::replace(&mut self.was_seen, true) {
            return Seen::Leaves;
        }
        state.gives_way.set(false);
        Seen::Stays
    }
}

/// A place for one request.
pub(super) struct Place {
    /// To send the request by.
    pub(super) send: SendRequest<Bytes>,
    /// Whether the connection had a request before.
    pub(super) is_reused: bool,
    state: Rc<State>,
    is_served: bool,
}

impl State {
    /// No further request goes to this connection.
    fn retire(&self) {
        if !self.is_retired.replace(true)
            && let Some(group) = self.group.upgrade()
        {
            group.has_place();
        }
    }
}

impl Place {
    /// Notes that the request reached its end.
    pub(super) fn served(&mut self) {
        self.is_served = true;
    }

    /// No further request goes to this connection.
    pub(super) fn retire(&self) {
        self.state.retire();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let State { open, served, cancelled, is_retired, used, group, .. } = &*self.state;
        open.set(open.get() - 1);
        used.set(Instant::now());
        let count = if self.is_served { served } else { cancelled };
        count.set(count.get().saturating_add(1));
        if cancelled.get() > served.get().saturating_add(limits::RELAYED_RESETS) {
            // Resets of some clients must not make the backend end the connection under the requests of others.
            is_retired.set(true);
        }
        if let Some(group) = group.upgrade() {
            group.has_place();
        }
    }
}

impl Link {
    /// Opens a connection for `group` within `time`, in the place of `permit`, and waits until its SETTINGS say that it takes requests,
    /// and how many.
    pub(super) async fn open(
        worker: &Rc<Worker>,
        group: &Rc<Group>,
        permit: Permit<Upstream>,
        time: Duration,
    ) -> Result<Self, Reason> {
        let until = Instant::now() + time;
        let endpoint = group.endpoint();
        let upstream = engine::connect(&endpoint.address, group.greeting(), permit, time).await?;
        endpoint.metrics.connections.inc();
        let Upstream { stream, permit, opened, .. } = upstream;
        let metrics = worker.metrics.http2.upstream.clone();
        let transport = Transport::new(stream, Vec::new(), 0, worker.buffers.clone(), metrics);
        transport.with_watch(Watch::trust);
        let left = until.saturating_duration_since(Instant::now());
        let greeted = tokio::time::timeout(left, greeted(&transport)).await;
        let (send, mut connection) = greeted.unwrap_or(Err(Reason::ConnectTimeout))?;
        let state = Rc::new(State {
            open: Cell::new(0),
            served: Cell::new(0),
            cancelled: Cell::new(0),
            is_retired: Cell::new(false),
            gives_way: Cell::new(false),
            used: Cell::new(opened),
            opened,
            group: Rc::downgrade(group),
        });
        let mut driver = Driver {
            heartbeat: Heartbeat::default(),
            period: limits::CHECK,
            endpoint: Arc::clone(endpoint),
            pings: connection.ping_pong(),
            connection,
            transport,
            state: Rc::clone(&state),
            deadline: worker.deadlines.deadline(),
            permit,
        };
        driver.arm();
        worker.spawn(async move {
            std::future::poll_fn(|context| driver.poll(context)).await;
            let is_capped = driver.endpoint.capacity.is_capped();
            if is_capped {
                driver.leaves();
            }
            driver.state.retire();
            if is_capped {
                let _ = tokio::time::timeout(engine::FAREWELL, driver.farewell()).await;
            }
        });
        Ok(Self { send, state })
    }

    /// Has it take no further request and close when the last is over: its place is for others.
    pub(super) fn gives_way(self) -> Leaving {
        self.state.gives_way.set(true);
        self.state.is_retired.set(true);
        Leaving { state: Rc::downgrade(&self.state), was_seen: false }
    }

    /// Whether it has no request.
    pub(super) fn is_idle(&self) -> bool {
        self.state.open.get() == 0
    }

    /// Whether it takes no further request, whatever the settings say: it ends, or has ended.
    pub(super) fn is_retired(&self) -> bool {
        self.state.is_retired.get()
    }

    /// Whether it takes no further request: it has ended, or by the settings of the endpoint's pool.
    pub(super) fn is_over(&self, pool: &PoolSettings) -> bool {
        let State { open, served, cancelled, is_retired, used, opened, .. } = &*self.state;
        let requests = served.get().saturating_add(cancelled.get()).saturating_add(open.get());
        is_retired.get()
            || requests >= pool.max_requests()
            || pool.max_age().is_some_and(|age| opened.elapsed() >= age)
            || (self.is_idle() && used.get().elapsed() >= pool.idle_timeout())
    }

    /// A place on it, if it has one.
    pub(super) fn place(&self) -> Option<Place> {
        let most = self.send.current_max_send_streams().min(limits::UPSTREAM_STREAMS);
        let State { open, served, cancelled, is_retired, .. } = &*self.state;
        if is_retired.get() || open.get() as usize >= most {
            return None;
        }
        open.set(open.get() + 1);
        Some(Place {
            send: self.send.clone(),
            is_reused: served.get() + cancelled.get() > 0 || open.get() > 1,
            state: Rc::clone(&self.state),
            is_served: false,
        })
    }
}

type Connection = client::Connection<Transport<Stream>, Bytes>;

/// Says hello and waits until the backend's SETTINGS say that it takes requests.
async fn greeted(transport: &Transport<Stream>) -> Result<(SendRequest<Bytes>, Connection), Reason> {
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .max_concurrent_streams(0)
        .max_header_list_size(limits::UPSTREAM_HEADER_LIST)
        .max_frame_size(limits::FRAME)
        .initial_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::UPSTREAM_CONNECTION_WINDOW)
        .max_send_buffer_size(limits::SEND_BUFFER)
        .max_concurrent_reset_streams(limits::REMEMBERED_RESETS);
    let shaken = builder.handshake::<_, Bytes>(transport.clone()).await;
    let (send, mut connection) = shaken.map_err(|_| Reason::ConnectFailed)?;
    std::future::poll_fn(|context| {
        let polled = Pin::new(&mut connection).poll(context);
        if let Poll::Ready(Err(_)) = transport.poll_send(context) {
            return Poll::Ready(Err(Reason::ConnectFailed));
        }
        match polled {
            // What it speaks is no HTTP/2, or it hung up.
            Poll::Ready(Err(error)) if error.is_io() => Poll::Ready(Err(Reason::ConnectFailed)),
            Poll::Ready(_) => Poll::Ready(Err(Reason::BadResponse)),
            // One that takes no request for now will mostly say soon that it does (RFC 9113 §6.5.2).
            Poll::Pending
                if transport.with_watch(|watch| watch.has_settings()) && send.current_max_send_streams() > 0 =>
            {
                Poll::Ready(Ok(()))
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await?;
    Ok((send, connection))
}

/// Drives a connection.
struct Driver {
    connection: Connection,
    transport: Transport<Stream>,
    state: Rc<State>,
    deadline: Deadline,
    pings: Option<PingPong>,
    heartbeat: Heartbeat,
    /// The time between looks at whether the backend is there.
    period: Duration,
    endpoint: Arc<EndpointLive>,
    /// The connection's place among those to the endpoint that may be open.
    permit: Permit<Upstream>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.state.gives_way.take() {
            self.permit.closes();
        }
    }
}

impl Driver {
    /// Says that the connection is being closed, unless that is known, for it gave way.
    fn leaves(&mut self) {
        if self.state.gives_way.take() {
            self.permit.closes();
        }
        self.permit.leaves();
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.deadline.wakes(context.waker());
        loop {
            let polled = Pin::new(&mut self.connection).poll(context);
            if let Poll::Ready(Err(error)) = &polled {
                debug!(%error, "an HTTP/2 connection to a backend failed");
            }
            let sent = self.transport.poll_send(context);
            if polled.is_ready() || matches!(sent, Poll::Ready(Err(_))) {
                return Poll::Ready(());
            }
            if self.transport.with_watch(|watch| watch.has_goaway()) {
                self.state.retire();
            }
            if !self.deadline.has_passed() {
                return Poll::Pending;
            }
            let has_read = self.transport.take_has_read();
            let has_streams = self.state.open.get() > 0;
            let silence = self.endpoint.pool.silence();
            if self.heartbeat.beat(self.period, silence, has_streams, has_read, self.pings.as_mut(), context) {
                return Poll::Ready(());
            }
            self.arm();
        }
    }

    /// Ends the connection on our side and waits until the backend has ended it, too, or has sent too much: else it would see the next
    /// connection in this one's place before the end of this one.
    async fn farewell(&mut self) {
        if std::future::poll_fn(|context| self.transport.poll_end(context)).await.is_err() {
            return;
        }
        let mut read = 0;
        while read < engine::FAREWELL_BYTES
            && let Ok(count @ 1..) = std::future::poll_fn(|context| self.transport.poll_discard(context)).await
        {
            read += count as u64;
        }
    }

    /// Until it is looked at again whether the backend is there.
    fn arm(&mut self) {
        let silence = self.endpoint.pool.silence();
        self.period = limits::CHECK.min(silence.asked_after).min(silence.answered_within);
        self.deadline.arm(Instant::now(), self.period);
    }
}
