use std::{sync::Arc, time::Duration};

use shared::{
    config::{self, BreakerOverride},
    status::{BreakerState, BreakerStatus},
    value::Timestamp,
};

use super::{
    ledger::Entry,
    phase::{Phase, Stay},
    settings::Settings,
    trial::Trial,
    window::Counts,
};
use crate::instant::Instant;

/// The side of a breaker that only its transitions need.
#[derive(Debug)]
pub(super) struct Breaker {
    phase: Phase,
    /// When the stay began.
    since: Instant,
    /// How often it opened without having stayed closed for longer than it was open last.
    openings: u32,
    /// How long it was to stay open last.
    last_wait: Duration,
}

/// A change of the breaker: the stay that is now, and why; nothing if the reason is as before.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) phase: Phase,
    pub(super) reason: &'static str,
}

impl Breaker {
    /// A closed breaker, and its first stay.
    pub(super) fn new(settings: Settings, now: Instant) -> (Self, Phase) {
        let window = Arc::new(settings.window(now));
        let phase = Phase { epoch: 0, settings: Arc::new(settings), stay: Stay::Closed(window) };
        (Self { phase: phase.clone(), since: now, openings: 0, last_wait: Duration::ZERO }, phase)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.phase.epoch
    }

    pub(super) fn state(&self) -> BreakerState {
        self.phase.state()
    }

    /// Whether calls are counted.
    pub(super) fn counts(&self) -> bool {
        self.phase.settings.counts()
    }

    /// Opens, unless the stay `epoch` is over.
    pub(super) fn open(&mut self, epoch: u64, reason: &'static str, now: Instant) -> Option<Change> {
        if self.phase.epoch != epoch || self.state() == BreakerState::Open {
            return None;
        }
        let closed_for = now.saturating_duration_since(self.since);
        if self.state() == BreakerState::Closed && closed_for > self.last_wait {
            self.openings = 0;
        }
        self.openings = self.openings.saturating_add(1);
        self.last_wait = self.phase.settings.wait(self.openings);
        Some(self.stay(Stay::Open(Some(now + self.last_wait)), reason, now))
    }

    /// Acts on what the trial calls of the stay `epoch` were like, all of which ended.
    pub(super) fn judge_trial(&mut self, epoch: u64, now: Instant) -> Option<Change> {
        let Stay::HalfOpen(trial, _) = &self.phase.stay else { return None };
        if self.phase.epoch != epoch {
            return None;
        }
        match self.phase.settings.exceeded_by(trial.counts()) {
            Some(cause) => self.open(epoch, cause.word(), now),
            None => Some(self.close("trial_calls_passed", now)),
        }
    }

    /// Ends a stay whose time is over.
    pub(super) fn tick(&mut self, now: Instant) -> Option<Change> {
        if !self.phase.is_over(now) {
            return None;
        }
        match self.state() {
            BreakerState::Closed => None,
            BreakerState::Open => Some(self.half_open("wait_over", now)),
            BreakerState::HalfOpen => self.open(self.phase.epoch, "half_open_too_long", now),
        }
    }

    /// Begins anew, closed.
    pub(super) fn reset(&mut self, now: Instant) -> Option<Change> {
        if self.phase.settings.forced == BreakerOverride::ForceOpen {
            return None;
        }
        self.openings = 0;
        self.last_wait = Duration::ZERO;
        Some(self.close("reset", now))
    }

    /// Takes changed settings; resets what they define, and nothing else.
    pub(super) fn configure(
        &mut self,
        config: &config::Breaker,
        forced: BreakerOverride,
        now: Instant,
    ) -> Option<Change> {
        let old = Arc::clone(&self.phase.settings);
        if old.forced == forced && old.config == *config {
            return None;
        }
        let settings = Arc::new(Settings { forced, config: config.clone() });
        self.phase.settings = Arc::clone(&settings);
        if old.forced != forced || old.config.enabled != config.enabled {
            self.openings = 0;
            self.last_wait = Duration::ZERO;
            return Some(match forced {
                BreakerOverride::ForceOpen => self.stay(Stay::Open(None), "forced_open", now),
                BreakerOverride::ForceClosed => self.close("forced_closed", now),
                BreakerOverride::Auto if old.forced != forced => self.close("no_longer_forced", now),
                BreakerOverride::Auto if config.enabled => self.close("switched_on", now),
                BreakerOverride::Auto => self.close("switched_off", now),
            });
        }
        let since = self.since;
        match &mut self.phase.stay {
            Stay::Closed(_) if settings.has_window_of(&old) => {}
            Stay::Closed(_) => return Some(self.close("", now)),
            Stay::Open(None) => {}
            Stay::Open(until) => {
                self.last_wait = settings.wait(self.openings);
                *until = Some(since + self.last_wait);
            }
            Stay::HalfOpen(..) if settings.permitted() != old.permitted() => {
                return Some(self.half_open("", now));
            }
            Stay::HalfOpen(_, until) => *until = settings.half_open_limit().map(|limit| since + limit),
        }
        Some(Change { phase: self.phase.clone(), reason: "" })
    }

    /// What it shows `now`, being in its state as `entry` says.
    pub(super) fn status(&self, entry: Entry, now: Instant) -> BreakerStatus {
        let (counts, permits, until) = match &self.phase.stay {
            Stay::Closed(window) => (window.counts(now), 0, None),
            Stay::Open(until) => (Counts::default(), 0, *until),
            Stay::HalfOpen(trial, _) => (trial.counts(), trial.permits(), None),
        };
        let rates = match self.phase.stay {
            Stay::Closed(_) => self.phase.settings.rates(counts),
            _ => None,
        };
        BreakerStatus {
            state: self.state(),
            since: entry.since,
            reason: entry.reason.to_owned(),
            open_until: until.and_then(|until| {
                let left = i64::try_from(until.saturating_duration_since(now).as_millis()).ok()?;
                Timestamp::from_millis(Timestamp::now().as_millis().checked_add(left)?)
            }),
            forced: match self.phase.settings.forced {
                BreakerOverride::Auto => None,
                BreakerOverride::ForceOpen => Some("force_open".to_owned()),
                BreakerOverride::ForceClosed => Some("force_closed".to_owned()),
            },
            calls: counts.calls,
            failed: counts.failed,
            slow: counts.slow,
            failure_rate: rates.map(|(failed, _)| failed),
            slow_call_rate: rates.map(|(_, slow)| slow),
            permits,
            consecutive_openings: self.openings,
        }
    }

    fn close(&mut self, reason: &'static str, now: Instant) -> Change {
        let window = Arc::new(self.phase.settings.window(now));
        self.stay(Stay::Closed(window), reason, now)
    }

    fn half_open(&mut self, reason: &'static str, now: Instant) -> Change {
        let settings = &self.phase.settings;
        let until = settings.half_open_limit().map(|limit| now + limit);
        self.stay(Stay::HalfOpen(Arc::new(Trial::new(settings.permitted())), until), reason, now)
    }

    /// Begins another stay; calls of the last one count nowhere any more.
    fn stay(&mut self, stay: Stay, reason: &'static str, now: Instant) -> Change {
        if let Stay::HalfOpen(trial, _) = &self.phase.stay {
            trial.close();
        }
        self.phase.epoch += 1;
        self.phase.stay = stay;
        self.since = now;
        Change { phase: self.phase.clone(), reason }
    }
}
