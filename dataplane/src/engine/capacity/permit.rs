use std::sync::Arc;

use super::Capacity;

/// The place of one connection among those that may be open; lives as long as the connection.
pub(crate) struct Permit<C> {
    capacity: Option<Arc<Capacity<C>>>,
    is_closing: bool,
}

impl<C> Permit<C> {
    /// A place that is counted already.
    pub(super) fn new(capacity: &Arc<Capacity<C>>) -> Self {
        Self { capacity: Some(Arc::clone(capacity)), is_closing: false }
    }

    /// [`Turn::Close`](super::Turn::Close) was said of its connection.
    pub(crate) fn closes(&mut self) {
        self.is_closing = true;
    }

    /// Lets go of the place without counting it.
    pub(super) fn defuse(mut self) {
        self.capacity = None;
    }
}

impl<C> Drop for Permit<C> {
    fn drop(&mut self) {
        if let Some(capacity) = self.capacity.take() {
            capacity.closed(self.is_closing);
        }
    }
}
