use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    super::{
        limits,
        link::{Leaving, Link, Place, Seen},
    },
    queue::Queue,
};
use crate::{
    engine::{Bell, Grant, Greeting, IdleCount, Patience, Permit, Upstream},
    error::Reason,
    instant::Instant,
    live::EndpointLive,
    worker::Worker,
};

/// The connections of one worker to one endpoint, or those that began with one header of the PROXY protocol, and the requests that
/// wait for a place on one.
pub(in crate::h2) struct Group {
    endpoint: Arc<EndpointLive>,
    greeting: Option<Greeting>,
    links: RefCell<Vec<Link>>,
    /// Those that gave way to others.
    leaving: RefCell<Vec<Leaving>>,
    queue: Queue,
    /// Connections that are being opened.
    connecting: Cell<usize>,
    /// Connections that are to be opened as soon as the backend's cap has a place for them.
    queued: Cell<usize>,
    /// Told when what those that wait are waiting for has changed.
    changed: Notify,
    /// As whom it stands in the queue at the endpoint's cap: those that began with a header make room for each other.
    party: Arc<Bell>,
    /// How many connections are idle, for workers that wait at the endpoint's cap, and for metrics.
    idle: Arc<IdleCount>,
}

impl Group {
    pub(super) fn new(endpoint: &Arc<EndpointLive>, greeting: Option<&Greeting>, worker: &Arc<Bell>) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            greeting: greeting.cloned(),
            links: RefCell::default(),
            leaving: RefCell::default(),
            queue: Queue::default(),
            connecting: Cell::new(0),
            queued: Cell::new(0),
            changed: Notify::new(),
            party: greeting.map_or_else(|| Arc::clone(worker), |_| Arc::default()),
            idle: endpoint.capacity.count_idle_of(worker),
        }
    }

    /// Where the connections lead.
    pub(in crate::h2) fn endpoint(&self) -> &Arc<EndpointLive> {
        &self.endpoint
    }

    /// The header that each of them begins with.
    pub(in crate::h2) fn greeting(&self) -> Option<&Greeting> {
        self.greeting.as_ref()
    }

    /// Whether nobody needs it.
    pub(super) fn is_deserted(&self) -> bool {
        self.links.borrow().is_empty()
            && self.leaving.borrow().is_empty()
            && self.queue.len() == 0
            && self.connecting.get() == 0
            && self.queued.get() == 0
    }

    /// A place for one request; see [`Links::place`](super::Links::place).
    pub(super) async fn place(self: &Rc<Self>, worker: &Rc<Worker>, patience: Patience) -> Result<Place, Reason> {
        self.make_room();
        if self.queue.len() == 0
            && let Some(place) = self.take()
        {
            return Ok(place);
        }
        let capacity = &self.endpoint.capacity;
        let metrics = &self.endpoint.metrics;
        let mut waiting = self.queue.join();
        let mut time = patience.each;
        let mut pending = None;
        let mut since = Instant::now();
        self.serve();
        loop {
            if !self.is_provided_for(worker, patience.each) {
                if pending.is_none() && capacity.is_capped() {
                    let Some(counted) = capacity.pend() else {
                        metrics.cap_refusals.inc();
                        return Err(Reason::QueueFull);
                    };
                    metrics.cap_waits.inc();
                    pending = Some(counted);
                    (since, time) = (Instant::now(), capacity.queue_timeout().unwrap_or(patience.each));
                }
                self.queue_connection(worker, patience.each);
            }
            let left = patience.left_of(time.saturating_sub(since.elapsed()))?;
            // All is on one thread: nothing changes between looking and waiting.
            tokio::select! {
                biased;
                told = &mut waiting.told => return told.expect("who is taken out of the queue is told something"),
                () = self.changed.notified() => {}
                () = tokio::time::sleep(left) => {
                    if pending.is_none() {
                        return Err(Reason::ConnectTimeout);
                    }
                    metrics.cap_timeouts.inc();
                    return Err(patience.exhausted());
                }
            }
        }
    }

    /// Whether connections that are being opened will do for all that wait. Begins to open one, if there may be one more.
    fn is_provided_for(self: &Rc<Self>, worker: &Rc<Worker>, time: Duration) -> bool {
        let is_provided = || self.queue.len() <= self.connecting.get() * limits::UPSTREAM_STREAMS;
        if !is_provided()
            && self.connecting.get() < limits::OPENING
            && let Some(permit) = self.endpoint.capacity.try_open()
        {
            self.connecting.set(self.connecting.get() + 1);
            let (worker_, group) = (Rc::clone(worker), Rc::clone(self));
            // A task of its own: who comes later may have a place on it, if this request finds another or is given up.
            worker.spawn(async move { group.connect(&worker_, permit, time).await });
        }
        is_provided()
    }

    /// How many wait for whom no connection is on its way.
    fn unprovided(&self) -> usize {
        let opening = self.connecting.get() + self.queued.get();
        self.queue.len().saturating_sub(opening * limits::UPSTREAM_STREAMS)
    }

    /// Has a connection opened as soon as the cap has a place for it, if those that are to be opened will not do for all that wait.
    fn queue_connection(self: &Rc<Self>, worker: &Rc<Worker>, time: Duration) {
        if self.connecting.get() + self.queued.get() >= limits::OPENING || self.unprovided() == 0 {
            return;
        }
        self.queued.set(self.queued.get() + 1);
        let (worker_, group) = (Rc::clone(worker), Rc::clone(self));
        worker.spawn(async move {
            let granted = tokio::select! {
                biased;
                granted = group.endpoint.capacity.wait(&group.party, false) => Some(granted),
                () = group.queue.emptied() => None,
            };
            group.queued.set(group.queued.get() - 1);
            // Only a place, since it takes no idle connection.
            if let Some(Grant::Open(permit)) = granted
                && group.queue.len() > group.connecting.get() * limits::UPSTREAM_STREAMS
            {
                group.connecting.set(group.connecting.get() + 1);
                group.connect(&worker_, permit, time).await;
            }
        });
    }

    /// Opens a connection for those that wait, who learn of it either way.
    async fn connect(self: &Rc<Self>, worker: &Rc<Worker>, permit: Permit<Upstream>, time: Duration) {
        let opened = Link::open(worker, self, permit, time).await;
        self.connecting.set(self.connecting.get() - 1);
        match opened {
            Ok(link) => {
                self.links.borrow_mut().push(link);
                self.note_idle();
                self.serve();
            }
            // It was for those that came first. Who is behind them, or has a place on one of the others, goes on waiting.
            Err(reason) => self.queue.fail(reason, self.unprovided().min(limits::UPSTREAM_STREAMS)),
        }
        self.changed.notify_waiters();
    }

    /// Gives places to those that wait.
    fn serve(&self) {
        self.queue.serve(|| self.take());
    }

    /// A place on the first connection that has one: so that as few as possible are used, and the others become idle.
    fn take(&self) -> Option<Place> {
        let pool = &self.endpoint.pool;
        self.links.borrow_mut().retain(|link| !link.is_over(pool));
        let place = self.links.borrow().iter().find_map(Link::place)?;
        if place.is_reused {
            self.endpoint.metrics.reused.inc();
        }
        self.note_idle();
        Some(place)
    }

    /// A request has left its connection, or a connection takes no more.
    pub(in crate::h2) fn has_place(&self) {
        // What takes no more may have closed already: it has no place that it could give way with.
        self.links.borrow_mut().retain(|link| !link.is_retired());
        self.note_idle();
        self.make_room();
        self.serve();
        if self.queue.len() > 0 {
            // They may need another connection now, which any of them sees to.
            self.changed.notify_one();
        }
    }

    fn note_idle(&self) {
        let count = self.links.borrow().iter().filter(|link| link.is_idle()).count();
        self.idle.set(count, self.endpoint.capacity.is_capped());
    }

    /// Lets connections go for others who wait at the endpoint's cap, or where there are more than may be: an idle one first. Others close
    /// when their last request is over: however busy a worker is, it does not keep a place for ever.
    pub(super) fn make_room(&self) {
        let capacity = &self.endpoint.capacity;
        if !capacity.is_capped() {
            return;
        }
        while !self.links.borrow().is_empty() && capacity.gives_way(&self.party) {
            let mut links = self.links.borrow_mut();
            let at = links.iter().position(Link::is_idle).unwrap_or(links.len() - 1);
            let link = links.remove(at);
            drop(links);
            self.leaving.borrow_mut().push(link.gives_way());
            self.note_idle();
        }
    }

    /// Closes connections that are of no more use; `idle` counts those of the endpoint that are idle. Requests on them go on.
    pub(super) fn sweep(&self, idle: &mut usize) {
        let pool = &self.endpoint.pool;
        let is_removed = self.endpoint.is_removed();
        self.links.borrow_mut().retain(|link| {
            *idle += usize::from(link.is_idle());
            let is_surplus = link.is_idle() && *idle > pool.max_idle();
            !(is_removed || is_surplus || link.is_over(pool))
        });
        self.note_idle();
        self.leaving.borrow_mut().retain_mut(|leaving| {
            let seen = leaving.look();
            if seen == Seen::Stays {
                // Others make room for who waits as if this one had not.
                self.endpoint.capacity.stays();
            }
            seen == Seen::Leaves
        });
        self.make_room();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.endpoint.capacity.forget(&self.idle);
    }
}
