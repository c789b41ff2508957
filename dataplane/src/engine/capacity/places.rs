use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use super::{Bell, Capacity, Grant, IdleCount, Permit, Turn};

/// The places for connections to one backend, shared by its endpoints; `C` is a connection.
pub(crate) struct Places<C> {
    /// Connections that are open or being opened.
    open: AtomicU32,
    /// How many may be; `u32::MAX` if any number.
    cap: AtomicU32,
    /// The length of the queue: written with it, read without its lock.
    waiting: AtomicU32,
    /// Requests that wait.
    pending: AtomicU32,
    /// How many may.
    max_pending: AtomicU32,
    /// How long, in milliseconds; `u64::MAX` if that is the request's own matter.
    queue_timeout_ms: AtomicU64,
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
    /// The endpoint that a connection is wanted to.
    endpoint: Arc<Capacity<C>>,
    /// The worker that wants it.
    worker: Arc<Bell>,
    /// Whether an idle connection of that worker would do, too.
    takes_idle: bool,
    grant: oneshot::Sender<Grant<C>>,
}

impl<C> Waiter<C> {
    /// Whether `worker` wants a connection to `endpoint`.
    fn is_of(&self, endpoint: u64, worker: &Arc<Bell>) -> bool {
        self.endpoint.endpoint == endpoint && Arc::ptr_eq(&self.worker, worker)
    }
}

impl<C> Default for Places<C> {
    /// No connections, and no cap.
    fn default() -> Self {
        let parts = Parts { queue: VecDeque::new(), next_waiter: 0, closing: 0, shelves: Vec::new() };
        Self {
            open: AtomicU32::new(0),
            cap: AtomicU32::new(u32::MAX),
            waiting: AtomicU32::new(0),
            pending: AtomicU32::new(0),
            max_pending: AtomicU32::new(u32::MAX),
            queue_timeout_ms: AtomicU64::new(u64::MAX),
            parts: Mutex::new(parts),
        }
    }
}

impl<C> Places<C> {
    pub(super) fn configure(&self, cap: Option<u32>, max_pending: u32, queue_timeout: Option<Duration>) {
        self.max_pending.store(max_pending, SeqCst);
        self.queue_timeout_ms.store(queue_timeout.map_or(u64::MAX, |time| time.as_millis() as u64), SeqCst);
        self.cap.store(cap.unwrap_or(u32::MAX), SeqCst);
        self.grant(&mut self.lock());
    }

    pub(super) fn is_capped(&self) -> bool {
        self.cap.load(SeqCst) != u32::MAX
    }

    pub(super) fn is_waited_for(&self) -> bool {
        self.waiting.load(SeqCst) > 0
    }

    pub(super) fn queue_timeout(&self) -> Option<Duration> {
        let millis = self.queue_timeout_ms.load(SeqCst);
        (millis != u64::MAX).then(|| Duration::from_millis(millis))
    }

    /// Counts one more request that waits. Besides those that may, there is room for those that have a place in a moment: of a
    /// connection that lies idle, which its worker lets go as soon as somebody waits, or that is being closed.
    pub(super) fn pend(&self) -> bool {
        let below = |limit: u32| {
            self.pending.fetch_update(SeqCst, SeqCst, |count| (count < limit).then_some(count + 1)).is_ok()
        };
        let limit = self.max_pending.load(SeqCst);
        below(limit) || below(limit.saturating_add(self.soon()))
    }

    pub(super) fn pends_no_more(&self) {
        self.pending.fetch_sub(1, SeqCst);
    }

    /// Places that are free, or are in a moment if somebody waits.
    fn soon(&self) -> u32 {
        let parts = self.lock();
        let idle: u32 = parts.shelves.iter().map(|shelf| shelf.count.load(SeqCst)).sum();
        let free = self.cap.load(SeqCst).saturating_sub(self.open.load(SeqCst));
        idle.saturating_add(parts.closing).saturating_add(free)
    }

    pub(super) fn idle_of(&self, endpoint: u64) -> u32 {
        let parts = self.lock();
        let shelves = parts.shelves.iter().filter(|shelf| shelf.endpoint == endpoint);
        shelves.map(|shelf| shelf.count.load(SeqCst)).sum()
    }

    /// Takes a place if one is free and nobody waits for it.
    pub(super) fn try_reserve(&self) -> bool {
        !self.is_waited_for() && self.reserve()
    }

