use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use shared::{config::FirstState, status::Health};

use super::probe::{Configured, Plan};
use crate::instant::Instant;

/// What is known of one endpoint's health, and when it is checked next.
#[derive(Debug, Default)]
pub(crate) struct Record {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    plan: Option<Arc<Plan>>,
    /// Of what is checked: how a check of an earlier one ends says nothing.
    round: u64,
    health: Health,
    reason: &'static str,
    passed: u32,
    failed: u32,
    due: Option<Instant>,
    is_under_way: bool,
    /// Whether the endpoint belongs to those that panic is judged by.
    is_counted: bool,
    has_changed: bool,
}

/// An endpoint's health, as its gate and its upstream see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) health: Health,
    pub(super) reason: &'static str,
    pub(super) assumes_health: bool,
    pub(super) may_panic: bool,
    pub(super) is_counted: bool,
}

impl View {
    pub(super) fn is_unhealthy(&self) -> bool {
        self.health == Health::Unhealthy
    }
}

impl Record {
    /// Brings a changed plan to act: keeps what it does not define. `takes` is whether the endpoint takes requests when it is healthy.
    /// Answers whether anything changed.
    pub(crate) fn configure(&self, configured: Option<Configured<'_>>, takes: bool, now: Instant) -> bool {
        let mut inner = self.lock();
        let was_counted = std::mem::replace(&mut inner.is_counted, takes);
        let is_same = match (&inner.plan, configured) {
            (Some(plan), Some(configured)) => plan.is_of(configured),
            (None, None) => true,
            _ => false,
        };
        if is_same {
            inner.has_changed |= was_counted != takes;
            return was_counted != takes;
        }
        let plan = configured.map(|configured| Arc::new(Plan::new(configured)));
        match (inner.plan.take(), &plan) {
            (Some(old), Some(new)) if old.checks_as(new) => {
                let soon = now + new.interval(inner.health);
                inner.due = inner.due.map(|due| due.min(soon));
            }
            (old, Some(new)) => {
                if old.is_none() {
                    inner.health = Health::Pending;
                    inner.reason = match new.config.first_state {
                        FirstState::AssumeHealthy => "assumed_healthy",
                        FirstState::ProbeFirst => "first_check_due",
                    };
                }
                inner.round += 1;
                (inner.passed, inner.failed, inner.is_under_way) = (0, 0, false);
                inner.due = Some(now + new.first_wait());
            }
            (_, None) => {
                inner.round += 1;
                (inner.passed, inner.failed, inner.is_under_way) = (0, 0, false);
                (inner.health, inner.reason, inner.due) = (Health::Unchecked, "not_checked", None);
            }
        }
        inner.plan = plan;
        inner.has_changed = true;
        true
    }

    /// The check that is due `now`, and its round: from then on it is under way.
    pub(super) fn take_due(&self, now: Instant) -> Option<(Arc<Plan>, u64)> {
        let mut inner = self.lock();
        let plan = inner.plan.clone()?;
        if inner.is_under_way || inner.due.is_none_or(|due| due > now) {
            return None;
        }
        inner.is_under_way = true;
        inner.due = Some(now + plan.interval(inner.health));
        Some((plan, inner.round))
    }

    /// Whether something of it changed that its upstream must hear of, since this was asked last.
    pub(super) fn take_changed(&self) -> bool {
        std::mem::take(&mut self.lock().has_changed)
    }

    /// Notes how a check of `round` ended; answers whether the health changed by it, nothing if it says nothing any more.
    pub(super) fn ended(&self, round: u64, passed: bool, now: Instant) -> Option<bool> {
        let mut inner = self.lock();
        if inner.round != round {
            return None;
        }
        let plan = inner.plan.clone()?;
        inner.is_under_way = false;
        if passed {
            (inner.passed, inner.failed) = (inner.passed.saturating_add(1), 0);
        } else {
            (inner.passed, inner.failed) = (0, inner.failed.saturating_add(1));
        }
        let decides_at_once = plan.config.first_state == FirstState::ProbeFirst;
        let health = match (inner.health, passed) {
            (Health::Pending, true) => Health::Healthy,
            (Health::Unhealthy, true) if inner.passed >= plan.config.rise => Health::Healthy,
            (Health::Pending, false) if decides_at_once => Health::Unhealthy,
            (Health::Pending | Health::Healthy, false) if inner.failed >= plan.config.fall => Health::Unhealthy,
            (health, _) => health,
        };
        let has_changed = health != inner.health;
        inner.health = health;
        if has_changed {
            inner.reason = if passed { "checks_passed" } else { "checks_failed" };
            let soon = now + plan.interval(health);
            inner.due = inner.due.map(|due| due.min(soon));
        }
        Some(has_changed)
    }

    /// What its gate and its upstream see.
    pub(super) fn view(&self) -> View {
        let inner = self.lock();
        let config = inner.plan.as_ref().map(|plan| &plan.config);
        View {
            health: inner.health,
            reason: inner.reason,
            assumes_health: config.is_none_or(|config| config.first_state == FirstState::AssumeHealthy),
            may_panic: config.is_some_and(|config| config.panic),
            is_counted: inner.is_counted && config.is_some(),
        }
    }

    /// The health, whether it is assumed, and why.
    pub(crate) fn state(&self) -> (Health, bool, &'static str) {
        let view = self.view();
        (view.health, view.assumes_health, view.reason)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    /// From one check to the next of an endpoint with this health.
    pub(super) fn interval(&self, health: Health) -> Duration {
        let usual = self.config.interval.duration();
        let interval = match health {
            Health::Unhealthy => usual.min(self.config.interval_down.duration()),
            _ => usual,
        };
        // From -1 to 1.
        let random = f64::from(u16::from_le_bytes(shared::seal::random())) / f64::from(u16::MAX) * 2.0 - 1.0;
        interval.mul_f64(1.0 + random * f64::from(self.config.jitter) / 100.0)
    }

    /// How long until the first check: at once if it is waited for, else up to a second, so that not all come at one moment.
    fn first_wait(&self) -> Duration {
        match self.config.first_state {
            FirstState::ProbeFirst => Duration::ZERO,
            FirstState::AssumeHealthy => {
                let longest = self.config.interval.duration().min(Duration::from_secs(1));
                longest.mul_f64(f64::from(u16::from_le_bytes(shared::seal::random())) / f64::from(u16::MAX))
            }
        }
    }
}
