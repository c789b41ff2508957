//! Which calls a closed breaker is judged by.
//!
//! Recording is a handful of atomic operations and no lock, and what is counted is exact: every call is added once and taken away
//! once, whichever workers do it.

mod count;
mod time;

use std::time::Duration;

use shared::config::SlidingWindowType;

use count::CountWindow;
use time::TimeWindow;

use crate::instant::Instant;

/// How a call ended, as far as it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) is_failed: bool,
    pub(super) is_slow: bool,
}

/// The calls of a window or of a round of trial calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

/// A sliding window.
#[derive(Debug)]
pub(super) enum Window {
    Count(CountWindow),
    Time(TimeWindow),
}

impl Window {
    /// An empty window that begins `now`.
    pub(super) fn new(kind: SlidingWindowType, size: u32, now: Instant) -> Self {
        match kind {
            SlidingWindowType::Count => Self::Count(CountWindow::new(size)),
            SlidingWindowType::Time => Self::Time(TimeWindow::new(Duration::from_secs(size.into()), now)),
        }
    }

    /// Adds a call that ended `now`; answers its place in the window.
    pub(super) fn record(&self, outcome: Outcome, now: Instant) -> u64 {
        match self {
            Self::Count(window) => window.record(outcome),
            Self::Time(window) => window.record(outcome, now),
        }
    }

    /// Makes a failure of the call at `place`, which was none, unless it has left the window.
    pub(super) fn amend(&self, place: u64, now: Instant) {
        match self {
            Self::Count(window) => window.amend(place),
            Self::Time(window) => window.amend(place, now),
        }
    }

    /// What is in the window `now`.
    pub(super) fn counts(&self, now: Instant) -> Counts {
        match self {
            Self::Count(window) => window.counts(),
            Self::Time(window) => window.counts(now),
        }
    }
}

/// Failed and slow calls in one word: changes of both are one atomic addition. While workers are between two steps a number may
/// be a little below 0, hence the signs.
const SLOW: i64 = 1 << 32;

impl Outcome {
    const fn bad(self) -> i64 {
        self.is_failed as i64 + self.is_slow as i64 * SLOW
    }
}

impl Counts {
    /// Of `calls` and the word of bad ones.
    fn new(calls: i64, bad: i64) -> Self {
        let failed = bad as i32;
        let slow = ((bad - i64::from(failed)) >> 32) as i32;
        let calls = u32::try_from(calls.max(0)).unwrap_or(u32::MAX);
        Self { calls, failed: (failed.max(0) as u32).min(calls), slow: (slow.max(0) as u32).min(calls) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_below_zero_do_not_spill_over() {
        for (failed, slow) in [(0i64, 0i64), (3, 5), (-1, 5), (3, -1), (-2, -2)] {
            let counts = Counts::new(10, failed + slow * SLOW);
            assert_eq!(
                (counts.failed, counts.slow),
                (failed.max(0) as u32, slow.max(0) as u32),
                "{failed} failed, {slow} slow"
            );
        }
    }

    /// What threads record at once adds up, and what leaves the window is taken away.
    #[test]
    fn nothing_is_lost_between_workers() {
        let begin = Instant::now();
        let bad = Outcome { is_failed: true, is_slow: true };
        let good = Outcome { is_failed: false, is_slow: false };
        for kind in [SlidingWindowType::Count, SlidingWindowType::Time] {
            let window = Window::new(kind, 64, begin);
            std::thread::scope(|scope| {
                for worker in 0..4u64 {
                    let window = &window;
                    scope.spawn(move || {
                        for call in 0..20_000u64 {
                            let now = begin + Duration::from_millis(call);
                            let outcome = if (call + worker) % 3 == 0 { bad } else { good };
                            let place = window.record(outcome, now);
                            if outcome == good && call % 5 == 0 {
                                window.amend(place, now);
                            }
                        }
                    });
                }
            });
            let later = begin + Duration::from_secs(10_000);
            (0..64).for_each(|_| _ = window.record(good, later));
            assert_eq!(window.counts(later), Counts { calls: 64, failed: 0, slow: 0 }, "{kind:?}");
        }
    }
}
