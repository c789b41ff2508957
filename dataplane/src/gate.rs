//! Whether an endpoint may be used: its admin state, its health and its breaker, and the one effective state that follows.
//!
//! A try [`enters`](Gate::enter) an endpoint's gate and leaves it with a verdict or without one. What a gate lets through is one
//! word: a try at an endpoint in order reads it and adds its end to the breaker's window, and takes no lock. Whatever changes a
//! state takes the gate's lock, sets the word, and tells of the transition. Moments are passed in, so that tests decide what time
//! it is.

mod breaker;
mod ledger;
mod phase;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod trial;
mod window;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use shared::{
    config::{self, BreakerOverride},
    status::{AdminState, BreakerState, BreakerStatus, CheckStatus, EffectiveState, Health, HealthStatus, Transition},
    value::Timestamp,
};

pub(crate) use ledger::Tell;

use breaker::Breaker;
use ledger::{Change, Ledger};
use phase::{Phase, Stay};
use settings::Settings;
use state::Inputs;
use window::{Counts, Outcome};

use crate::instant::Instant;

/// The gate of one endpoint. Shared by all workers; no lock on the request path.
#[derive(Debug)]
pub(crate) struct Gate {
    /// What passes: the number of the breaker's stay, and a [`Mode`].
    word: AtomicU64,
    phase: ArcSwap<Phase>,
    machine: Mutex<Machine>,
    /// The effective state, for metrics.
    effective: AtomicU8,
    begin: Instant,
    /// Microseconds from `begin` on; 0 for never.
    recovered: AtomicU64,
}

/// What changes only with the lock held.
#[derive(Debug)]
struct Machine {
    ledger: Ledger,
    breaker: Breaker,
}

/// What a try was let in with. Given back by [`Gate::judge`] or [`Gate::leave`].
#[derive(Debug)]
pub(crate) struct Pass {
    word: u64,
}

/// A call that was counted as a success. It may still become a failure, by [`Gate::amend`].
#[derive(Debug)]
pub(crate) struct Answered {
    epoch: u64,
    /// Its place in the window.
    place: u64,
}

/// How a try went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The backend answered.
    Success,
    /// It did not, not in time, or with a status that counts as a failure.
    Failure,
}

/// Why nothing new goes to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barred {
    /// By its admin state or its health.
    Unavailable,
    /// By its breaker, for so long yet.
    Breaker(Duration),
}

/// What a gate shows of itself.
#[derive(Debug)]
pub(crate) struct GateStatus {
    /// What follows from the three inputs.
    pub(crate) state: EffectiveState,
    /// Why, in one word.
    pub(crate) reason: String,
    /// Since when.
    pub(crate) since: Timestamp,
    /// What the operator wants.
    pub(crate) admin: AdminState,
    /// Since when.
    pub(crate) admin_since: Timestamp,
    /// What checks say.
    pub(crate) health: HealthStatus,
    /// What the breaker says.
    pub(crate) breaker: BreakerStatus,
    /// The last transitions, the newest first; at most 8.
    pub(crate) transitions: Vec<Transition>,
}

/// How tries are let in; the lowest bits of a gate's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// All, and they are counted.
    Counted = 0,
    /// All.
    Free = 1,
    /// As the breaker's stay says.
    Narrow = 2,
    /// None.
    Shut = 3,
}

const MODE_BITS: u32 = 2;

impl Mode {
    const fn with(self, epoch: u64) -> u64 {
        epoch << MODE_BITS | self as u64
    }

    const fn is_of(self, word: u64) -> bool {
        word & ((1 << MODE_BITS) - 1) == self as u64
    }
}

impl Gate {
    /// A gate that is open, of an endpoint that is not checked, whose transitions `tell` hears.
    pub(crate) fn new(now: Instant, tell: Tell) -> Self {
        let settings = Settings { forced: BreakerOverride::Auto, config: config::Breaker::default() };
        let (breaker, phase) = Breaker::new(settings, now);
        let inputs = Inputs {
            admin: AdminState::Active,
            health: Health::Unchecked,
            assumes_health: true,
            panics: false,
            breaker: BreakerState::Closed,
            forced: BreakerOverride::Auto,
        };
        Self {
            word: AtomicU64::new(Mode::Counted.with(phase.epoch)),
            phase: ArcSwap::from_pointee(phase),
            machine: Mutex::new(Machine { ledger: Ledger::new(inputs, tell), breaker }),
            effective: AtomicU8::new(EffectiveState::Serving as u8),
            begin: now,
            recovered: AtomicU64::new(0),
        }
    }

    /// Lets a try in that begins `now`, or says why not.
    ///
    /// A draining endpoint lets in what comes: whoever chooses endpoints gives it nothing but its sessions.
    pub(crate) fn enter(&self, now: Instant) -> Result<Pass, Barred> {
        let word = self.word.load(Relaxed);
        if Mode::Counted.is_of(word) || Mode::Free.is_of(word) {
            return Ok(Pass { word });
        }
        if Mode::Shut.is_of(word) { Err(Barred::Unavailable) } else { self.enter_narrow(now) }
    }

