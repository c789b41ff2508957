//! The connections of one worker to HTTP/2 backends.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use tokio::sync::Notify;

use super::{
    limits,
    link::{Link, Place},
};
use crate::{
    engine::{IdleCount, Pool},
    error::Reason,
    instant::Instant,
    live::EndpointLive,
    worker::Worker,
};

/// Connections by endpoint. All clients of a worker share them.
#[derive(Default)]
pub(crate) struct Links {
    groups: RefCell<HashMap<u64, Rc<Group>, RandomState>>,
}

/// The connections to one endpoint.
pub(super) struct Group {
    endpoint: Arc<EndpointLive>,
    links: RefCell<Vec<Link>>,
    /// Connections that are being opened.
    opening: Cell<usize>,
    /// Requests that wait for a place.
    waiting: Cell<usize>,
    changed: Notify,
    /// Connections that could not be had, and why the last could not.
    failures: Cell<u64>,
    failure: Cell<Reason>,
    /// How many connections are idle, for workers that wait at the endpoint's cap.
    idle: Arc<IdleCount>,
}

impl Links {
    /// Closes connections that are of no more use. Requests on them go on.
    pub(crate) fn sweep(&self) {
        self.groups.borrow_mut().retain(|_, group| {
            group.sweep();
            !group.links.borrow().is_empty() || group.waiting.get() > 0 || group.opening.get() > 0
        });
    }

    /// Closes an idle connection to each of `endpoints` at whose cap somebody waits.
    pub(crate) fn serve_waiting(&self, endpoints: &[u64]) {
        let groups = self.groups.borrow();
        for group in endpoints.iter().filter_map(|endpoint| groups.get(endpoint)) {
            group.make_room();
        }
    }

    fn group(&self, endpoint: &Arc<EndpointLive>, pool: &Pool) -> Rc<Group> {
        let mut groups = self.groups.borrow_mut();
        Rc::clone(groups.entry(endpoint.id).or_insert_with(|| Rc::new(Group::new(endpoint, pool))))
    }

    /// A place on a connection to `endpoint` within `time`: on the first that has one, else on a new one. Requests that come while
    /// one is opened wait for it, as many as it may take. Safe to cancel.
    ///
    /// # Errors
    /// No connection could be had.
    pub(super) async fn place(
        &self,
        worker: &Rc<Worker>,
        endpoint: &Arc<EndpointLive>,
        time: Duration,
    ) -> Result<Place, Reason> {
        let group = self.group(endpoint, &worker.pool);
        if let Some(place) = group.place() {
            return Ok(place);
        }
        let _waiting = Counted::new(&group.waiting);
        let failures = group.failures.get();
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Reason::ConnectTimeout);
            }
            if group.waiting.get() > group.opening.get() * limits::UPSTREAM_STREAMS
                && group.opening.get() < limits::OPENING
            {
                // A task of its own: who comes later may have a place on it, if this request finds another or is given up.
                let (worker_, group) = (Rc::clone(worker), Rc::clone(&group));
                group.opening.set(group.opening.get() + 1);
                worker.spawn(async move { group.open(&worker_, left).await });
            }
            // All is on one thread: nothing changes between looking and waiting.
            let _ = tokio::time::timeout(left, group.changed.notified()).await;
            if let Some(place) = group.place() {
                return Ok(place);
            }
            if group.failures.get() != failures {
                return Err(group.failure.get());
            }
        }
    }
}

impl Group {
    fn new(endpoint: &Arc<EndpointLive>, pool: &Pool) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            links: RefCell::default(),
            opening: Cell::new(0),
            waiting: Cell::new(0),
            changed: Notify::new(),
            failures: Cell::new(0),
            failure: Cell::new(Reason::ConnectFailed),
            idle: endpoint.capacity.count_idle_of(pool.bell()),
        }
    }

    /// Where the connections lead.
    pub(super) fn endpoint(&self) -> &Arc<EndpointLive> {
        &self.endpoint
    }

    /// Opens a connection for those that wait, who learn of it either way.
    async fn open(self: &Rc<Self>, worker: &Rc<Worker>, time: Duration) {
        let opened = Link::open(worker, self, time).await;
        self.opening.set(self.opening.get() - 1);
        match opened {
            Ok(link) => {
                self.links.borrow_mut().push(link);
                self.note_idle();
            }
            Err(reason) => {
                self.failures.set(self.failures.get() + 1);
                self.failure.set(reason);
            }
        }
        self.changed.notify_waiters();
    }

    /// A place on the first connection that has one: so that as few as possible are used, and the others become idle.
    fn place(&self) -> Option<Place> {
        let pool = &self.endpoint.pool;
        self.links.borrow_mut().retain(|link| !link.is_over(pool));
        let place = self.links.borrow().iter().find_map(Link::place)?;
        if place.is_reused {
            self.endpoint.metrics.reused.inc();
        }
        self.note_idle();
        Some(place)
    }

    /// A request has left its connection.
    pub(super) fn has_place(&self) {
        self.note_idle();
        self.make_room();
        self.changed.notify_one();
    }

    fn note_idle(&self) {
        let capacity = &self.endpoint.capacity;
        if capacity.is_capped() {
            self.idle.set(self.links.borrow().iter().filter(|link| link.is_idle()).count(), true);
        }
    }

    /// Closes an idle connection if somebody waits at the endpoint's cap.
    fn make_room(&self) {
        let capacity = &self.endpoint.capacity;
        if !capacity.is_capped() || !capacity.is_waited_for() {
            return;
        }
        let mut links = self.links.borrow_mut();
        if let Some(index) = links.iter().position(Link::is_idle) {
            drop(links.remove(index));
        }
        drop(links);
        self.note_idle();
    }

    fn sweep(&self) {
        let pool = &self.endpoint.pool;
        let is_removed = self.endpoint.is_removed();
        let mut idle = 0;
        self.links.borrow_mut().retain(|link| {
            idle += usize::from(link.is_idle());
            let is_surplus = link.is_idle() && idle > pool.max_idle();
            !(is_removed || is_surplus || link.is_over(pool))
        });
        self.note_idle();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.endpoint.capacity.forget(&self.idle);
    }
}

/// One more while it lives.
struct Counted<'a>(&'a Cell<usize>);

impl<'a> Counted<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
