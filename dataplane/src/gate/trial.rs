use std::sync::atomic::{
    AtomicI32, AtomicU64,
    Ordering::{AcqRel, Relaxed},
};

use super::window::{Counts, Outcome};

/// Permits of a round that is over are this far below 0: those given back later lead nowhere.
const OVER: i32 = 1 << 30;
/// Bits of each number in the tally; no more than 1000 calls are permitted.
const BITS: u32 = 21;

/// The trial calls of one stay in half-open.
#[derive(Debug)]
pub(super) struct Trial {
    permitted: u32,
    permits: AtomicI32,
    /// Calls, failed ones and slow ones in one word: exactly one call is the last.
    tally: AtomicU64,
}

impl Trial {
    /// A round in which `permitted` calls pass.
    pub(super) fn new(permitted: u32) -> Self {
        Self { permitted, permits: AtomicI32::new(permitted as i32), tally: AtomicU64::new(0) }
    }

    /// Takes a permit, if there is one.
    pub(super) fn take(&self) -> bool {
        self.permits.fetch_update(AcqRel, Relaxed, |permits| (permits > 0).then(|| permits - 1)).is_ok()
    }

    /// Takes back the permit of a call that says nothing.
    pub(super) fn give_back(&self) {
        self.permits.fetch_add(1, AcqRel);
    }

    /// Lets no further call pass.
    pub(super) fn close(&self) {
        self.permits.fetch_sub(OVER, AcqRel);
    }

    /// Adds a call that ended; answers whether it was the last.
    pub(super) fn end(&self, outcome: Outcome) -> bool {
        let call = 1 | u64::from(outcome.is_failed) << BITS | u64::from(outcome.is_slow) << (2 * BITS);
        counts(self.tally.fetch_add(call, AcqRel) + call).calls == self.permitted
    }

    /// Makes a failure of a call that ended as none.
    pub(super) fn amend(&self) {
        self.tally.fetch_add(1 << BITS, AcqRel);
    }

    /// Calls that may still pass.
    pub(super) fn permits(&self) -> u32 {
        self.permits.load(Relaxed).max(0) as u32
    }

    /// Calls that ended.
    pub(super) fn counts(&self) -> Counts {
        counts(self.tally.load(Relaxed))
    }
}

fn counts(tally: u64) -> Counts {
    let number = |index: u32| (tally >> (index * BITS)) as u32 & ((1 << BITS) - 1);
    Counts { calls: number(0), failed: number(1), slow: number(2) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;

    /// Threads that take permits, give some back and end the others: never more at once than permitted, and one is the last.
    #[test]
    fn no_more_pass_than_permitted_whoever_asks() {
        for permitted in [1, 2, 5, 17] {
            let trial = Trial::new(permitted);
            let [under_way, ended, last] = [0; 3].map(AtomicU32::new);
            std::thread::scope(|scope| {
                for worker in 0..4u32 {
                    let (trial, under_way, ended, last) = (&trial, &under_way, &ended, &last);
                    scope.spawn(move || {
                        for turn in 0..10_000 {
                            if !trial.take() {
                                continue;
                            }
                            let now = under_way.fetch_add(1, SeqCst) + 1;
                            assert!(now <= permitted, "{now} calls of {permitted} permitted");
                            if (turn + worker) % 7 == 0 {
                                ended.fetch_add(1, SeqCst);
                                under_way.fetch_sub(1, SeqCst);
                                let outcome = Outcome { is_failed: turn % 2 == 0, is_slow: false };
                                last.fetch_add(trial.end(outcome).into(), SeqCst);
                            } else {
                                under_way.fetch_sub(1, SeqCst);
                                trial.give_back();
                            }
                        }
                    });
                }
            });
            assert_eq!((ended.load(SeqCst), last.load(SeqCst)), (permitted, 1));
            assert_eq!((trial.permits(), trial.counts().calls), (0, permitted));
        }
    }

    #[test]
    fn a_round_that_is_over_lets_nobody_in() {
        let trial = Trial::new(2);
        assert!(trial.take());
        trial.close();
        trial.give_back();
        assert!(!trial.take() && trial.permits() == 0);
    }
}
