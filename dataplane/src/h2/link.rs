//! A connection to an HTTP/2 backend, which many requests share.

use std::{
    cell::Cell,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http2::Connection;
use tracing::debug;

use super::{
    chunk::Chunk,
    heartbeat::Heartbeat,
    limits,
    links::Group,
    transport::{End, Transport},
};
use crate::{
    engine::{self, Deadline, Permit, PoolSettings, Stream, Upstream},
    error::Reason,
    instant::Instant,
    live::EndpointLive,
    metrics::Http2Side,
    worker::Worker,
};

/// A connection, to ask for places on it.
pub(super) struct Link {
    frames: Connection<Chunk>,
    state: Rc<State>,
}

/// What is known of a connection.
struct State {
    /// The link and the places on it, as long as somebody has them.
    users: Cell<u32>,
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
    pub(super) frames: Connection<Chunk>,
    /// Whether the connection had a request before.
    pub(super) is_reused: bool,
    state: Rc<State>,
    is_served: bool,
}

impl State {
    /// Notes that the link, or a place on it, is let go of. Behind the last the driver has nothing more to wait for.
    fn is_let_go(&self, frames: &Connection<Chunk>) {
        self.users.set(self.users.get() - 1);
        if self.users.get() == 0 {
            frames.wake();
        }
    }

    /// No further request goes to this connection.
    fn retire(&self) {
        if !self.is_retired.replace(true) {
            self.has_place();
        }
    }

    /// Tells who waits that there may be a place.
    fn has_place(&self) {
        if let Some(group) = self.group.upgrade() {
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

impl Drop for Link {
    fn drop(&mut self) {
        self.state.is_let_go(&self.frames);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.state.is_let_go(&self.frames);
        let State { open, served, cancelled, is_retired, used, .. } = &*self.state;
        open.set(open.get() - 1);
        used.set(Instant::now());
        let count = if self.is_served { served } else { cancelled };
        count.set(count.get().saturating_add(1));
        if cancelled.get() > served.get().saturating_add(limits::RELAYED_RESETS) {
            // Resets of some clients must not make the backend end the connection under the requests of others.
            is_retired.set(true);
        }
        self.state.has_place();
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
        let frames = Connection::new(limits::OF_BACKEND, &worker.memory);
        let mut transport = Transport::new(stream, Vec::new(), worker.buffers.clone());
        let left = until.saturating_duration_since(Instant::now());
        let greeted = tokio::time::timeout(left, greeted(&mut transport, &frames)).await;
        greeted.unwrap_or(Err(Reason::ConnectTimeout))?;
        let state = Rc::new(State {
            users: Cell::new(1),
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
            metrics: worker.metrics.http2.upstream.clone(),
            frames: frames.clone(),
            transport,
            state: Rc::clone(&state),
            deadline: worker.deadlines.deadline(),
            permit,
            is_closing: false,
            takes: frames.peer_streams(),
        };
        driver.arm();
        worker.spawn(async move {
            std::future::poll_fn(|context| driver.poll(context)).await;
            driver.frames.lost();
            let is_capped = driver.endpoint.capacity.is_capped();
            if is_capped {
                driver.leaves();
            }
            driver.state.retire();
            if is_capped {
                let _ = tokio::time::timeout(engine::FAREWELL, driver.farewell()).await;
            }
        });
        Ok(Self { frames, state })
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
        let most = (self.frames.peer_streams() as usize).min(limits::UPSTREAM_STREAMS);
        let State { users, open, served, cancelled, is_retired, .. } = &*self.state;
        if is_retired.get() || open.get() as usize >= most {
            return None;
        }
        open.set(open.get() + 1);
        users.set(users.get() + 1);
        Some(Place {
            frames: self.frames.clone(),
            is_reused: served.get() + cancelled.get() > 0 || open.get() > 1,
            state: Rc::clone(&self.state),
            is_served: false,
        })
    }
}

/// Says hello and waits until the backend's SETTINGS say that it takes requests.
async fn greeted(transport: &mut Transport<Stream>, frames: &Connection<Chunk>) -> Result<(), Reason> {
    std::future::poll_fn(|context| match transport.poll(frames, context, |_| {}) {
        // It hung up.
        Poll::Ready(End::Gone) => Poll::Ready(Err(Reason::ConnectFailed)),
        Poll::Ready(_) => Poll::Ready(Err(Reason::BadResponse)),
        // One that takes no request for now will mostly say soon that it does (RFC 9113 §6.5.2).
        Poll::Pending if frames.has_settings() && frames.peer_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Drives a connection.
struct Driver {
    frames: Connection<Chunk>,
    transport: Transport<Stream>,
    metrics: Http2Side,
    state: Rc<State>,
    deadline: Deadline,
    heartbeat: Heartbeat,
    /// The time between looks at whether the backend is there.
    period: Duration,
    endpoint: Arc<EndpointLive>,
    /// The connection's place among those to the endpoint that may be open.
    permit: Permit<Upstream>,
    /// Whether it has told the backend that it ends.
    is_closing: bool,
    /// Requests at a time that the backend takes, as it said last.
    takes: u32,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.state.gives_way.take() {
            self.permit.closes();
        }
    }
}

impl Driver {
    /// Whether nobody will ask for another place, and no request is left.
    fn is_left(&self) -> bool {
        self.state.users.get() == 0 && self.frames.active() == 0
    }

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
            let polled = self.transport.poll(&self.frames, context, |_| {});
            self.metrics.add(&self.frames.take_counts());
            if let Poll::Ready(end) = polled {
                if let End::Failed(failure) = end {
                    debug!(?failure, "an HTTP/2 connection to a backend failed");
                }
                return Poll::Ready(());
            }
            if self.frames.has_goaway() {
                self.state.retire();
            }
            let before = std::mem::replace(&mut self.takes, self.frames.peer_streams());
            if self.takes > before {
                // Who waits has no other way to learn of it.
                self.state.has_place();
            }
            if self.is_left() && !self.is_closing {
                // It says so, and ends as soon as that is written.
                self.is_closing = true;
                self.frames.close();
                self.deadline.arm(Instant::now(), limits::CLOSE);
                continue;
            }
            if !self.deadline.has_passed() {
                return Poll::Pending;
            }
            if self.is_closing {
                return Poll::Ready(());
            }
            let has_read = self.transport.take_has_read();
            if self.heartbeat.beat(&self.frames, self.period, self.endpoint.pool.silence(), has_read) {
                return Poll::Ready(());
            }
            self.arm();
        }
    }

    /// Ends the connection on our side and waits until the backend has ended it, too, or has sent too much: else it would see the next
    /// connection in this one's place before the end of this one.
    async fn farewell(&mut self) {
        if std::future::poll_fn(|context| self.transport.poll_end(&self.frames, context)).await.is_err() {
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
