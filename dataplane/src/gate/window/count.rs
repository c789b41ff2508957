use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed};

use super::{Counts, Outcome};

const FAILED: u8 = 1;
const SLOW: u8 = 2;

/// The last calls.
#[derive(Debug)]
pub(in crate::gate) struct CountWindow {
    /// The place of the next call: how many there were.
    next: AtomicU64,
    /// How each ended, by place modulo size. A new call takes away what lies there.
    slots: Box<[AtomicU8]>,
    bad: AtomicI64,
}

impl CountWindow {
    pub(super) fn new(size: u32) -> Self {
        let slots = (0..size.max(1)).map(|_| AtomicU8::new(0)).collect();
        Self { next: AtomicU64::new(0), slots, bad: AtomicI64::new(0) }
    }

    pub(super) fn record(&self, outcome: Outcome) -> u64 {
        let place = self.next.fetch_add(1, Relaxed);
        let bits = outcome.is_failed as u8 * FAILED + outcome.is_slow as u8 * SLOW;
        // In one step: whoever takes a call out of its slot, and nobody else, takes it out of the sum.
        let left = self.slot(place).swap(bits, Relaxed);
        let left = Outcome { is_failed: left & FAILED != 0, is_slow: left & SLOW != 0 };
        let change = outcome.bad() - left.bad();
        if change != 0 {
            self.bad.fetch_add(change, Relaxed);
        }
        place
    }

    pub(super) fn amend(&self, place: u64) {
        if self.next.load(Relaxed) - place > self.slots.len() as u64 {
            return;
        }
        let was = self.slot(place).fetch_or(FAILED, Relaxed);
        if was & FAILED == 0 {
            self.bad.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let calls = self.next.load(Relaxed).min(self.slots.len() as u64);
        Counts::new(calls as i64, self.bad.load(Relaxed))
    }

    fn slot(&self, place: u64) -> &AtomicU8 {
        &self.slots[(place % self.slots.len() as u64) as usize]
    }
}
