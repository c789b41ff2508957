use std::{
    sync::{
        Mutex, TryLockError,
        atomic::{
            AtomicI64, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use super::{Counts, Outcome};
use crate::instant::Instant;

/// The calls of the last seconds: the one under way, and as many whole ones before it as there are further buckets.
#[derive(Debug)]
pub(in crate::gate) struct TimeWindow {
    begin: Instant,
    /// The second that is under way, from `begin` on.
    second: AtomicU64,
    /// Held for as long as it takes to empty the buckets of seconds that left: once a second. Nobody waits for it.
    turning: Mutex<()>,
    /// By second modulo size.
    buckets: Box<[Bucket]>,
    sum: Bucket,
}

#[derive(Debug, Default)]
struct Bucket {
    calls: AtomicI64,
    bad: AtomicI64,
}

impl TimeWindow {
    pub(super) fn new(span: Duration, now: Instant) -> Self {
        Self {
            begin: now,
            second: AtomicU64::new(0),
            turning: Mutex::default(),
            buckets: (0..span.as_secs().max(1)).map(|_| Bucket::default()).collect(),
            sum: Bucket::default(),
        }
    }

    pub(super) fn record(&self, outcome: Outcome, now: Instant) -> u64 {
        let second = self.turn(now);
        for bucket in [self.bucket(second), &self.sum] {
            bucket.calls.fetch_add(1, Relaxed);
            if outcome.bad() != 0 {
                bucket.bad.fetch_add(outcome.bad(), Relaxed);
            }
        }
        second
    }

    pub(super) fn amend(&self, place: u64, now: Instant) {
        if self.turn(now) - place < self.buckets.len() as u64 {
            self.bucket(place).bad.fetch_add(1, Relaxed);
            self.sum.bad.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn counts(&self, now: Instant) -> Counts {
        self.turn(now);
        Counts::new(self.sum.calls.load(Relaxed), self.sum.bad.load(Relaxed))
    }

    /// Takes away what is too old `now`; answers the second that is under way, which never goes back.
    fn turn(&self, now: Instant) -> u64 {
        let second = now.saturating_duration_since(self.begin).as_secs();
        let known = self.second.load(Acquire);
        if second <= known {
            return known;
        }
        // While another worker does it, calls count to the second before: no worker waits for another.
        let _turning = match self.turning.try_lock() {
            Ok(turning) => turning,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return known,
        };
        let known = self.second.load(Acquire);
        if second <= known {
            return known;
        }
        let size = self.buckets.len() as u64;
        for begun in (known + 1).max((second + 1).saturating_sub(size))..=second {
            let bucket = self.bucket(begun);
            self.sum.calls.fetch_sub(bucket.calls.swap(0, Relaxed), Relaxed);
            self.sum.bad.fetch_sub(bucket.bad.swap(0, Relaxed), Relaxed);
        }
        self.second.store(second, Release);
        second
    }

    fn bucket(&self, second: u64) -> &Bucket {
        &self.buckets[(second % self.buckets.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_who_empties_the_buckets() {
        let begin = Instant::now();
        let window = TimeWindow::new(Duration::from_secs(3), begin);
        let bad = Outcome { is_failed: true, is_slow: false };
        window.record(bad, begin);
        let held = window.turning.lock().unwrap();
        let later = begin + Duration::from_secs(2);
        assert_eq!(window.record(bad, later), 0, "it counts to the second that is known");
        assert_eq!(window.counts(later), Counts { calls: 2, failed: 2, slow: 0 });
        drop(held);
        assert_eq!(window.record(bad, later), 2);
        assert_eq!(window.counts(begin + Duration::from_secs(3)), Counts { calls: 1, failed: 1, slow: 0 });
        assert_eq!(window.counts(begin + Duration::from_secs(5)), Counts::default());
    }
}
