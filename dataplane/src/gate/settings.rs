use std::time::Duration;

use shared::config::{self, BreakerOverride, SlidingWindowType};

use super::window::{Counts, Window};
use crate::instant::Instant;

/// What the configuration says of a breaker, ready to act.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) forced: BreakerOverride,
    pub(super) config: config::Breaker,
}

/// Why a breaker opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    FailureRate,
    SlowCallRate,
}

impl Cause {
    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::FailureRate => "failure_rate",
            Self::SlowCallRate => "slow_call_rate",
        }
    }
}

impl Settings {
    /// Whether calls are counted.
    pub(super) fn counts(&self) -> bool {
        self.config.enabled
    }

    /// An empty window of the configured kind.
    pub(super) fn window(&self, now: Instant) -> Window {
        Window::new(self.config.sliding_window_type, self.config.sliding_window_size, now)
    }

    /// Whether a window for these settings is one for `other`, too.
    pub(super) fn has_window_of(&self, other: &Self) -> bool {
        self.config.sliding_window_type == other.config.sliding_window_type
            && self.config.sliding_window_size == other.config.sliding_window_size
    }

    /// Whether an answer with `status`, and maybe with nothing but a status of gRPC, is a failure.
    pub(super) fn is_failure(&self, status: u16, grpc: Option<u8>) -> bool {
        self.config.failure_statuses.iter().any(|range| range.contains(status))
            || grpc.is_some_and(|code| self.config.failure_grpc_statuses.iter().any(|status| status.code() == code))
    }

    /// Whether a call is slow that took so long.
    pub(super) fn is_slow(&self, took: Duration) -> bool {
        took > self.config.slow_call_duration_threshold.duration()
    }

    /// Why a window with `counts` opens the breaker, if it does.
    pub(super) fn opens_at(&self, counts: Counts) -> Option<Cause> {
        if counts.calls < self.minimum() || self.forced == BreakerOverride::ForceClosed {
            return None;
        }
        self.exceeded_by(counts)
    }

    /// Calls from which on a window is judged: one of calls holds no more than its size.
    fn minimum(&self) -> u32 {
        match self.config.sliding_window_type {
            SlidingWindowType::Count => self.config.minimum_number_of_calls.min(self.config.sliding_window_size),
            SlidingWindowType::Time => self.config.minimum_number_of_calls,
        }
    }

    /// Which threshold `counts` reach, however few they are.
    pub(super) fn exceeded_by(&self, counts: Counts) -> Option<Cause> {
        let reaches =
            |bad: u32, threshold: u8| bad > 0 && u64::from(bad) * 100 >= u64::from(threshold) * u64::from(counts.calls);
        if reaches(counts.failed, self.config.failure_rate_threshold) {
            Some(Cause::FailureRate)
        } else if reaches(counts.slow, self.config.slow_call_rate_threshold) {
            Some(Cause::SlowCallRate)
        } else {
            None
        }
    }

    /// Failed and slow calls of a window in per cent, once it holds enough calls to be judged.
    pub(super) fn rates(&self, counts: Counts) -> Option<(f64, f64)> {
        let rate = |bad: u32| f64::from(bad) * 100.0 / f64::from(counts.calls);
        (counts.calls >= self.minimum() && counts.calls > 0).then(|| (rate(counts.failed), rate(counts.slow)))
    }

    /// How long a breaker stays open that opened so often in a row.
    pub(super) fn wait(&self, openings: u32) -> Duration {
        let first = self.config.wait_duration_in_open_state.duration();
        let longest = self.config.max_wait_duration_in_open_state.duration().max(first);
        let grown = self.config.wait_backoff_factor.powi(openings.saturating_sub(1).min(1000) as i32);
        // Not a number, infinite or too large: the longest.
        Duration::try_from_secs_f64(first.as_secs_f64() * grown).map_or(longest, |wait| wait.min(longest))
    }

    /// Trial calls.
    pub(super) fn permitted(&self) -> u32 {
        self.config.permitted_number_of_calls_in_half_open_state
    }

