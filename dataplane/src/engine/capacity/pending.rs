use std::sync::{Arc, atomic::Ordering::SeqCst};

use super::Capacity;

/// A request that waits for a connection, as long as it lives.
pub(crate) struct Pending<C>(Arc<Capacity<C>>);

impl<C> Pending<C> {
    /// One that waits for a connection to `endpoint`, and is counted among those of its backend already.
    pub(super) fn new(endpoint: &Arc<Capacity<C>>) -> Self {
        endpoint.pending.fetch_add(1, SeqCst);
        Self(Arc::clone(endpoint))
    }
}

impl<C> Drop for Pending<C> {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, SeqCst);
        self.0.places.pends_no_more();
    }
}
