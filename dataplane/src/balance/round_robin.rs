//! Weighted round robin over a precomputed smooth schedule: exact over all workers.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use shared::config;

use super::targets::Target;
use crate::attempt::Attempt;

/// Turns that are taken before all targets are looked at.
const TURNS: usize = 16;

/// Targets in turn: backends by their weights, and within a backend its endpoints by their shares, which mostly are the same.
///
/// The turns of who may not be used fall to the others as if it were not there: the next turn is taken instead of choosing its
/// neighbour, who would get twice its share. A further try of a request goes where chance leads it and takes no turn: else, of two
/// backends, one that fails would get all requests, since each retry took the turn of the other.
#[derive(Debug)]
pub(super) struct RoundRobin {
    schedule: Schedule,
    groups: Box<[Group]>,
}

/// The endpoints of one backend.
#[derive(Debug)]
struct Group {
    first: usize,
    count: usize,
    /// If their shares differ.
    schedule: Option<Schedule>,
    next: AtomicU32,
}

impl RoundRobin {
    /// That of `targets`, of which those of one of the `backends` stand together.
    pub(super) fn new(backends: &[config::Backend], targets: &[Target]) -> Self {
        let mut first = 0;
        let groups = targets.chunk_by(|a, b| a.backend == b.backend).map(|targets| {
            let shares: Vec<u16> = targets.iter().map(|target| target.share).collect();
            let schedule = (shares.iter().any(|share| *share != shares[0])).then(|| Schedule::new(&shares));
            // Anywhere: who is made anew again and again, as addresses change, must not always begin with the same one.
            let next = AtomicU32::new(u32::from_le_bytes(shared::seal::random()));
            let group = Group { first, count: targets.len(), schedule, next };
            first += targets.len();
            (group, backends[usize::from(targets[0].backend)].weight.get())
        });
        let (groups, weights): (Vec<Group>, Vec<u16>) = groups.unzip();
        Self { schedule: Schedule::new(&weights), groups: groups.into() }
    }

    /// The next of `targets` that `enter` lets in, of those that `takes` its turn; `turn` is shared by all workers. With a `chance` it
    /// is one by that, and nobody's turn is taken.
    pub(super) fn pick<'a>(
        &self,
        targets: &'a [Target],
        turn: &AtomicU64,
        chance: Option<impl Fn() -> u64>,
        takes: impl Fn(&Target) -> bool,
        enter: impl Fn(&'a Target) -> Option<(&'a Target, Attempt)>,
    ) -> Option<(&'a Target, Attempt)> {
        // The upper half: a generator's best.
        let chance = chance.as_ref().map(|chance| move || chance() >> 32);
        (0..TURNS).find_map(|_| {
            // One alone needs no order, nor a word that all workers write.
            let turn = match &chance {
                _ if self.groups.len() == 1 => 0,
                None => turn.fetch_add(1, Ordering::Relaxed),
                Some(chance) => chance(),
            };
            let group = &self.groups[self.schedule.at(turn)?];
            let targets = &targets[group.first..group.first + group.count];
            let (behind, first) = match group.count {
                1 => targets.split_at(0),
                count => {
                    let next = match &chance {
                        None => group.next.fetch_add(1, Ordering::Relaxed),
                        Some(chance) => chance() as u32,
                    };
                    let scheduled = group.schedule.as_ref().and_then(|schedule| schedule.at(next.into()));
                    targets.split_at(scheduled.unwrap_or(next as usize % count))
                }
            };
            first.iter().chain(behind).filter(|target| takes(target)).find_map(&enter)
        })
    }
}

/// In which order backends are picked. Any Σweights (divided by their common divisor) consecutive entries, wrapping
/// around, hold each backend exactly as often as its weight says, and spread as evenly as whole turns allow.
#[derive(Debug)]
struct Schedule {
    turns: Box<[u16]>,
}

impl Schedule {
    /// The schedule of backends with `weights`; at most 65,536 backends.
    ///
    /// Validation holds Σweights to 1,000,000 turns, which are sorted once, off the workers.
    fn new(weights: &[u16]) -> Self {
        let divisor = u64::from(weights.iter().copied().fold(0, greatest_common_divisor)).max(1);
        let backends = weights.len() as u64;
        let mut turns: Vec<(u64, u64, u16)> = Vec::new();
        for (backend, weight) in weights.iter().enumerate() {
            let weight = u64::from(*weight) / divisor;
            // Turn k of backend i of n with weight w is due at (k + (2i + 1) / 2n) / w of a round: a backend's own turns are
            // evenly spaced, and backends of one weight stand evenly between each other's.
            let offset = 2 * backend as u64 + 1;
            turns.extend((0..weight).map(|turn| (2 * turn * backends + offset, 2 * backends * weight, backend as u16)));
        }
        turns.sort_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1)).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        Self { turns: turns.into_iter().map(|(_, _, backend)| backend).collect() }
    }

    /// The backend whose turn number `turn` is; `None` if no backend has a weight.
    fn at(&self, turn: u64) -> Option<usize> {
        let turns = self.turns.len() as u64;
        (turns > 0).then(|| usize::from(self.turns[(turn % turns) as usize]))
    }
}

fn greatest_common_divisor(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picks(weights: &[u16], start: u64, count: u64) -> Vec<usize> {
        let schedule = Schedule::new(weights);
        (start..start + count).filter_map(|turn| schedule.at(turn)).collect()
    }

    #[test]
    fn heavy_backends_are_spread_not_bunched() {
        assert_eq!(picks(&[3, 1], 0, 4), [0, 0, 1, 0]);
        assert_eq!(picks(&[5, 1, 1], 0, 7), [0, 0, 0, 1, 0, 2, 0]);
        assert_eq!(picks(&[2, 2, 1], 0, 5), [0, 1, 0, 1, 2]);
        assert_eq!(picks(&[1, 1, 1], 0, 6), [0, 1, 2, 0, 1, 2]);
        assert_eq!(picks(&[1000, 500], 0, 3), [0, 0, 1]);
    }

    #[test]
    fn without_weights_nobody_is_picked() {
        for weights in [&[][..], &[0], &[0, 0]] {
            assert_eq!(Schedule::new(weights).at(7), None);
        }
        assert_eq!(picks(&[0, 2], 0, 3), [1, 1, 1]);
    }

    proptest! {
        #[test]
        fn every_window_of_the_sum_is_exact(weights in prop::collection::vec(0u16..20, 1..8), start in 0u64..1000) {
            let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            let picked = picks(&weights, start, sum);
            for (backend, weight) in weights.iter().enumerate() {
                prop_assert_eq!(picked.iter().filter(|pick| **pick == backend).count(), usize::from(*weight));
            }
        }
    }
}
