//! The time-outs of one request, while nothing of it can be moved.

use std::task::Waker;

use crate::{
    engine::{Deadline, Pace, Standing, Terms},
    error::Reason,
    instant::Instant,
    tries::Tries,
    worker::Worker,
};

/// The clock of one request, and what wakes it.
pub(super) struct Pacer<'a> {
    deadline: Deadline,
    pace: Pace<'a>,
    /// What is wrong when the deadline passes.
    overdue: Reason,
    /// Whether nothing is armed yet.
    is_new: bool,
}

impl<'a> Pacer<'a> {
    /// The clock of a try that begins now and must have a response head at `try_until`.
    pub(super) fn new(worker: &Worker, terms: &'a Terms, try_until: Option<Instant>) -> Self {
        Self {
            deadline: worker.deadlines.deadline(),
            pace: Pace::new(&terms.timeouts, terms.total, try_until, Instant::now()),
            overdue: Reason::UpstreamTimeout,
            is_new: true,
        }
    }

    /// Says which task is woken.
    pub(super) fn wakes(&self, waker: &Waker) {
        self.deadline.wakes(waker);
    }

    /// To be called when nothing can be moved any more, with what was moved since the last call. Why the request ends here, if it
    /// is overdue. `tries` learn how long the client was waited for.
    pub(super) fn settle(
        &mut self,
        has_moved: bool,
        has_uploaded: bool,
        standing: &Standing,
        tries: &mut Tries,
    ) -> Option<Reason> {
        if !has_moved && !std::mem::take(&mut self.is_new) {
            return self.deadline.has_passed().then_some(self.overdue);
        }
        let now = Instant::now();
        self.pace.moved(now, has_uploaded, standing);
        tries.holds(self.pace.held());
        let (due, reason) = self.pace.due(standing);
        // What moves all the time, but too slowly, never lets a deadline pass.
        if due <= now {
            return Some(reason);
        }
        self.overdue = reason;
        self.deadline.arm(now, due - now);
        None
    }
}
