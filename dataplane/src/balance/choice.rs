//! The cheapest of several, for policies that compare.

use super::targets::Target;
use crate::{instant::Instant, load::Load};

/// Up to so many targets are all compared; of more, two that are drawn by weight (Mitzenmacher 2001): that is nearly as good, and
/// workers that look at the same moment do not all choose the same one.
pub(super) const FEW: usize = 8;
/// By how much estimates of time may differ and mean the same: they always differ by a little, and who is ahead by that must not
/// take all.
pub(super) const ALIKE: f64 = 1.25;
/// What a request costs where nothing is known and one is under way to find out, in microseconds.
const UNKNOWN: f64 = 1e9;

/// The one of `targets` that costs least, of those that are open; among those [`ALIKE`] by weight and chance.
pub(super) fn cheapest(
    targets: &[Target],
    is_open: impl Fn(&Target) -> bool,
    cost: impl Fn(&Target) -> f64,
    weight: impl Fn(&Target) -> f64,
    chance: impl Fn() -> u64,
) -> Option<&Target> {
    let mut costs = [f64::INFINITY; FEW];
    for (place, target) in costs.iter_mut().zip(targets).filter(|(_, target)| is_open(target)) {
        *place = cost(target);
    }
    let bound = costs.iter().copied().fold(f64::INFINITY, f64::min) * ALIKE;
    let mut chosen = None;
    let mut sum = 0.0;
    for (target, _) in targets.iter().zip(costs).filter(|(_, cost)| *cost <= bound && cost.is_finite()) {
        let weight = weight(target);
        sum += weight;
        // The first always; each further one as often as its weight says (Chao 1982).
        if chosen.is_none() || (chance() >> 11) as f64 * sum < weight * (1u64 << 53) as f64 {
            chosen = Some(target);
        }
    }
    chosen
}

/// The one of `targets` that lacks most of its share of the requests under way, of those that are open.
///
/// A share of few requests is no whole number: it is rounded up as often as its fraction says, and so that all of them make the whole
/// (systematic sampling). So shares hold where nothing is under way, too, and the heaviest does not take all.
pub(super) fn fewest(
    targets: &[Target],
    is_open: impl Fn(&Target) -> bool,
    weight: impl Fn(&Target) -> f64,
    chance: u64,
) -> Option<&Target> {
    // In any order, so that none is preferred among equals.
    let (count, start) = (targets.len(), chance as usize % targets.len());
    let order = |step: usize| if chance >> 63 == 0 { (start + step) % count } else { (start + count - step) % count };
    let mut loads = [None; FEW];
    let (mut all_load, mut all_weight) = (1.0, 0.0);
    for (step, load) in loads.iter_mut().enumerate().take(count) {
        let target = &targets[order(step)];
        if is_open(target) {
            let (under_way, weight) = (f64::from(target.endpoint.load.in_flight()), weight(target));
            all_load += under_way;
            all_weight += weight;
            *load = Some((target, under_way, weight));
        }
    }
    let mut place = (chance << 1 >> 12) as f64 / (1u64 << 52) as f64;
    let lacking = loads.into_iter().flatten().map(|(target, under_way, weight)| {
        let before = place.floor();
        place += all_load * weight / all_weight;
        (target, place.floor() - before - under_way)
    });
    lacking.reduce(|most, next| if next.1 > most.1 { next } else { most }).map(|(target, _)| target)
}

/// The cheaper of two that are drawn; the first if they are alike.
pub(super) fn cheaper_of_two<'a>(
    draw: impl Fn() -> Option<&'a Target>,
    alike: f64,
    cost: impl Fn(&Target) -> f64,
) -> Option<&'a Target> {
    let first = draw()?;
    // Of few heavy ones the same is drawn often; that is then the best guess.
    let second = (0..4).find_map(|_| draw().filter(|second| second.endpoint.id != first.endpoint.id));
    match second {
        Some(second) if cost(second) * alike < cost(first) => Some(second),
        _ => Some(first),
    }
}

/// How long a request that is sent now probably takes, for a target with this part of the mean weight.
pub(super) fn expected(load: &Load, weight: f64, now: Instant) -> f64 {
    let (estimate, in_flight) = (f64::from(load.expected_micros(now)), f64::from(load.in_flight()));
    match estimate == 0.0 {
        true if in_flight == 0.0 => 0.0,
        true => UNKNOWN * (in_flight / weight + 1.0),
        false => estimate * (in_flight / weight + 1.0),
    }
}
