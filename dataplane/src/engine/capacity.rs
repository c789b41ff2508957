//! How many connections to one endpoint are open, over all workers, and how many may be.
//!
//! Whoever opens a connection has a [`Permit`], which lives in the connection and gives its place back when it is dropped,
//! however that comes about. Without a cap that is all: one counter, touched when a connection is opened and closed. At the cap
//! requests stand in one queue of all workers, first come first served. A place that becomes free goes to the first in it;
//! a connection that falls idle goes to the first if that is of the same worker, else it is closed, so that the first can open
//! one. Workers that have idle connections when somebody begins to wait are told through their [`Bell`].

mod bell;
mod permit;
mod waiting;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use tokio::sync::oneshot;

pub(crate) use bell::Bell;
pub(crate) use permit::Permit;
pub(crate) use waiting::Waiting;

/// The places for connections to one endpoint; `C` is a connection.
pub(crate) struct Capacity<C> {
    /// What bells are told: the endpoint's id.
    endpoint: u64,
    /// Connections that are open or being opened.
    open: AtomicU32,
    /// How many may be; `u32::MAX` if any number.
    cap: AtomicU32,
    /// The length of the queue: written with it, read without its lock.
    waiting: AtomicU32,
    parts: Mutex<Parts<C>>,
}

struct Parts<C> {
    queue: VecDeque<Waiter<C>>,
    next_waiter: u64,
    /// Open connections that are being closed: their places will be free in a moment.
    closing: u32,
    shelves: Vec<Arc<IdleCount>>,
}

struct Waiter<C> {
    id: u64,
    /// The worker whose idle connections would do; none if only a new connection does.
    worker: Option<Arc<Bell>>,
    grant: oneshot::Sender<Grant<C>>,
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
    /// It is closed, for another worker or because there are more than may be: [`Permit::closes`] must be said of it.
    Close,
}

/// How many idle connections a worker has to the endpoint: written by that worker, read by others.
pub(crate) struct IdleCount {
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
    /// No connections, and no cap.
    pub(crate) fn new(endpoint: u64) -> Self {
        let parts = Parts { queue: VecDeque::new(), next_waiter: 0, closing: 0, shelves: Vec::new() };
        Self {
            endpoint,
            open: AtomicU32::new(0),
            cap: AtomicU32::new(u32::MAX),
            waiting: AtomicU32::new(0),
            parts: Mutex::new(parts),
        }
    }

    /// Sets how many connections may be open. What is above stays until it falls idle.
    pub(crate) fn set_cap(self: &Arc<Self>, cap: Option<u32>) {
        self.cap.store(cap.unwrap_or(u32::MAX), SeqCst);
        self.grant(&mut self.lock());
    }

    /// Whether there is a cap.
    pub(crate) fn is_capped(&self) -> bool {
        self.cap.load(SeqCst) != u32::MAX
    }

