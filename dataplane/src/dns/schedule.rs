use std::time::Duration;

use shared::config;

/// The longest pause after failures, unless answers may hold longer than that at least.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// When a name is asked for again.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    floor: Duration,
    ceiling: Duration,
    /// Failures since the last answer.
    failures: u32,
}

impl Schedule {
    /// The schedule of `config`, without failures.
    pub(crate) fn new(config: &config::Dns) -> Self {
        Self { floor: config.min_ttl.duration(), ceiling: config.max_ttl.duration(), failures: 0 }
    }

    /// Takes over the times of `config`.
    pub(crate) fn configure(&mut self, config: &config::Dns) {
        *self = Self { failures: self.failures, ..Self::new(config) };
    }

    /// After an answer that holds for `ttl`: that, within floor and ceiling, and up to a tenth less, but not below the floor, so that
    /// names which were asked for together do not stay together.
    pub(crate) fn after_answer(&mut self, ttl: Duration, chance: u64) -> Duration {
        self.failures = 0;
        let pause = ttl.clamp(self.floor, self.ceiling);
        (pause - share(pause / 10, chance)).max(self.floor)
    }

    /// After a failure: the floor, doubled with every further one up to half a minute, and up to a tenth more.
    pub(crate) fn after_failure(&mut self, chance: u64) -> Duration {
        let doubled = self.floor.saturating_mul(1 << self.failures.min(16));
        let pause = doubled.min(LONGEST_PAUSE.max(self.floor));
        self.failures = self.failures.saturating_add(1);
        pause + share(pause / 10, chance)
    }
}

/// A part of `whole` by `chance`, which is spread evenly.
fn share(whole: Duration, chance: u64) -> Duration {
    whole.mul_f64((chance >> 11) as f64 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(min: &str, max: &str) -> Schedule {
        Schedule::new(&config::Dns {
            min_ttl: min.parse().unwrap(),
            max_ttl: max.parse().unwrap(),
            ..config::Dns::default()
        })
    }

    #[test]
    fn an_answer_holds_within_floor_and_ceiling() {
        let mut schedule = schedule("5s", "60s");
        for (ttl, expected) in [(0, 5), (1, 5), (5, 5), (30, 30), (60, 60), (86_400, 60)] {
            assert_eq!(schedule.after_answer(Duration::from_secs(ttl), 0), Duration::from_secs(expected), "{ttl}");
        }
    }

    #[test]
    fn jitter_asks_a_little_earlier_but_never_below_the_floor() {
        let mut schedule = schedule("5s", "60s");
        let earliest = schedule.after_answer(Duration::from_secs(40), u64::MAX);
        assert!(earliest >= Duration::from_secs(36) && earliest < Duration::from_secs(37), "{earliest:?}");
        assert_eq!(schedule.after_answer(Duration::from_secs(1), u64::MAX), Duration::from_secs(5));
    }

    #[test]
    fn failures_back_off_until_the_next_answer() {
        let mut schedule = schedule("5s", "60s");
        let pauses = [(); 6].map(|()| schedule.after_failure(0).as_secs());
        assert_eq!(pauses, [5, 10, 20, 30, 30, 30]);
        assert!(schedule.after_failure(u64::MAX) <= Duration::from_secs(33));
        schedule.after_answer(Duration::from_secs(5), 0);
        assert_eq!(schedule.after_failure(0), Duration::from_secs(5));
    }

    #[test]
    fn a_floor_above_the_longest_pause_holds_for_failures_too() {
        let mut schedule = schedule("10m", "1h");
        assert_eq!([(); 2].map(|()| schedule.after_failure(0).as_secs()), [600, 600]);
    }

    #[test]
    fn changed_times_keep_the_count_of_failures() {
        let mut schedule = schedule("5s", "60s");
        schedule.after_failure(0);
        schedule.configure(&config::Dns { min_ttl: "1s".parse().unwrap(), ..config::Dns::default() });
        assert_eq!(schedule.after_failure(0), Duration::from_secs(2));
    }
}
