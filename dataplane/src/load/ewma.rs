use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// How long it takes until an old observation weighs a third.
const DECAY: f32 = 10_000.0;
/// How long an estimate stays as it is without observations, in milliseconds. After that it falls, so that whoever was slow once
/// is tried again.
const STALE: u32 = 1_000;

/// What is left of an estimate when it says nothing any more.
const FORGOTTEN: f32 = 0.02;

/// A moving average of durations that follows peaks at once and falls slowly (Finagle's peak EWMA). One word: the estimate in
/// microseconds as the bits of a float, and when it was made in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Ewma(AtomicU64);

impl Ewma {
    /// Adds a duration that was observed `since` the beginning.
    pub(super) fn observe(&self, took: Duration, since: Duration) {
        // 0 stands for nothing known.
        let took = ((took.as_secs_f64() * 1e6) as f32).max(1.0);
        let now = since.as_millis() as u32;
        let next = |word: u64| {
            let (estimate, at) = unpack(word);
            let elapsed = now.wrapping_sub(at);
            // Another thread was ahead in time.
            let elapsed = if elapsed > u32::MAX / 2 { 0 } else { elapsed };
            if took >= estimate {
                return Some(pack(took, now));
            }
            let weight = (-(elapsed.max(1) as f32) / DECAY).exp();
            Some(pack(estimate * weight + took * (1.0 - weight), now))
        };
        // It never gives up.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// The estimate in microseconds `since` the beginning; 0 if nothing is known.
    pub(super) fn read(&self, since: Duration) -> f32 {
        let (estimate, at) = unpack(self.0.load(Ordering::Relaxed));
        let idle = (since.as_millis() as u32).wrapping_sub(at);
        if idle <= STALE || idle > u32::MAX / 2 {
            return estimate;
        }
        let weight = (-((idle - STALE) as f32) / DECAY).exp();
        if weight > FORGOTTEN { estimate * weight } else { 0.0 }
    }
}

fn pack(estimate: f32, at: u32) -> u64 {
    u64::from(estimate.to_bits()) << 32 | u64::from(at)
}

fn unpack(word: u64) -> (f32, u32) {
    (f32::from_bits((word >> 32) as u32), word as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn peaks_count_at_once_and_are_forgotten_slowly() {
        let ewma = Ewma::default();
        assert_eq!(ewma.read(MS), 0.0);
        ewma.observe(10 * MS, MS);
        ewma.observe(100 * MS, 2 * MS);
        assert_eq!(ewma.read(2 * MS), 100_000.0);
        ewma.observe(10 * MS, 1000 * MS);
        assert!((80_000.0..95_000.0).contains(&ewma.read(1000 * MS)), "{}", ewma.read(1000 * MS));
        for second in 2..60 {
            ewma.observe(10 * MS, second * 1000 * MS);
        }
        assert!((10_000.0..11_000.0).contains(&ewma.read(60_000 * MS)));
    }

    #[test]
    fn stale_estimates_fall() {
        let ewma = Ewma::default();
        ewma.observe(100 * MS, MS);
        assert_eq!(ewma.read(1000 * MS), 100_000.0);
        assert!(ewma.read(31_000 * MS) < 6_000.0);
        assert_eq!(ewma.read(3_600_000 * MS), 0.0);
    }
}
