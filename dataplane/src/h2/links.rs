//! The connections of one worker to HTTP/2 backends.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    limits,
    link::{Link, Place},
};
use crate::{error::Reason, live::EndpointLive, worker::Worker};

/// Connections by endpoint. All clients of a worker share them.
#[derive(Default)]
pub(crate) struct Links {
    groups: RefCell<HashMap<u64, Rc<Group>>>,
}

/// The connections to one endpoint.
struct Group {
    endpoint: Arc<EndpointLive>,
    links: RefCell<Vec<Link>>,
    /// Connections that are being opened.
    opening: Cell<usize>,
    /// Requests that wait for a place.
    waiting: Cell<usize>,
    changed: Rc<Notify>,
}

impl Links {
    /// Closes connections that are of no more use. Requests on them go on.
    pub(crate) fn sweep(&self) {
        self.groups.borrow_mut().retain(|_, group| {
            let is_removed = group.endpoint.is_removed();
            group.links.borrow_mut().retain(|link| !(is_removed || link.is_retired() || link.is_idle()));
            !group.links.borrow().is_empty() || group.waiting.get() > 0
        });
    }

    fn group(&self, endpoint: &Arc<EndpointLive>) -> Rc<Group> {
        let fresh = || {
            Rc::new(Group {
                endpoint: Arc::clone(endpoint),
                links: RefCell::default(),
                opening: Cell::new(0),
                waiting: Cell::new(0),
                changed: Rc::default(),
            })
        };
        Rc::clone(self.groups.borrow_mut().entry(endpoint.id).or_insert_with(fresh))
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
        let group = self.group(endpoint);
        if let Some(place) = group.place() {
            return Ok(place);
        }
        let _waiting = Counted::new(&group.waiting);
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Reason::ConnectTimeout);
            }
            if group.waiting.get() > group.opening.get() * limits::UPSTREAM_STREAMS
                && group.opening.get() < limits::OPENING
            {
                let opened = {
                    let _opening = Counted::new(&group.opening);
                    Link::open(worker, endpoint, left, Rc::clone(&group.changed)).await
                };
                // Those that wait look again: for a place, or to try for themselves.
                group.changed.notify_waiters();
                group.links.borrow_mut().push(opened?);
            } else {
                // A place that comes free between looking and waiting is not missed: all is on one thread.
                let _ = tokio::time::timeout(left, group.changed.notified()).await;
            }
            if let Some(place) = group.place() {
                return Ok(place);
            }
        }
    }
}

impl Group {
    /// A place on the first connection that has one: so that as few as possible are used, and the others become idle.
    fn place(&self) -> Option<Place> {
        let mut links = self.links.borrow_mut();
        links.retain(|link| !link.is_retired());
        links.iter().find_map(Link::place)
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