    /// How long half-open may last; none without end.
    pub(super) fn half_open_limit(&self) -> Option<Duration> {
        let limit = self.config.max_wait_duration_in_half_open_state;
        (!limit.is_zero()).then(|| limit.duration())
    }
}

#[cfg(test)]
mod tests {
    use shared::value::TimeSpan;

    use super::*;

    fn settings(change: impl FnOnce(&mut config::Breaker)) -> Settings {
        let mut config = config::Breaker::default();
        change(&mut config);
        Settings { forced: BreakerOverride::Auto, config }
    }

    #[test]
    fn the_wait_grows_up_to_its_cap() {
        let wait = |factor: f64, first: u64, longest: u64, openings: u32| {
            settings(|config| {
                config.wait_backoff_factor = factor;
                config.wait_duration_in_open_state = TimeSpan::from_secs(first);
                config.max_wait_duration_in_open_state = TimeSpan::from_secs(longest);
            })
            .wait(openings)
            .as_secs_f64()
        };
        for (factor, first, longest, openings, expected) in [
            (2.0, 10, 60, 1, 10.0),
            (2.0, 10, 60, 2, 20.0),
            (2.0, 10, 60, 3, 40.0),
            (2.0, 10, 60, 4, 60.0),
            (1.5, 2, 60, 3, 4.5),
            (1.0, 10, 60, 99, 10.0),
            (10.0, 10, 60, u32::MAX, 60.0),
            (2.0, 90, 60, 1, 90.0),
            (2.0, 90, 60, 5, 90.0),
        ] {
            let found = wait(factor, first, longest, openings);
            assert!((found - expected).abs() < 1e-9, "{factor} {first} {longest} {openings}: {found}");
        }
    }

    #[test]
    fn statuses_of_http_and_of_grpc_are_failures_each_by_itself() {
        let usual = settings(|_| {});
        let own = settings(|config| {
            config.failure_statuses = vec!["500".parse().unwrap()];
            config.failure_grpc_statuses = vec!["internal".parse().unwrap(), "data_loss".parse().unwrap()];
        });
        for (status, grpc, is_usual, is_own) in [
            (200, None, false, false),
            (500, None, false, true),
            (503, None, true, false),
            (200, Some(14), true, false),
            (200, Some(13), false, true),
            (200, Some(15), false, true),
            (200, Some(5), false, false),
            (200, Some(255), false, false),
            (503, Some(5), true, false),
        ] {
            let found = (usual.is_failure(status, grpc), own.is_failure(status, grpc));
            assert_eq!(found, (is_usual, is_own), "{status} {grpc:?}");
        }
    }

    #[test]
    fn rates_are_judged_from_the_minimum_on_and_at_the_threshold() {
        let settings = |minimum: u32, kind: SlidingWindowType| {
            settings(|config| {
                config.sliding_window_type = kind;
                config.sliding_window_size = 10;
                config.minimum_number_of_calls = minimum;
                config.slow_call_rate_threshold = 80;
            })
        };
        use SlidingWindowType::{Count, Time};
        for (minimum, kind, calls, failed, slow, opens) in [
            (4, Count, 4, 2, 0, Some(Cause::FailureRate)),
            (4, Count, 4, 1, 0, None),
            (4, Count, 3, 3, 3, None),
            (4, Count, 5, 2, 4, Some(Cause::SlowCallRate)),
            (4, Count, 5, 3, 4, Some(Cause::FailureRate)),
            (4, Count, 5, 0, 3, None),
            // A window of calls cannot hold more than its size: the minimum is at most that.
            (50, Count, 10, 5, 0, Some(Cause::FailureRate)),
            (50, Time, 10, 5, 0, None),
            (50, Time, 50, 25, 0, Some(Cause::FailureRate)),
            (1, Count, 1, 0, 0, None),
        ] {
            let found = settings(minimum, kind).opens_at(Counts { calls, failed, slow });
            assert_eq!(found, opens, "{minimum} {kind:?} {calls} {failed} {slow}");
        }
    }
}
