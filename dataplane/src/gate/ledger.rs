use std::{collections::VecDeque, fmt};

use shared::{
    status::{AdminState, BreakerState, CheckStatus, EffectiveState, Health, Input, Transition},
    value::Timestamp,
};

use super::state::{Decides, Inputs};

/// Transitions of the effective state that are remembered.
const REMEMBERED: usize = 8;

/// Hears of every transition, in order. Called with a lock held: it must not wait.
pub(crate) type Tell = Box<dyn Fn(Transition) + Send + Sync>;

/// One state machine: the inputs of an endpoint's state, each with since when and why, and what follows from them.
pub(super) struct Ledger {
    tell: Tell,
    pub(super) inputs: Inputs,
    pub(super) admin: Entry,
    pub(super) health: Entry,
    pub(super) breaker: Entry,
    pub(super) effective: EffectiveState,
    pub(super) entry: Entry,
    pub(super) last_check: Option<CheckStatus>,
    history: VecDeque<Transition>,
}

/// Since when something is as it is, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) since: Timestamp,
    pub(super) reason: &'static str,
}

/// A new state of one of the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Admin(AdminState),
    Health(Health),
    Breaker(BreakerState),
}

impl Ledger {
    pub(super) fn new(inputs: Inputs, tell: Tell) -> Self {
        let entry = |reason| Entry { since: Timestamp::now(), reason };
        Self {
            tell,
            inputs,
            admin: entry(inputs.admin.word()),
            health: entry(inputs.health.word()),
            breaker: entry(inputs.breaker.word()),
            effective: inputs.effective().0,
            entry: entry(inputs.admin.word()),
            last_check: None,
            history: VecDeque::new(),
        }
    }

    /// Enters `change`, for `reason`. What follows is entered by [`Self::settle`].
    pub(super) fn enter(&mut self, change: Change, reason: &'static str) {
        let (input, from, to, entry) = match change {
            Change::Admin(state) => {
                let from = std::mem::replace(&mut self.inputs.admin, state);
                (Input::Admin, from.word(), state.word(), &mut self.admin)
            }
            Change::Health(state) => {
                let from = std::mem::replace(&mut self.inputs.health, state);
                (Input::Health, from.word(), state.word(), &mut self.health)
            }
            Change::Breaker(state) => {
                let from = std::mem::replace(&mut self.inputs.breaker, state);
                (Input::Breaker, from.word(), state.word(), &mut self.breaker)
            }
        };
        if from == to {
            if !reason.is_empty() {
                entry.reason = reason;
            }
            return;
        }
        let at = Timestamp::now();
        *entry = Entry { since: at, reason };
        (self.tell)(Transition { at, input, from: from.to_owned(), to: to.to_owned(), reason: reason.to_owned() });
    }

    /// Enters what follows from the inputs, of which one changed for `reason`.
    pub(super) fn settle(&mut self, reason: &'static str) {
        let (state, decides) = self.inputs.effective();
        let reason = match decides {
            Decides::Admin => self.admin.reason,
            Decides::Health if state == EffectiveState::Panic => "all_unhealthy",
            Decides::Health => self.health.reason,
            Decides::Breaker => self.breaker.reason,
            Decides::Nothing => reason,
        };
        let from = std::mem::replace(&mut self.effective, state);
        if from == state {
            if decides != Decides::Nothing {
                self.entry.reason = reason;
            }
            return;
        }
        let at = Timestamp::now();
        self.entry = Entry { since: at, reason };
        let (input, reason) = (Input::Effective, reason.to_owned());
        let transition = Transition { at, input, from: from.word().to_owned(), to: state.word().to_owned(), reason };
        self.history.truncate(REMEMBERED - 1);
        self.history.push_front(transition.clone());
        (self.tell)(transition);
    }

    /// The last transitions of the effective state, the newest first.
    pub(super) fn history(&self) -> Vec<Transition> {
        self.history.iter().cloned().collect()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ledger").field("inputs", &self.inputs).finish_non_exhaustive()
    }
}
