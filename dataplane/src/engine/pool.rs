//! Idle connections to backends of one worker.

mod settings;

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use http1::ResponseHead;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    acquire::Wanted,
    capacity::{Bell, Grant, IdleCount, Turn},
    stream::Upstream,
};
use crate::{instant::Instant, live::EndpointLive};

pub(crate) use settings::{PoolSettings, Silence};

/// How long a connection that makes room for another one waits for the backend to close its side too, so that the backend never
/// sees more than may be. One that does not react is closed all the same.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);

/// What a backend may still send on a connection that it is told the end of.
pub(crate) const FAREWELL_BYTES: u64 = 64 << 10;

/// Idle connections of one worker, by endpoint.
#[derive(Default)]
pub(crate) struct Pool {
    bell: Arc<Bell>,
    shelves: RefCell<HashMap<u64, Shelf, RandomState>>,
}

/// Idle connections to one endpoint: the one that was used last is at the back and is taken first, so that what is not needed
/// grows old at the front.
struct Shelf {
    endpoint: Arc<EndpointLive>,
    idle: VecDeque<Idle>,
    count: Arc<IdleCount>,
}

struct Idle {
    /// In a box: it is moved a dozen times for each request.
    connection: Box<Upstream>,
    since: Instant,
    /// What of the idle time the backend allows.
    allowed: Duration,
}

impl Pool {
    /// A connection to `endpoint` that will do for who `wanted` it, and was open when last heard of.
    pub(crate) fn take(&self, endpoint: &EndpointLive, wanted: Wanted<'_>, now: Instant) -> Option<Box<Upstream>> {
        if wanted.is_fresh {
            return None;
        }
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelves.get_mut(&endpoint.id)?;
        let mut taken = None;
        let is_same = |idle: &Idle| idle.connection.greeting.as_ref() == wanted.greeting;
        while let Some(mut idle) = shelf.remove_last(is_same) {
            if idle.may_stay(&shelf.endpoint, now) && idle.connection.stands(wanted.is_repeatable) {
                taken = Some(idle.connection);
                break;
            }
            retire(endpoint, idle.connection);
        }
        shelf.note_count();
        taken
    }

    /// Keeps `connection` from `now` on, after a whole response, whose head was `response`, for the next request to `endpoint`.
    pub(crate) fn put(
        &self,
        endpoint: &Arc<EndpointLive>,
        mut connection: Box<Upstream>,
        response: &ResponseHead,
        now: Instant,
    ) {
        connection.has_served(response.keep_alive_max);
        let max_idle = endpoint.pool.max_idle();
        // What the runtime cannot know is asked now: a connection that ended with its response need not lie here.
        let is_quiet = !connection.read_all_room || connection.is_quiet();
        if !is_quiet || endpoint.is_removed() || max_idle == 0 || is_spent(&connection, endpoint, now) {
            return retire(endpoint, connection);
        }
        let allowed = response.keep_alive_timeout.map_or(Duration::MAX, |seconds| {
            // A little shorter than the backend says: the next request needs time to get there.
            Duration::from_secs(u64::from(seconds).saturating_sub(1))
        });
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelves.entry(endpoint.id).or_insert_with(|| Shelf::new(endpoint, &self.bell));
        shelf.idle.push_back(Idle { connection, since: now, allowed });
        shelf.trim(max_idle);
        shelf.note_count();
        if endpoint.capacity.is_capped() {
            shelf.serve_waiting(&self.bell);
        }
    }

    /// Whose idle connections a request of this worker may be given.
    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Waits until somebody wants idle connections of this worker, and releases them. Answers to which endpoints. Cancel-safe.
    pub(crate) async fn serve_waiting(&self) -> Vec<u64> {
        let endpoints = self.bell.heard().await;
        for endpoint in &endpoints {
            if let Some(shelf) = self.shelves.borrow_mut().get_mut(endpoint) {
                shelf.serve_waiting(&self.bell);
            }
        }
        endpoints
    }

