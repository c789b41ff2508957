use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use tokio::sync::{Notify, oneshot};

use super::super::link::Place;
use crate::error::Reason;

/// Requests of one worker that wait for a place on a connection to one endpoint, in the order in which they came.
#[derive(Default)]
pub(super) struct Queue {
    waiters: RefCell<VecDeque<Waiter>>,
    next: Cell<u64>,
    emptied: Notify,
}

struct Waiter {
    id: u64,
    told: oneshot::Sender<Result<Place, Reason>>,
}

/// One that waits. Dropping it leaves the queue.
pub(super) struct Waiting<'a> {
    queue: &'a Queue,
    id: u64,
    /// What becomes of it.
    pub(super) told: oneshot::Receiver<Result<Place, Reason>>,
}

impl Queue {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.waiters.borrow().len()
    }

    /// One more, behind all others.
    pub(super) fn join(&self) -> Waiting<'_> {
        let id = self.next.get();
        self.next.set(id + 1);
        let (sender, receiver) = oneshot::channel();
        self.waiters.borrow_mut().push_back(Waiter { id, told: sender });
        Waiting { queue: self, id, told: receiver }
    }

    /// Gives places to the first as long as `next` has one.
    pub(super) fn serve(&self, mut next: impl FnMut() -> Option<Place>) {
        while self.len() > 0
            && let Some(place) = next()
        {
            // The queue is not borrowed while others act: a place that is let go comes back here.
            let first = self.take_first();
            // Fails only for one that leaves in this moment; its place goes to the next as any that is let go.
            drop(first.map(|first| first.told.send(Ok(place))));
        }
    }

    /// Tells the first `count` that there is no place for `reason`.
    pub(super) fn fail(&self, reason: Reason, count: usize) {
        for first in (0..count).map_while(|_| self.take_first()) {
            drop(first.told.send(Err(reason)));
        }
    }

    /// Waits until there is nobody.
    pub(super) async fn emptied(&self) {
        while self.len() > 0 {
            self.emptied.notified().await;
        }
    }

    fn take_first(&self) -> Option<Waiter> {
        let first = self.waiters.borrow_mut().pop_front();
        self.note();
        first
    }

    fn leave(&self, id: u64) {
        let mut waiters = self.waiters.borrow_mut();
        let left = waiters.binary_search_by_key(&id, |waiter| waiter.id).ok().and_then(|at| waiters.remove(at));
        drop(waiters);
        drop(left);
        self.note();
    }

    fn note(&self) {
        if self.len() == 0 {
            self.emptied.notify_waiters();
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.leave(self.id);
    }
}