    /// Whether somebody waits for a place.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waiting.load(SeqCst) > 0
    }

    /// Connections that are open or being opened.
    pub(crate) fn open(&self) -> u32 {
        self.open.load(SeqCst)
    }

    /// Requests that wait for a place.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(SeqCst)
    }

    /// Open connections that lie idle.
    pub(crate) fn idle(&self) -> u32 {
        self.lock().shelves.iter().map(|shelf| shelf.count.load(SeqCst)).sum()
    }

    /// A place for a connection, if one is free and nobody waits for it.
    pub(crate) fn try_open(self: &Arc<Self>) -> Option<Permit<C>> {
        (self.waiting.load(SeqCst) == 0 && self.reserve()).then(|| Permit::new(self))
    }

    /// Joins the queue, and has workers that have an idle connection release it. A connection that fell idle on `worker` will
    /// do; if there is none, only a place for a new one.
    pub(crate) fn wait(self: &Arc<Self>, worker: Option<&Arc<Bell>>) -> Waiting<C> {
        let (sender, receiver) = oneshot::channel();
        let mut parts = self.lock();
        let id = parts.next_waiter;
        parts.next_waiter += 1;
        parts.queue.push_back(Waiter { id, worker: worker.cloned(), grant: sender });
        self.waiting.store(parts.queue.len() as u32, SeqCst);
        // A place may have become free before anybody was seen to wait.
        self.grant(&mut parts);
        if !parts.queue.is_empty() {
            for shelf in parts.shelves.iter().filter(|shelf| shelf.count.load(SeqCst) > 0) {
                shelf.worker.ring(self.endpoint);
            }
        }
        drop(parts);
        Waiting::new(self, id, receiver)
    }

    /// What is to become of an idle connection of `worker`, which is counted as idle already.
    pub(crate) fn turn_of_idle(&self, worker: &Arc<Bell>) -> Turn<C> {
        if self.waiting.load(SeqCst) == 0 && self.open() <= self.cap.load(SeqCst) {
            return Turn::Keep;
        }
        let mut parts = self.lock();
        let staying = self.open().saturating_sub(parts.closing);
        let Some(free) = self.cap.load(SeqCst).checked_sub(staying) else {
            parts.closing += 1;
            return Turn::Close;
        };
        // The first in the queue get the places that are free in a moment; this connection is for the one behind them.
        let Some(waiter) = parts.queue.get(free as usize) else { return Turn::Keep };
        if waiter.worker.as_ref().is_some_and(|wanted| Arc::ptr_eq(wanted, worker)) {
            let waiter = parts.queue.remove(free as usize).expect("it was there a line above");
            self.waiting.store(parts.queue.len() as u32, SeqCst);
            return Turn::Give(waiter.grant);
        }
        parts.closing += 1;
        Turn::Close
    }

    /// Counts the idle connections of `worker` from now on, until [`forget`](Self::forget).
    pub(crate) fn count_idle_of(&self, worker: &Arc<Bell>) -> Arc<IdleCount> {
        let shelf = Arc::new(IdleCount { worker: Arc::clone(worker), count: AtomicU32::new(0) });
        self.lock().shelves.push(Arc::clone(&shelf));
        shelf
    }

    /// The worker of `shelf` keeps no connections any more.
    pub(crate) fn forget(&self, shelf: &Arc<IdleCount>) {
        self.lock().shelves.retain(|other| !Arc::ptr_eq(other, shelf));
    }

    /// Takes a place if one is free.
    fn reserve(&self) -> bool {
        let cap = self.cap.load(SeqCst);
        self.open.fetch_update(SeqCst, SeqCst, |open| (open < cap).then_some(open + 1)).is_ok()
    }

    /// Gives free places to the first in the queue.
    fn grant(self: &Arc<Self>, parts: &mut Parts<C>) {
        while !parts.queue.is_empty() && self.reserve() {
            let waiter = parts.queue.pop_front().expect("the queue is not empty");
            if let Err(Grant::Open(permit)) = waiter.grant.send(Grant::Open(Permit::new(self))) {
                // Gone meanwhile. Dropping the permit as usual would take the lock that is held here.
                permit.defuse();
                self.open.fetch_sub(1, SeqCst);
            }
        }
        self.waiting.store(parts.queue.len() as u32, SeqCst);
    }

    /// A connection is closed.
    fn closed(self: &Arc<Self>, was_closing: bool) {
        if was_closing {
            let mut parts = self.lock();
            parts.closing -= 1;
            self.open.fetch_sub(1, SeqCst);
            return self.grant(&mut parts);
        }
        self.open.fetch_sub(1, SeqCst);
        // Who joins the queue after this look finds the place free itself.
        if self.waiting.load(SeqCst) > 0 {
            self.grant(&mut self.lock());
        }
    }

    /// Somebody does not wait any more.
    fn leave(&self, id: u64) {
        let mut parts = self.lock();
        if let Ok(index) = parts.queue.binary_search_by_key(&id, |waiter| waiter.id) {
            parts.queue.remove(index);
            self.waiting.store(parts.queue.len() as u32, SeqCst);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Parts<C>> {
        // Nothing in here panics half-way through a change.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
