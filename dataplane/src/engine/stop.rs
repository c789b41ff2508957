//! The end of a listener, as the connections of one worker ask about it: several times for each request.

use std::{cell::Cell, rc::Rc};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Whether no further requests are taken. Asking takes no lock, as asking the token would.
#[derive(Clone)]
pub(crate) struct Stop {
    is_set: Rc<Cell<bool>>,
    token: CancellationToken,
}

impl Stop {
    /// What follows `token` for one worker, whose accepting task [`set`](Self::set)s it.
    pub(crate) fn new(token: CancellationToken) -> Self {
        Self { is_set: Rc::default(), token }
    }

    /// No further requests are taken.
    pub(crate) fn set(&self) {
        self.is_set.set(true);
    }

    /// Whether no further requests are taken.
    pub(crate) fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Waits for the end.
    pub(crate) fn awaited(self) -> WaitForCancellationFutureOwned {
        self.token.cancelled_owned()
    }
}
