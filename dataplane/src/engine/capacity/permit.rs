use std::sync::{Arc, atomic::Ordering::SeqCst};

use super::Capacity;

/// The place of one connection among those that may be open; lives as long as the connection.
pub(crate) struct Permit<C> {
    /// Until the place is given back.
    endpoint: Option<Arc<Capacity<C>>>,
    is_closing: bool,
}

impl<C> Permit<C> {
    /// A place of the backend that is counted already, for a connection to `endpoint`, which is counted now.
    pub(super) fn new(endpoint: &Arc<Capacity<C>>) -> Self {
        endpoint.open.fetch_add(1, SeqCst);
        Self { endpoint: Some(Arc::clone(endpoint)), is_closing: false }
    }

    /// [`Turn::Close`](super::Turn::Close) was said of its connection.
    pub(crate) fn closes(&mut self) {
        self.is_closing = true;
    }

    /// Its connection is being closed for a reason of its own: its place is free in a moment.
    pub(crate) fn leaves(&mut self) {
        if let Some(endpoint) = &self.endpoint
            && !std::mem::replace(&mut self.is_closing, true)
        {
            endpoint.places.closes();
        }
    }

    /// Lets go of the place, which the backend's count still has.
    pub(super) fn defuse(mut self) {
        if let Some(endpoint) = self.endpoint.take() {
            endpoint.open.fetch_sub(1, SeqCst);
        }
    }
}

impl<C> Drop for Permit<C> {
    fn drop(&mut self) {
        if let Some(endpoint) = self.endpoint.take() {
            endpoint.open.fetch_sub(1, SeqCst);
            endpoint.places.closed(self.is_closing);
        }
    }
}
