use std::sync::Arc;

use shared::status::BreakerState;

use super::{settings::Settings, trial::Trial, window::Window};
use crate::instant::Instant;

/// One stay of a breaker in one state, with what is counted in it.
///
/// A call belongs to the stay that let it in, by its number: what ends later counts nowhere.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    /// Distinct for each stay of a gate.
    pub(super) epoch: u64,
    pub(super) settings: Arc<Settings>,
    pub(super) stay: Stay,
}

#[derive(Clone, Debug)]
pub(super) enum Stay {
    Closed(Arc<Window>),
    /// Until when; none while it is forced.
    Open(Option<Instant>),
    /// Until when at most.
    HalfOpen(Arc<Trial>, Option<Instant>),
}

impl Phase {
    pub(super) fn state(&self) -> BreakerState {
        match self.stay {
            Stay::Closed(_) => BreakerState::Closed,
            Stay::Open(_) => BreakerState::Open,
            Stay::HalfOpen(..) => BreakerState::HalfOpen,
        }
    }

    /// Whether the time of this stay is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        match self.stay {
            Stay::Open(until) | Stay::HalfOpen(_, until) => until.is_some_and(|until| until <= now),
            Stay::Closed(_) => false,
        }
    }
}
