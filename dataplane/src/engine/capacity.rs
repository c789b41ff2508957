//! How many connections to a backend are open, over all workers and all its endpoints, and how many may be.
//!
//! Whoever opens a connection has a [`Permit`], which lives in the connection and gives its place back when it is dropped,
//! however that comes about. Without a cap that is all: counters, touched when a connection is opened and closed. At the cap
//! requests stand in one queue of all workers, first come first served. A place that becomes free goes to the first in it;
//! a connection that falls idle goes to the first if that is of the same worker and wants that endpoint, else it is closed, so
//! that the first can open one. Workers that have idle connections when somebody begins to wait are told through their [`Bell`].
//! A request that waits is [`Pending`], and so many may be; of those to HTTP/2 backends many wait for one place in the queue.

mod bell;
mod pending;
mod permit;
mod places;
mod waiting;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::sync::oneshot;

pub(crate) use bell::Bell;
pub(crate) use pending::Pending;
pub(crate) use permit::Permit;
pub(crate) use places::Places;
pub(crate) use waiting::Waiting;

/// The connections to one endpoint, among the [`Places`] of its backend; `C` is a connection.
pub(crate) struct Capacity<C> {
    /// What bells are told: the endpoint's id.
    endpoint: u64,
    /// Connections to this endpoint that are open or being opened.
    open: AtomicU32,
    /// Requests that wait for a connection to this endpoint.
    pending: AtomicU32,
    places: Arc<Places<C>>,
}

/// What somebody who waited gets.
pub(crate) enum Grant<C> {
    /// A place for a connection that is still to be opened.
    Open(Permit<C>),
    /// A connection of the same worker that fell idle.
    Use(C),
}

/// What is to become of an idle connection.
pub(crate) enum Turn<C> {
    /// It stays.
    Keep,
    /// It goes to this one, who waited.
    Give(oneshot::Sender<Grant<C>>),
    /// It is closed, for somebody else or because there are more than may be: [`Permit::closes`] must be said of it.
    Close,
}

/// How many idle connections a worker has to an endpoint: written by that worker, read by others.
pub(crate) struct IdleCount {
    endpoint: u64,
    worker: Arc<Bell>,
    count: AtomicU32,
}

impl IdleCount {
    /// Sets the number. In one order over all threads with what [`Capacity::turn_of_idle`] reads: either the worker sees who
    /// waits, or who begins to wait sees the idle connection.
    pub(crate) fn set(&self, count: usize, is_capped: bool) {
        let count = count as u32;
        if is_capped {
            self.count.store(count, SeqCst);
        } else {
            self.count.store(count, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

impl<C> Capacity<C> {
    /// No connections to the endpoint with this id, which has a part in `places`.
    pub(crate) fn new(endpoint: u64, places: &Arc<Places<C>>) -> Self {
        Self { endpoint, open: AtomicU32::new(0), pending: AtomicU32::new(0), places: Arc::clone(places) }
    }

    /// Sets how many connections to the backend may be open, how many requests may wait for one and how long, if that is not
    /// the request's own matter. Connections above the cap stay until they fall idle, and who waits already goes on waiting.
    pub(crate) fn configure(&self, cap: Option<u32>, max_pending: u32, queue_timeout: Option<Duration>) {
        self.places.configure(cap, max_pending, queue_timeout);
    }

    /// Whether there is a cap.
    pub(crate) fn is_capped(&self) -> bool {
        self.places.is_capped()
    }

    /// Connections to the endpoint that are open or being opened.
    pub(crate) fn open(&self) -> u32 {
        self.open.load(SeqCst)
    }

    /// Requests that wait for a connection to the endpoint.
    pub(crate) fn pending(&self) -> u32 {
        self.pending.load(SeqCst)
    }

    /// How long a request may wait, if that is not its own matter.
    pub(crate) fn queue_timeout(&self) -> Option<Duration> {
        self.places.queue_timeout()
    }

    /// Counts a request as one that waits, if one more may.
    pub(crate) fn pend(self: &Arc<Self>) -> Option<Pending<C>> {
        self.places.pend().then(|| Pending::new(self))
    }

    /// Open connections to the endpoint that lie idle.
    pub(crate) fn idle(&self) -> u32 {
        self.places.idle_of(self.endpoint)
    }

    /// A place for a connection, if one is free and nobody waits for it.
    pub(crate) fn try_open(self: &Arc<Self>) -> Option<Permit<C>> {
        self.places.try_reserve().then(|| Permit::new(self))
    }

    /// Joins the queue for `worker`, and has workers that have an idle connection release it. A connection that fell idle on `worker`
    /// will do if it `takes_idle` ones, else only a place for a new one.
    pub(crate) fn wait(self: &Arc<Self>, worker: &Arc<Bell>, takes_idle: bool) -> Waiting<C> {
        let (id, receiver) = self.places.join(self, Arc::clone(worker), takes_idle);
        Waiting::new(&self.places, id, receiver)
    }

    /// What is to become of an idle connection of `worker`, which is counted as idle already.
    pub(crate) fn turn_of_idle(&self, worker: &Arc<Bell>) -> Turn<C> {
        self.places.turn_of_idle(self.endpoint, worker)
    }

    /// Whether a connection of `worker` that many requests share is to take no further ones and to close, for somebody else who waits or
    /// because there are more than may be: [`Permit::closes`] must be said of it then.
    pub(crate) fn gives_way(&self, worker: &Arc<Bell>) -> bool {
        self.places.gives_way(self.endpoint, worker)
    }

    /// A connection of which [`gives_way`](Self::gives_way) was so will not close soon; [`Permit::closes`] is not said of it.
    pub(crate) fn stays(&self) {
        self.places.stays();
    }

    /// Counts the idle connections of `worker` from now on, until [`forget`](Self::forget).
    pub(crate) fn count_idle_of(&self, worker: &Arc<Bell>) -> Arc<IdleCount> {
        self.places.count_idle(IdleCount {
            endpoint: self.endpoint,
            worker: Arc::clone(worker),
            count: AtomicU32::new(0),
        })
    }

    /// The worker of `shelf` keeps no connections any more.
    pub(crate) fn forget(&self, shelf: &Arc<IdleCount>) {
        self.places.forget(shelf);
    }
}

#[cfg(test)]
mod tests;
