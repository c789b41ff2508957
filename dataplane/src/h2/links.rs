//! The connections of one worker to HTTP/2 backends.

mod group;
mod queue;

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use foldhash::fast::RandomState;

pub(super) use group::Group;

use super::link::Place;
use crate::{
    engine::{Patience, Pool},
    error::Reason,
    live::EndpointLive,
    worker::Worker,
};

/// Connections by endpoint. All clients of a worker share them.
#[derive(Default)]
pub(crate) struct Links {
    groups: RefCell<HashMap<u64, Rc<Group>, RandomState>>,
}

impl Links {
    /// Closes connections that are of no more use. Requests on them go on.
    pub(crate) fn sweep(&self) {
        self.groups.borrow_mut().retain(|_, group| {
            group.sweep();
            !group.is_deserted()
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
        Rc::clone(groups.entry(endpoint.id).or_insert_with(|| Rc::new(Group::new(endpoint, pool.bell()))))
    }

    /// A place on a connection to `endpoint`: on the first that has one, else on a new one, for requests in the order in which they come.
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
        patience: Patience,
    ) -> Result<Place, Reason> {
        patience.left()?;
        self.group(endpoint, &worker.pool).place(worker, patience).await
    }
}
