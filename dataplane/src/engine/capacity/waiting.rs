use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use super::{Grant, Places};

/// Somebody in the queue. Dropping it leaves the queue; what it was granted meanwhile goes to the next.
pub(crate) struct Waiting<C> {
    places: Arc<Places<C>>,
    id: u64,
    receiver: oneshot::Receiver<Grant<C>>,
    is_granted: bool,
}

impl<C> Waiting<C> {
    pub(super) fn new(places: &Arc<Places<C>>, id: u64, receiver: oneshot::Receiver<Grant<C>>) -> Self {
        Self { places: Arc::clone(places), id, receiver, is_granted: false }
    }
}

impl<C> Future for Waiting<C> {
    type Output = Grant<C>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Grant<C>> {
        let granted = std::task::ready!(Pin::new(&mut self.receiver).poll(context));
        self.is_granted = true;
        Poll::Ready(granted.expect("who is taken out of the queue is granted something"))
    }
}

impl<C> Drop for Waiting<C> {
    fn drop(&mut self) {
        if !self.is_granted {
            self.places.leave(self.id);
        }
    }
}