    /// Closes what has lain idle too long or leads to an endpoint that is no more: only the ends of the shelves are looked at.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.each_shelf(|shelf| {
            while shelf.idle.front().is_some_and(|idle| idle.is_expired(&shelf.endpoint, now)) {
                let idle = shelf.idle.pop_front().expect("there is a front");
                retire(&shelf.endpoint, idle.connection);
            }
        });
    }

    /// Closes everything that may not be used again, and what is more than the settings allow: looks at every connection.
    pub(crate) fn sweep_all(&self) {
        let now = Instant::now();
        self.each_shelf(|shelf| {
            for mut idle in std::mem::take(&mut shelf.idle) {
                if idle.may_stay(&shelf.endpoint, now) && idle.connection.is_quiet() {
                    shelf.idle.push_back(idle);
                } else {
                    retire(&shelf.endpoint, idle.connection);
                }
            }
            shelf.trim(shelf.endpoint.pool.max_idle());
        });
    }

    fn each_shelf(&self, mut sweep: impl FnMut(&mut Shelf)) {
        self.shelves.borrow_mut().retain(|_, shelf| {
            sweep(shelf);
            shelf.note_count();
            shelf.serve_waiting(&self.bell);
            !shelf.idle.is_empty()
        });
    }
}

impl Shelf {
    fn new(endpoint: &Arc<EndpointLive>, bell: &Arc<Bell>) -> Self {
        let count = endpoint.capacity.count_idle_of(bell);
        Self { endpoint: Arc::clone(endpoint), idle: VecDeque::new(), count }
    }

    fn note_count(&self) {
        self.count.set(self.idle.len(), self.endpoint.capacity.is_capped());
    }

    /// Takes the one for which `is_right` that was used last. Mostly all are right.
    fn remove_last(&mut self, is_right: impl Fn(&Idle) -> bool) -> Option<Idle> {
        if is_right(self.idle.back()?) {
            return self.idle.pop_back();
        }
        self.idle.iter().rposition(is_right).and_then(|at| self.idle.remove(at))
    }

    /// Closes the oldest of what is more than `max_idle`.
    fn trim(&mut self, max_idle: usize) {
        while self.idle.len() > max_idle
            && let Some(idle) = self.idle.pop_front()
        {
            retire(&self.endpoint, idle.connection);
        }
    }

    /// Gives idle connections to whoever waits for one, and closes those that are more than may be.
    fn serve_waiting(&mut self, bell: &Arc<Bell>) {
        while !self.idle.is_empty() {
            match self.endpoint.capacity.turn_of_idle(bell) {
                Turn::Keep => break,
                Turn::Give(waiter) => {
                    let idle = self.idle.pop_back().expect("not empty");
                    if let Err(Grant::Use(connection)) = waiter.send(Grant::Use(*idle.connection)) {
                        // Gone meanwhile.
                        self.idle.push_back(Idle { connection: Box::new(connection), ..idle });
                    }
                }
                Turn::Close => {
                    let mut idle = self.idle.pop_front().expect("not empty");
                    idle.connection.permit.closes();
                    retire(&self.endpoint, idle.connection);
                }
            }
        }
        self.note_count();
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.endpoint.capacity.forget(&self.count);
    }
}

impl Idle {
    /// By the settings as they are now: they may have changed since the connection was put here.
    fn is_expired(&self, endpoint: &EndpointLive, now: Instant) -> bool {
        endpoint.is_removed()
            || now.saturating_duration_since(self.since) >= self.allowed.min(endpoint.pool.idle_timeout())
    }

    /// Whether it may be used again, if it is still open.
    fn may_stay(&self, endpoint: &EndpointLive, now: Instant) -> bool {
        !self.is_expired(endpoint, now) && !is_spent(&self.connection, endpoint, now)
    }
}

/// Whether a connection takes no further request, for its age or for those that it served.
fn is_spent(connection: &Upstream, endpoint: &EndpointLive, now: Instant) -> bool {
    connection.is_used_up()
        || connection.requests >= endpoint.pool.max_requests()
        || endpoint.pool.max_age().is_some_and(|age| now.saturating_duration_since(connection.opened) >= age)
}

/// Ends a connection between requests.
///
/// If the endpoint has a cap, the place becomes free when the backend has closed its side: else it would see the next
/// connection before the end of this one.
pub(crate) fn retire(endpoint: &EndpointLive, mut connection: Box<Upstream>) {
    if endpoint.capacity.is_capped() {
        connection.permit.leaves();
        tokio::task::spawn_local(farewell(connection));
    }
}

/// Takes the connection whole: its place lives as long.
async fn farewell(mut connection: Box<Upstream>) {
    let stream = &mut connection.stream;
    let ended = async {
        if stream.shutdown().await.is_ok() {
            let _ = tokio::io::copy(&mut stream.take(FAREWELL_BYTES), &mut tokio::io::sink()).await;
        }
    };
    let _ = tokio::time::timeout(FAREWELL, ended).await;
}
