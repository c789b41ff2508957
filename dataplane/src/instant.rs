//! A moment, half as long as the standard library's: comparing two of them, or taking one from the other, is one instruction.

use std::{
    ops::{Add, AddAssign, Sub},
    sync::LazyLock,
    time::{self, Duration},
};

/// Where the process's own count of nanoseconds begins: long before [`BASE`], so that there are moments before it, too.
const FIRST: u64 = 1 << 60;

/// The moment that has the number [`FIRST`].
static BASE: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);

/// A moment of the monotonic clock. A drop-in for [`std::time::Instant`] where requests are concerned, each of which compares and
/// subtracts a dozen of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant {
    /// Nanoseconds, enough for 500 years.
    nanos: u64,
}

impl Instant {
    /// The present one.
    pub(crate) fn now() -> Self {
        let base = *BASE;
        Self { nanos: FIRST + nanos(time::Instant::now().saturating_duration_since(base)) }
    }

    /// Nanoseconds from `earlier` to this one; 0 if that is later.
    pub(crate) fn nanos_since(self, earlier: Self) -> u64 {
        self.nanos.saturating_sub(earlier.nanos)
    }

    /// The time from `earlier` to this one; none if that is later.
    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// The time from this one until now.
    pub(crate) fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// The moment `duration` later, or the last one there is.
    fn add(self, duration: Duration) -> Self {
        Self { nanos: self.nanos.saturating_add(nanos(duration)) }
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// The moment `duration` earlier, or the first one there is.
    fn sub(self, duration: Duration) -> Self {
        Self { nanos: self.nanos.saturating_sub(nanos(duration)) }
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// The same as [`saturating_duration_since`](Self::saturating_duration_since).
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_as_the_standard_librarys_does_and_never_overflows() {
        let (ours, theirs) = (Instant::now(), std::time::Instant::now());
        let between = theirs.elapsed().abs_diff(ours.elapsed());
        assert!(between < Duration::from_secs(10), "{between:?} apart");
        let second = Duration::from_secs(1);
        assert_eq!((ours + second) - ours, second);
        assert_eq!(ours - (ours + second), Duration::ZERO);
        assert!(ours - second < ours && ours < ours + Duration::from_nanos(1));
        assert_eq!(ours + Duration::MAX, ours + Duration::MAX + second);
        assert_eq!((ours - Duration::MAX) - second, ours - Duration::MAX);
    }
}