    #[cold]
    fn enter_narrow(&self, now: Instant) -> Result<Pass, Barred> {
        self.tick(now);
        let phase = self.phase.load();
        match &phase.stay {
            // It closed since the word was read.
            Stay::Closed(_) => Ok(Pass { word: Mode::Counted.with(phase.epoch) }),
            Stay::Open(Some(until)) => Err(Barred::Breaker(until.saturating_duration_since(now))),
            Stay::Open(None) => Err(Barred::Breaker(phase.settings.wait(1))),
            Stay::HalfOpen(trial, _) if trial.take() => Ok(Pass { word: Mode::Narrow.with(phase.epoch) }),
            // The trial calls may end at any moment.
            Stay::HalfOpen(..) => Err(Barred::Breaker(Duration::ZERO)),
        }
    }

    /// Whether a try may be expected to be let in: for who compares endpoints before it enters. No promise.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        let word = self.word.load(Relaxed);
        if !Mode::Narrow.is_of(word) {
            return !Mode::Shut.is_of(word);
        }
        let phase = self.phase.load();
        match &phase.stay {
            Stay::Closed(_) => true,
            Stay::Open(_) => phase.is_over(now),
            Stay::HalfOpen(trial, _) => trial.permits() > 0,
        }
    }

    /// When it last began to let all tries in after its health or its breaker had kept them out, if they ever did: slow start
    /// counts from then.
    pub(crate) fn recovered_at(&self) -> Option<Instant> {
        let micros = self.recovered.load(Relaxed);
        (micros > 0).then(|| self.begin + Duration::from_micros(micros))
    }

    /// Takes back `pass` of a try that was answered with `status` and perhaps one of gRPC: what verdict follows from them, and what
    /// [`judge`](Self::judge) answers to it.
    pub(crate) fn judge_answer(
        &self,
        pass: Pass,
        (status, grpc): (u16, Option<u8>),
        took: Duration,
        now: Instant,
    ) -> (Verdict, Option<Answered>) {
        let phase = self.phase.load();
        let verdict = if phase.settings.is_failure(status, grpc) { Verdict::Failure } else { Verdict::Success };
        (verdict, self.judge_in(&phase, pass, verdict, took, now))
    }

    /// Takes back `pass` with what became of its try, which took so long and ended `now`. What was counted as a success is
    /// answered.
    pub(crate) fn judge(&self, pass: Pass, verdict: Verdict, took: Duration, now: Instant) -> Option<Answered> {
        self.judge_in(&self.phase.load(), pass, verdict, took, now)
    }

    fn judge_in(&self, phase: &Phase, pass: Pass, verdict: Verdict, took: Duration, now: Instant) -> Option<Answered> {
        if Mode::Free.is_of(pass.word) {
            return None;
        }
        let epoch = pass.word >> MODE_BITS;
        if phase.epoch != epoch {
            return None;
        }
        let is_failed = verdict == Verdict::Failure;
        let outcome = Outcome { is_failed, is_slow: phase.settings.is_slow(took) };
        let place = match &phase.stay {
            Stay::Closed(window) => {
                let place = window.record(outcome, now);
                self.judge_window(phase, window.counts(now), now);
                place
            }
            Stay::HalfOpen(trial, _) => {
                if trial.end(outcome) {
                    self.change(now, |machine| machine.breaker.judge_trial(epoch, now));
                }
                0
            }
            Stay::Open(_) => return None,
        };
        (!is_failed).then_some(Answered { epoch, place })
    }

    /// Makes a failure of a call whose response did not reach its end. It is the same call: none is added.
    pub(crate) fn amend(&self, answered: Answered, now: Instant) {
        let phase = self.phase.load();
        if phase.epoch != answered.epoch {
            return;
        }
        match &phase.stay {
            Stay::Closed(window) => {
                window.amend(answered.place, now);
                self.judge_window(&phase, window.counts(now), now);
            }
            Stay::HalfOpen(trial, _) => trial.amend(),
            Stay::Open(_) => {}
        }
    }

    /// Takes back `pass` of a try that says nothing about the endpoint.
    pub(crate) fn leave(&self, pass: Pass) {
        if !Mode::Narrow.is_of(pass.word) {
            return;
        }
        let phase = self.phase.load();
        if let Stay::HalfOpen(trial, _) = &phase.stay
            && phase.epoch == pass.word >> MODE_BITS
        {
            trial.give_back();
        }
    }

    fn judge_window(&self, phase: &Phase, counts: Counts, now: Instant) {
        if let Some(cause) = phase.settings.opens_at(counts) {
            self.change(now, |machine| machine.breaker.open(phase.epoch, cause.word(), now));
        }
    }

    /// Makes the transitions that are due `now`. A call that comes makes them, too; this is for endpoints that nobody calls, so
    /// that nothing that is shown lies.
    pub(crate) fn tick(&self, now: Instant) {
        if self.phase.load().is_over(now) {
            self.change(now, |machine| machine.breaker.tick(now));
        }
    }

    /// Brings changed settings to act. What they do not define goes on.
    pub(crate) fn configure(
        &self,
        breaker: &config::Breaker,
        forced: BreakerOverride,
        admin: AdminState,
        now: Instant,
    ) {
        self.change(now, |machine| {
            if machine.ledger.inputs.admin != admin {
                machine.ledger.enter(Change::Admin(admin), admin.word());
                machine.ledger.settle(admin.word());
            }
            machine.breaker.configure(breaker, forced, now)
        });
    }

    /// Brings what checks say to act: the health, whether it is assumed until the first check has ended, and whether endpoints of
    /// the upstream are used though all fail; none leaves that as it is.
    pub(crate) fn set_health(
        &self,
        health: Health,
        assumes_health: bool,
        panics: Option<bool>,
        reason: &'static str,
        now: Instant,
    ) {
        self.change(now, |machine| {
            let ledger = &mut machine.ledger;
            ledger.inputs.assumes_health = assumes_health;
            ledger.inputs.panics = panics.unwrap_or(ledger.inputs.panics);
            ledger.enter(Change::Health(health), reason);
            ledger.settle(reason);
            None
        });
    }

    /// Notes how a check ended, to be shown.
    pub(crate) fn checked(&self, check: CheckStatus) {
        self.lock().ledger.last_check = Some(check);
    }

    /// The effective state, cheaply.
    pub(crate) fn is_in(&self, state: EffectiveState) -> bool {
        self.effective.load(Relaxed) == state as u8
    }

    /// Closes the breaker, as if no call had ever been made. False if it is forced open: then it stays so.
    pub(crate) fn reset(&self, now: Instant) -> bool {
        let mut is_done = false;
        self.change(now, |machine| {
            let change = machine.breaker.reset(now);
            is_done = change.is_some();
            change
        });
        is_done
    }

    /// What it shows.
    pub(crate) fn status(&self, now: Instant) -> GateStatus {
        self.tick(now);
        let machine = self.lock();
        let ledger = &machine.ledger;
        let (admin, health) = (ledger.inputs.admin, ledger.inputs.health);
        GateStatus {
            state: ledger.effective,
            reason: ledger.entry.reason.to_owned(),
            since: ledger.entry.since,
            admin,
            admin_since: ledger.admin.since,
            health: HealthStatus {
                state: health,
                since: ledger.health.since,
                reason: ledger.health.reason.to_owned(),
                last_check: ledger.last_check.clone(),
            },
            breaker: machine.breaker.status(ledger.breaker, now),
            transitions: ledger.history(),
        }
    }

    /// Makes `change`, which answers what the breaker does by it, and brings the machine as it is then to act: the breaker's stay
    /// first, then the word.
    fn change(&self, now: Instant, change: impl FnOnce(&mut Machine) -> Option<breaker::Change>) {
        let mut machine = self.lock();
        let before = machine.ledger.effective;
        let change = change(&mut machine);
        let Machine { ledger, breaker } = &mut *machine;
        if let Some(breaker::Change { phase, reason }) = change {
            let state = phase.state();
            ledger.inputs.forced = phase.settings.forced;
            self.phase.store(Arc::new(phase));
            ledger.enter(Change::Breaker(state), reason);
            ledger.settle(reason);
        }
        let mode = match ledger.effective {
            EffectiveState::Disabled | EffectiveState::Unhealthy => Mode::Shut,
            EffectiveState::BreakerOpen | EffectiveState::Probing => Mode::Narrow,
            _ => match breaker.state() {
                BreakerState::Closed if breaker.counts() => Mode::Counted,
                BreakerState::Closed => Mode::Free,
                BreakerState::Open | BreakerState::HalfOpen => Mode::Narrow,
            },
        };
        self.word.store(mode.with(breaker.epoch()), Relaxed);
        self.effective.store(ledger.effective as u8, Relaxed);
        let was_kept_out =
            matches!(before, EffectiveState::Unhealthy | EffectiveState::BreakerOpen | EffectiveState::Probing);
        let is_let_in = matches!(ledger.effective, EffectiveState::Serving | EffectiveState::Draining);
        if was_kept_out && is_let_in {
            let micros = now.saturating_duration_since(self.begin).as_micros();
            self.recovered.store(u64::try_from(micros).unwrap_or(u64::MAX).max(1), Relaxed);
        }
    }

    /// Keeps everybody from changing a state, while it lives.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> impl Sized {
        self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        // Nothing in here panics half-way through a change.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
