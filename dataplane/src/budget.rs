//! How many requests to an upstream may be tried again: a share of those that came lately, and so many a second in any case.
//!
//! Without it, retries would multiply the load of backends that fail because they are overloaded.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
};

use shared::config::RetryBudget;

use crate::instant::Instant;

/// Seconds that a budget looks back, the present one among them.
const WINDOW: u32 = 10;

/// The requests and retries of the last seconds, over all workers. A retry counts from when it is decided on.
#[derive(Debug)]
pub(crate) struct Budget {
    start: Instant,
    /// Per cent of the requests in the upper half, retries a second in the lower.
    settings: AtomicU64,
    requests: [Second; WINDOW as usize],
    retries: [Second; WINDOW as usize],
}

/// A count, and of which second: that in the upper half.
#[derive(Debug, Default)]
struct Second(AtomicU64);

impl Budget {
    /// A budget of which nothing was spent.
    pub(crate) fn new(start: Instant) -> Self {
        let budget = Self {
            start,
            settings: AtomicU64::new(0),
            requests: array::from_fn(|_| Second::default()),
            retries: array::from_fn(|_| Second::default()),
        };
        budget.configure(RetryBudget::default());
        budget
    }

    /// Brings `settings` to act; what was spent stays spent.
    pub(crate) fn configure(&self, settings: RetryBudget) {
        let RetryBudget { percent, min_per_second } = settings;
        self.settings.store(u64::from(percent) << 32 | u64::from(min_per_second), Ordering::Relaxed);
    }

    /// Counts a request that came `now`.
    pub(crate) fn receive(&self, now: Instant) {
        let second = self.second(now);
        let Second(word) = &self.requests[(second % WINDOW) as usize];
        if of_second(word.load(Ordering::Relaxed)) == second {
            word.fetch_add(1, Ordering::Relaxed);
        } else {
            let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| Some(one_more(word, second)));
        }
    }

    /// Takes one retry out of the budget, if there is any left. Exact over all workers.
    pub(crate) fn spend(&self, now: Instant) -> bool {
        let second = self.second(now);
        let Second(word) = &self.retries[(second % WINDOW) as usize];
        // Whoever spends in this second changes this word: nobody spends what another one saw.
        let mut seen = word.load(Ordering::Acquire);
        loop {
            if self.left(second) == 0 {
                return false;
            }
            match word.compare_exchange(seen, one_more(seen, second), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(changed) => seen = changed,
            }
        }
    }

    /// Retries that may begin `now`.
    pub(crate) fn available(&self, now: Instant) -> u64 {
        self.left(self.second(now))
    }

    fn left(&self, second: u32) -> u64 {
        let settings = self.settings.load(Ordering::Relaxed);
        let (percent, min_per_second) = (settings >> 32, settings & u64::from(u32::MAX));
        let sum = |seconds: &[Second]| -> u64 { seconds.iter().map(|count| count.within(second)).sum() };
        let share = sum(&self.requests) * percent / 100;
        (share + min_per_second * u64::from(WINDOW)).saturating_sub(sum(&self.retries))
    }

    /// The second in which `now` lies. Counted from far enough that an empty word is of none that matters.
    fn second(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.start).as_secs() as u32 + WINDOW
    }
}

impl Second {
    /// Its count, if it is one of those up to `second` that matter.
    fn within(&self, second: u32) -> u64 {
        let word = self.0.load(Ordering::Acquire);
        // Another worker may be a second ahead.
        if of_second(word) + WINDOW > second { word & u64::from(u32::MAX) } else { 0 }
    }
}

fn of_second(word: u64) -> u32 {
    (word >> 32) as u32
}

/// The word that counts one more in `second`. One that is of a later second stays that: a worker may be behind.
fn one_more(word: u64, second: u32) -> u64 {
    if of_second(word) >= second { word + 1 } else { u64::from(second) << 32 | 1 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spent(budget: &Budget, now: Instant) -> u64 {
        (0..).find(|_| !budget.spend(now)).unwrap()
    }

    #[test]
    fn a_share_of_the_last_seconds_and_a_floor() {
        let start = Instant::now();
        let budget = Budget::new(start);
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(spent(&budget, at(0)), 30, "the floor of ten seconds");
        assert_eq!(spent(&budget, at(9)), 0);
        assert_eq!(spent(&budget, at(10)), 30, "ten seconds later it is there again");
        (0..1000).for_each(|_| budget.receive(at(11)));
        assert_eq!(budget.available(at(11)), 200);
        assert_eq!(spent(&budget, at(15)), 200);
        assert_eq!(budget.available(at(20)), 30, "the retries of second 10 are over, the requests are not");
        assert_eq!(budget.available(at(21)), 0, "and now the requests are, and the retries of second 15 count");
        budget.configure(RetryBudget { percent: 0, min_per_second: 0 });
        assert_eq!(spent(&budget, at(1000)), 0);
    }

    #[test]
    fn a_rate_below_the_budget_is_never_refused() {
        let start = Instant::now();
        let budget = Budget::new(start);
        for request in 0..100_000u64 {
            let now = start + Duration::from_millis(request);
            budget.receive(now);
            assert!(!request.is_multiple_of(6) || budget.spend(now), "request {request}");
        }
    }

    #[test]
    fn workers_together_spend_no_more_than_there_is() {
        let now = Instant::now();
        let budget = Budget::new(now);
        let made = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for request in 0..20_000u64 {
                        // Some are a second behind.
                        let now = now + Duration::from_secs(5 - request % 2);
                        budget.receive(now);
                        if budget.spend(now) {
                            made.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let made = made.into_inner();
        assert!(made <= 80_000 / 5 + 30, "{made}");
        assert!(made > 80_000 / 5 - 100, "{made}");
    }
}
