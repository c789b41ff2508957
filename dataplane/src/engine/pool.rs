use std::{
    cell::RefCell,
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

use super::stream::Upstream;
use crate::live::EndpointLive;

/// How long a connection may lie idle: below the 60 s after which many servers close.
const IDLE: Duration = Duration::from_secs(55);

/// Idle connections that a worker keeps to one endpoint.
const MAX_IDLE: usize = 256;

/// Idle connections to backends of one worker, last in first out, by endpoint.
#[derive(Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<u64, Vec<Idle>, RandomState>>,
}

struct Idle {
    endpoint: Arc<EndpointLive>,
    connection: Upstream,
    until: Instant,
}

impl Idle {
    fn is_usable(&mut self) -> bool {
        !self.endpoint.is_removed() && self.until > Instant::now() && self.connection.is_quiet()
    }
}

impl Pool {
    /// A connection to `endpoint` that was open when last heard of.
    pub(crate) fn take(&self, endpoint: &EndpointLive) -> Option<Upstream> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&endpoint.id)?;
        while let Some(mut candidate) = connections.pop() {
            if candidate.is_usable() {
                return Some(candidate.connection);
            }
        }
        None
    }

    /// Keeps `connection` for the next request to `endpoint`, a little shorter than the backend says that it does.
    pub(crate) fn put(&self, endpoint: &Arc<EndpointLive>, connection: Upstream, keep_alive_timeout: Option<u32>) {
        if endpoint.is_removed() {
            return;
        }
        let said = keep_alive_timeout.map_or(IDLE, |seconds| Duration::from_secs(u64::from(seconds).saturating_sub(1)));
        let until = Instant::now() + said.min(IDLE);
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(endpoint.id).or_default();
        if connections.len() < MAX_IDLE {
            connections.push(Idle { endpoint: Arc::clone(endpoint), connection, until });
        }
    }

    /// Closes what is closed, too old, or leads to an endpoint that is no more.
    pub(crate) fn sweep(&self) {
        self.idle.borrow_mut().retain(|_, connections| {
            connections.retain_mut(Idle::is_usable);
            !connections.is_empty()
        });
    }
}
