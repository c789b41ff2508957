use std::{
    cell::RefCell,
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{live::EndpointLive, transport::RequestSender};

/// How long a connection may lie idle: below the 60 s after which many servers close.
const IDLE: Duration = Duration::from_secs(55);

/// Idle connections that a worker keeps to one endpoint.
const MAX_IDLE: usize = 256;

/// Idle upstream connections of one worker, last in first out, by endpoint.
#[derive(Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<u64, Vec<Idle>>>,
}

struct Idle {
    endpoint: Arc<EndpointLive>,
    sender: RequestSender,
    since: Instant,
}

impl Idle {
    fn is_usable(&self) -> bool {
        self.sender.is_ready() && self.since.elapsed() < IDLE && !self.endpoint.is_removed()
    }
}

impl Pool {
    /// A connection to `endpoint` that was open when last heard of.
    pub(crate) fn take(&self, endpoint: &EndpointLive) -> Option<RequestSender> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&endpoint.id)?;
        while let Some(connection) = connections.pop() {
            if connection.is_usable() {
                return Some(connection.sender);
            }
        }
        None
    }

    /// Keeps `sender` for the next request to `endpoint`.
    pub(crate) fn put(&self, endpoint: Arc<EndpointLive>, sender: RequestSender) {
        if endpoint.is_removed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(endpoint.id).or_default();
        if connections.len() < MAX_IDLE {
            connections.push(Idle { endpoint, sender, since: Instant::now() });
        }
    }

    /// Closes what is closed, too old, or leads to an endpoint that is no more.
    pub(crate) fn sweep(&self) {
        self.idle.borrow_mut().retain(|_, connections| {
            connections.retain(Idle::is_usable);
            !connections.is_empty()
        });
    }
}
