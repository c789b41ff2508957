//! The connections of one worker to HTTP/2 backends.

mod group;
mod queue;

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use foldhash::fast::RandomState;

pub(super) use group::Group;

use super::link::Place;
use crate::{
    engine::{Greeting, Patience, Pool},
    error::Reason,
    live::EndpointLive,
    worker::Worker,
};

/// The endpoint's id, and the header of the PROXY protocol that its connections begin with.
type Key = (u64, Option<Greeting>);

/// Connections by endpoint, and by the header of the PROXY protocol that they began with. All clients of a worker share those without.
#[derive(Default)]
pub(crate) struct Links {
    groups: RefCell<HashMap<Key, Rc<Group>, RandomState>>,
}

impl Links {
    /// Closes connections that are of no more use. Requests on them go on.
    pub(crate) fn sweep(&self) {
        // By endpoint, however many clients have connections to it.
        let mut idle: HashMap<u64, usize> = HashMap::new();
        self.groups.borrow_mut().retain(|(endpoint, _), group| {
            group.sweep(idle.entry(*endpoint).or_default());
            !group.is_deserted()
        });
    }

    /// Closes an idle connection to each of `endpoints` at whose cap somebody waits.
    pub(crate) fn serve_waiting(&self, endpoints: &[u64]) {
        if !endpoints.is_empty() {
            let groups = self.groups.borrow();
            let groups = groups.iter().filter(|((endpoint, _), _)| endpoints.contains(endpoint));
            groups.for_each(|(_, group)| group.make_room());
        }
    }

    fn group(&self, endpoint: &Arc<EndpointLive>, greeting: Option<&Greeting>, pool: &Pool) -> Rc<Group> {
        let mut groups = self.groups.borrow_mut();
        let group = groups.entry((endpoint.id, greeting.cloned()));
        Rc::clone(group.or_insert_with(|| Rc::new(Group::new(endpoint, greeting, pool.bell()))))
    }

    /// A place on a connection to `endpoint` that began with `greeting`: on the first that has one, else on a new one, for requests in the order in which they come.
    /// Those that come while one is opened wait for it, as many as it may take; at the cap of the backend they wait as long as that says.
    /// Safe to cancel.
    ///
    /// # Errors
    /// No connection could be had, or it took longer than `patience`: [`Reason::ConnectFailed`], [`Reason::ConnectTimeout`],
    /// [`Reason::BadResponse`], [`Reason::QueueFull`], [`Reason::ConnectionsExhausted`].
    pub(super) async fn place(
        &self,
        worker: &Rc<Worker>,
        endpoint: &Arc<EndpointLive>,
        greeting: Option<&Greeting>,
        patience: Patience,
    ) -> Result<Place, Reason> {
        patience.left()?;
        self.group(endpoint, greeting, &worker.pool).place(worker, patience).await
    }
}