    /// Puts somebody in the queue who wants a connection to `endpoint`.
    pub(super) fn join(
        &self,
        endpoint: &Arc<Capacity<C>>,
        worker: Arc<Bell>,
        takes_idle: bool,
    ) -> (u64, oneshot::Receiver<Grant<C>>) {
        let (grant, receiver) = oneshot::channel();
        let mut parts = self.lock();
        let id = parts.next_waiter;
        parts.next_waiter += 1;
        parts.queue.push_back(Waiter { id, endpoint: Arc::clone(endpoint), worker, takes_idle, grant });
        self.waiting.store(parts.queue.len() as u32, SeqCst);
        // A place may have become free before anybody was seen to wait.
        self.grant(&mut parts);
        if !parts.queue.is_empty() {
            for shelf in parts.shelves.iter().filter(|shelf| shelf.count.load(SeqCst) > 0) {
                shelf.worker.ring(shelf.endpoint);
            }
        }
        (id, receiver)
    }

    pub(super) fn turn_of_idle(&self, endpoint: u64, worker: &Arc<Bell>) -> Turn<C> {
        if !self.is_waited_for() && self.open.load(SeqCst) <= self.cap.load(SeqCst) {
            return Turn::Keep;
        }
        let mut parts = self.lock();
        let staying = self.open.load(SeqCst).saturating_sub(parts.closing);
        let Some(free) = self.cap.load(SeqCst).checked_sub(staying) else {
            parts.closing += 1;
            return Turn::Close;
        };
        // The first in the queue get the places that are free in a moment; this connection is for the one behind them.
        let Some(waiter) = parts.queue.get(free as usize) else { return Turn::Keep };
        if waiter.takes_idle && waiter.is_of(endpoint, worker) {
            let waiter = parts.queue.remove(free as usize).expect("it was there a line above");
            self.waiting.store(parts.queue.len() as u32, SeqCst);
            return Turn::Give(waiter.grant);
        }
        parts.closing += 1;
        Turn::Close
    }

    pub(super) fn gives_way(&self, endpoint: u64, worker: &Arc<Bell>) -> bool {
        if !self.is_waited_for() && self.open.load(SeqCst) <= self.cap.load(SeqCst) {
            return false;
        }
        let mut parts = self.lock();
        let staying = self.open.load(SeqCst).saturating_sub(parts.closing);
        let gives_way = match self.cap.load(SeqCst).checked_sub(staying) {
            None => true,
            Some(free) => parts.queue.iter().skip(free as usize).any(|waiter| !waiter.is_of(endpoint, worker)),
        };
        parts.closing += u32::from(gives_way);
        gives_way
    }

    pub(super) fn stays(&self) {
        self.lock().closing -= 1;
    }

    /// A connection is being closed, for whatever reason.
    pub(super) fn closes(&self) {
        self.lock().closing += 1;
    }

    pub(super) fn count_idle(&self, shelf: IdleCount) -> Arc<IdleCount> {
        let shelf = Arc::new(shelf);
        self.lock().shelves.push(Arc::clone(&shelf));
        shelf
    }

    pub(super) fn forget(&self, shelf: &Arc<IdleCount>) {
        self.lock().shelves.retain(|other| !Arc::ptr_eq(other, shelf));
    }

    /// A connection is closed.
    pub(super) fn closed(&self, was_closing: bool) {
        if was_closing {
            let mut parts = self.lock();
            parts.closing -= 1;
            self.open.fetch_sub(1, SeqCst);
            return self.grant(&mut parts);
        }
        self.open.fetch_sub(1, SeqCst);
        // Who joins the queue after this look finds the place free itself.
        if self.is_waited_for() {
            self.grant(&mut self.lock());
        }
    }

    /// Somebody does not wait any more.
    pub(super) fn leave(&self, id: u64) {
        let mut parts = self.lock();
        if let Ok(index) = parts.queue.binary_search_by_key(&id, |waiter| waiter.id) {
            parts.queue.remove(index);
            self.waiting.store(parts.queue.len() as u32, SeqCst);
        }
    }

    /// Takes a place if one is free.
    fn reserve(&self) -> bool {
        let cap = self.cap.load(SeqCst);
        self.open.fetch_update(SeqCst, SeqCst, |open| (open < cap).then_some(open + 1)).is_ok()
    }

    /// Gives free places to the first in the queue.
    fn grant(&self, parts: &mut Parts<C>) {
        while !parts.queue.is_empty() && self.reserve() {
            let waiter = parts.queue.pop_front().expect("the queue is not empty");
            if let Err(Grant::Open(permit)) = waiter.grant.send(Grant::Open(Permit::new(&waiter.endpoint))) {
                // Gone meanwhile. Dropping the permit as usual would take the lock that is held here.
                permit.defuse();
                self.open.fetch_sub(1, SeqCst);
            }
        }
        self.waiting.store(parts.queue.len() as u32, SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Parts<C>> {
        // Nothing in here panics half-way through a change.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
