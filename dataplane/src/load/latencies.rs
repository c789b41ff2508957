use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// How long one of the two windows is filled.
const WINDOW: Duration = Duration::from_secs(120);
/// Bits of a duration behind its first one that tell buckets apart: a bucket is at most an eighth wide.
const BITS: u32 = 3;
const BUCKETS: usize = (33 - BITS as usize) << BITS;

/// How often which durations were seen in the last minutes: buckets that grow with the durations, twice. One window is filled while
/// the other shows what was before; then that one is emptied and filled.
#[derive(Debug)]
pub(super) struct Latencies {
    /// Which window is filled, counted from the beginning.
    window: AtomicU32,
    counts: [[AtomicU32; BUCKETS]; 2],
}

impl Default for Latencies {
    fn default() -> Self {
        Self { window: AtomicU32::new(0), counts: [const { [const { AtomicU32::new(0) }; BUCKETS] }; 2] }
    }
}

impl Latencies {
    /// Counts a duration that was seen `since` the beginning.
    pub(super) fn add(&self, took: Duration, since: Duration) {
        let window = window(since);
        let was = self.window.load(Ordering::Relaxed);
        // Who adds in this very moment may be lost; these are figures to look at.
        if window > was && self.window.compare_exchange(was, window, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.empty(window);
            if window - was > 1 {
                self.empty(window + 1);
            }
        }
        self.counts[window as usize % 2][bucket(took)].fetch_add(1, Ordering::Relaxed);
    }

    /// The duration that so large a part of all does not exceed, in microseconds, for each of `parts`. None if there were none.
    pub(super) fn quantiles<const N: usize>(&self, parts: [f64; N], since: Duration) -> Option<[u64; N]> {
        let (now, filled) = (window(since), self.window.load(Ordering::Relaxed));
        let shown: &[u32] = match now.saturating_sub(filled) {
            0 => &[filled, filled + 1],
            1 => &[filled],
            _ => &[],
        };
        let mut counts = [0; BUCKETS];
        for window in shown {
            for (count, more) in counts.iter_mut().zip(&self.counts[*window as usize % 2]) {
                *count += u64::from(more.load(Ordering::Relaxed));
            }
        }
        let all: u64 = counts.iter().sum();
        (all > 0).then(|| {
            parts.map(|part| {
                let rank = ((all as f64 * part).ceil() as u64).max(1);
                let mut below = 0;
                let reached = counts.iter().position(|count| {
                    below += count;
                    below >= rank
                });
                middle(reached.unwrap_or(BUCKETS - 1))
            })
        })
    }

    fn empty(&self, window: u32) {
        for count in &self.counts[window as usize % 2] {
            count.store(0, Ordering::Relaxed);
        }
    }
}

fn window(since: Duration) -> u32 {
    (since.as_secs() / WINDOW.as_secs()) as u32
}

/// The bucket of a duration: short ones by the microsecond, longer ones by their first bits; more than an hour in the last.
fn bucket(took: Duration) -> usize {
    let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
    if micros < 1 << BITS {
        return micros as usize;
    }
    let shift = micros.ilog2() - BITS;
    ((shift as usize) << BITS) + (micros >> shift) as usize
}

/// The middle of a bucket, in microseconds.
fn middle(bucket: usize) -> u64 {
    if bucket < 2 << BITS {
        return bucket as u64;
    }
    let shift = (bucket >> BITS) - 1;
    let first = ((bucket & ((1 << BITS) - 1)) | 1 << BITS) as u64;
    (first << shift) + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_is_near_their_middle() {
        for micros in (0..40_000u64).chain([1 << 20, 123_456_789, u64::from(u32::MAX)]) {
            let middle = middle(bucket(Duration::from_micros(micros)));
            assert!(middle.abs_diff(micros) * 16 <= micros, "{micros} is shown as {middle}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn old_durations_go_with_their_window() {
        let latencies = Latencies::default();
        let at = |windows: f64| WINDOW.mul_f64(windows);
        assert_eq!(latencies.quantiles([0.5], at(0.0)), None);
        (0..99).for_each(|_| latencies.add(Duration::from_micros(8), at(0.5)));
        latencies.add(Duration::from_micros(1024), at(0.6));
        assert_eq!(latencies.quantiles([0.5, 0.99, 1.0], at(0.7)), Some([8, 8, 1024 + 64]));
        latencies.add(Duration::from_micros(4), at(1.5));
        assert_eq!(latencies.quantiles([0.001, 0.5], at(1.6)), Some([4, 8]));
        assert_eq!(latencies.quantiles([0.5], at(2.1)), Some([4]));
        assert_eq!(latencies.quantiles([0.5], at(3.1)), None);
        latencies.add(Duration::from_micros(2), at(5.0));
        assert_eq!(latencies.quantiles([1.0], at(5.0)), Some([2]));
    }
}
