use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use shared::config::{self, BalancePolicy};

use super::{
    choice, hash,
    round_robin::RoundRobin,
    table::Table,
    targets::{Asking, Target},
    weighted::Weighted,
};
use crate::{
    attempt::Attempt,
    instant::Instant,
    live::{Counted, UpstreamLive},
};

/// Draws before all targets are looked at: with half of them shut, one time in 65,536 is not enough.
const DRAWS: u64 = 16;
/// The share that an endpoint begins with in its slow start.
const COLD: f64 = 0.1;

/// Targets of one rank with what their policy has precomputed.
#[derive(Debug)]
pub(super) struct Tier {
    targets: Box<[Target]>,
    /// The sum of their weights.
    weight: f64,
    slow_start: Option<Duration>,
    policy: Policy,
}

#[derive(Debug)]
enum Policy {
    RoundRobin(RoundRobin),
    Random(Weighted),
    LeastConnections(Weighted),
    PeakEwma(Weighted),
    /// The number is how much more than its share of the requests under way a target may have.
    ConsistentHash(Table, Option<f64>),
}

/// A target with a try at it.
type Chosen<'a> = (&'a Target, Attempt);

impl Tier {
    /// The tier of `targets`, whose `backends` stand together.
    pub(super) fn new(balance: &config::Balance, backends: &[config::Backend], targets: Vec<Target>) -> Self {
        let weights: Vec<f64> = targets.iter().map(|target| target.weight).collect();
        let policy = match balance.policy {
            BalancePolicy::RoundRobin => Policy::RoundRobin(RoundRobin::new(backends, &targets)),
            BalancePolicy::Random => Policy::Random(Weighted::new(&weights)),
            BalancePolicy::LeastConnections => Policy::LeastConnections(Weighted::new(&weights)),
            BalancePolicy::PeakEwma => Policy::PeakEwma(Weighted::new(&weights)),
            BalancePolicy::ConsistentHash => {
                let numbers: Vec<_> = targets.iter().map(|target| (target.number, target.weight)).collect();
                let percent = balance.hash.max_load_percent;
                Policy::ConsistentHash(Table::new(&numbers), (percent > 0).then(|| f64::from(percent) / 100.0))
            }
        };
        Self {
            weight: weights.iter().sum(),
            targets: targets.into(),
            slow_start: balance.slow_start.map(|span| span.duration()),
            policy,
        }
    }

    /// All of them.
    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Begins a try at the target that the policy chooses; none if no gate lets it in.
    pub(super) fn pick<C: Fn() -> u64>(
        &self,
        asking: &Asking<'_, C>,
        turn: &AtomicU64,
        live: &Arc<UpstreamLive>,
    ) -> Option<Chosen<'_>> {
        if self.targets.is_empty() {
            return None;
        }
        match &self.policy {
            Policy::RoundRobin(turns) => {
                let chosen = turns.pick(
                    &self.targets,
                    turn,
                    (!asking.tried.is_empty()).then_some(&asking.chance),
                    |target| self.is_warm(target, asking),
                    |target| enter(target, asking),
                );
                chosen.or_else(|| self.any(asking, (asking.chance)()))
            }
            Policy::Random(table) => self.by_chance(asking, table).or_else(|| self.any(asking, (asking.chance)())),
            Policy::LeastConnections(table) => {
                let load =
                    |target: &Target| f64::from(target.endpoint.load.in_flight()) / self.weight_now(target, asking.now);
                self.cheapest(asking, table, 1.0, load, || {
                    let weight = |target: &Target| self.weight_now(target, asking.now);
                    choice::fewest(&self.targets, |target| is_open(target, asking), weight, (asking.chance)())
                })
            }
            Policy::PeakEwma(table) => {
                let cost = |target: &Target| {
                    let weight = self.weight_now(target, asking.now) * self.targets.len() as f64 / self.weight;
                    choice::expected(&target.endpoint.load, weight, asking.now)
                };
                self.cheapest(asking, table, choice::ALIKE, cost, || {
                    let weight = |target: &Target| self.weight_now(target, asking.now);
                    choice::cheapest(&self.targets, |target| is_open(target, asking), cost, weight, &asking.chance)
                })
            }
            Policy::ConsistentHash(table, bound) => {
                let number = asking.key.unwrap_or_else(&asking.chance);
                match bound {
                    None => self.by_key(asking, table, number).or_else(|| self.any(asking, number)),
                    Some(bound) => self.within(asking, table, number, *bound, live),
                }
            }
        }
    }

    fn by_chance<C: Fn() -> u64>(&self, asking: &Asking<'_, C>, table: &Weighted) -> Option<Chosen<'_>> {
        (0..DRAWS).find_map(|_| {
            let target = &self.targets[table.at((asking.chance)())];
            if !self.is_warm(target, asking) {
                return None;
            }
            enter(target, asking)
        })
    }

    /// By the key; where it may not go, by what is made of it: always the same way as long as the same targets are open.
    fn by_key<C: Fn() -> u64>(&self, asking: &Asking<'_, C>, table: &Table, number: u64) -> Option<Chosen<'_>> {
        self.of_key(asking, table, number).find_map(|target| enter(target, asking))
    }

    /// As [`by_key`](Self::by_key), past those that have more than `bound` times their share of the requests under way.
    fn within<C: Fn() -> u64>(
        &self,
        asking: &Asking<'_, C>,
        table: &Table,
        number: u64,
        bound: f64,
        live: &Arc<UpstreamLive>,
    ) -> Option<Chosen<'_>> {
        let (counted, count) = Counted::new(live);
        let room = bound * count as f64;
        let enter = |target: &'_ Target, weight: f64| {
            let limit = (room * target.weight / weight).ceil() as u32;
            let is_untried = !asking.tried.contains(&target.endpoint.id);
            if is_untried { Attempt::begin_below(&target.endpoint, limit, asking.now) } else { None }
        };
        let chosen = self.of_key(asking, table, number).find_map(|target| Some((target, enter(target, self.weight)?)));
        let chosen = chosen.or_else(|| {
            // Of those that are open alone, so that the bound leaves room for all.
            let weight = self.open(asking).map(|target| target.weight).sum();
            self.from(number).find_map(|target| Some((target, enter(target, weight)?)))
        });
        let (target, mut attempt) = chosen.or_else(|| self.any(asking, number))?;
        attempt.counts(counted);
        Some((target, attempt))
    }

    /// Targets for a key, the first its own.
    fn of_key<C: Fn() -> u64>(
        &self,
        asking: &Asking<'_, C>,
        table: &Table,
        number: u64,
    ) -> impl Iterator<Item = &Target> {
        (0..DRAWS).filter_map(move |draw| {
            let number = if draw == 0 { number } else { hash::with(number, draw) };
            let target = &self.targets[table.at(number)];
            // By the key and not by chance: a key moves to an endpoint that joins once, and stays.
            let part = |warmth: f64| (hash::with(number, target.number) as u32 as f64) < warmth * f64::from(u32::MAX);
            self.warmth(target, asking.now).is_none_or(part).then_some(target)
        })
    }

    /// The best of a few; of more, the cheaper of two that are drawn, where those within `alike` times of one another are alike.
    fn cheapest<'a, C: Fn() -> u64>(
        &'a self,
        asking: &Asking<'_, C>,
        table: &Weighted,
        alike: f64,
        cost: impl Fn(&Target) -> f64,
        best: impl FnOnce() -> Option<&'a Target>,
    ) -> Option<Chosen<'a>> {
        let draw = || {
            (0..DRAWS).find_map(|_| {
                let target = &self.targets[table.at((asking.chance)())];
                (self.is_warm(target, asking) && is_open(target, asking)).then_some(target)
            })
        };
        let is_few = self.targets.len() <= choice::FEW;
        let chosen = if is_few { best() } else { choice::cheaper_of_two(draw, alike, cost) };
        let chosen = chosen.and_then(|target| enter(target, asking));
        chosen.or_else(|| self.any(asking, (asking.chance)()))
    }

    /// Any that lets the request in, by `number` and weight among those that seem open; one that was tried only if there is no
    /// other.
    fn any<C: Fn() -> u64>(&self, asking: &Asking<'_, C>, number: u64) -> Option<Chosen<'_>> {
        let weight: f64 = self.open(asking).map(|target| self.weight_now(target, asking.now)).sum();
        let mut point = weight * (number >> 11) as f64 / (1u64 << 53) as f64;
        let chosen = self.open(asking).find(|target| {
            point -= self.weight_now(target, asking.now);
            point < 0.0
        });
        let chosen = chosen.and_then(|target| enter(target, asking));
        // It was shut meanwhile, or lets a few in only.
        let chosen = chosen.or_else(|| self.from(number).find_map(|target| enter(target, asking)));
        chosen.or_else(|| {
            asking.tried.iter().find_map(|id| {
                let target = self.targets.iter().find(|target| target.endpoint.id == *id)?;
                Some((target, Attempt::begin(&target.endpoint, asking.now).ok()?))
            })
        })
    }

    /// Those that seem open and were not tried.
    fn open<C>(&self, asking: &Asking<'_, C>) -> impl Iterator<Item = &Target> {
        self.targets
            .iter()
            .filter(|target| !asking.tried.contains(&target.endpoint.id) && target.endpoint.gate.is_open(asking.now))
    }

    /// All of them, beginning anywhere.
    fn from(&self, number: u64) -> impl Iterator<Item = &Target> {
        let (behind, first) = self.targets.split_at((number % self.targets.len() as u64) as usize);
        first.iter().chain(behind)
    }

    /// How far a target is on its way to its whole share; none if it is there.
    fn warmth(&self, target: &Target, now: Instant) -> Option<f64> {
        let slow_start = self.slow_start?;
        let endpoint = &target.endpoint;
        let began = endpoint.load.joined().max(endpoint.gate.recovered_at())?;
        let since = now.saturating_duration_since(began);
        (since < slow_start).then(|| (since.as_secs_f64() / slow_start.as_secs_f64()).max(COLD))
    }

    /// Whether a target takes its turn, which in its slow start it does not always.
    fn is_warm<C: Fn() -> u64>(&self, target: &Target, asking: &Asking<'_, C>) -> bool {
        let by_chance = |warmth: f64| ((asking.chance)() as u32 as f64) < warmth * f64::from(u32::MAX);
        self.warmth(target, asking.now).is_none_or(by_chance)
    }

    fn weight_now(&self, target: &Target, now: Instant) -> f64 {
        target.weight * self.warmth(target, now).unwrap_or(1.0)
    }
}

/// Whether a target seems open and was not tried.
fn is_open<C>(target: &Target, asking: &Asking<'_, C>) -> bool {
    !asking.tried.contains(&target.endpoint.id) && target.endpoint.gate.is_open(asking.now)
}

fn enter<'a, C>(target: &'a Target, asking: &Asking<'_, C>) -> Option<Chosen<'a>> {
    if asking.tried.contains(&target.endpoint.id) {
        return None;
    }
    Some((target, Attempt::begin(&target.endpoint, asking.now).ok()?))
}
