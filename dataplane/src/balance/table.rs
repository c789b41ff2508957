//! Consistent hashing: which endpoint a key belongs to.

use super::hash;

/// Places of a table: enough that of a hundred endpoints each has its share to within a few per cent.
const PLACES: usize = 1 << 16;

/// A table of places, each of which belongs to the endpoint that scores highest there (weighted rendezvous hashing: Thaler and
/// Ravishankar 1998, Schindelhauer and Schomaker 2005). A place changes hands only if its owner leaves or somebody who scores
/// higher comes, so no key moves between two that stay; and scores depend on names alone, not on the order of the endpoints.
#[derive(Debug)]
pub(crate) struct Table {
    owners: Box<[u16]>,
}

impl Table {
    /// The table of endpoints with these numbers (of their names) and weights above 0; at most 65,536.
    pub(crate) fn new(endpoints: &[(u64, f64)]) -> Self {
        let is_even = endpoints.iter().all(|(_, weight)| *weight == endpoints[0].1);
        let owner = |place: u64| {
            let scored = endpoints.iter().map(|(name, weight)| (hash::with(*name, place), *weight)).enumerate();
            let best = if is_even {
                scored.max_by_key(|(_, (number, _))| *number)
            } else {
                scored.max_by(|(_, a), (_, b)| score(a.0, a.1).total_cmp(&score(b.0, b.1)))
            };
            best.map_or(0, |(endpoint, _)| endpoint as u16)
        };
        Self { owners: (0..PLACES as u64).map(owner).collect() }
    }

    /// The endpoint that the key with this number belongs to.
    pub(crate) fn at(&self, number: u64) -> usize {
        usize::from(self.owners[(number >> (u64::BITS - PLACES.trailing_zeros())) as usize])
    }
}

/// The score of an endpoint: weight / -log(number between 0 and 1). The highest of several falls to each as often as its weight
/// says.
fn score(number: u64, weight: f64) -> f64 {
    // Above 0 in any case, however near to 1 the number comes.
    weight / (-log2_of_part(number)).max(f64::MIN_POSITIVE)
}

/// The binary logarithm of `number` / 2⁶⁴, to 10⁻⁵; made of operations that give the same on every machine, which `ln` need not.
fn log2_of_part(number: u64) -> f64 {
    let part = (number >> 11 | 1) as f64 / (1u64 << 53) as f64;
    let bits = part.to_bits();
    let exponent = (bits >> 52) as i64 - 1023;
    let mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    // With t = (m - 1) / (m + 1): ln m = 2 (t + t³/3 + t⁵/5 + …), and t is at most a third.
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let square = t * t;
    let series = 1.0 + square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * (1.0 / 7.0 + square / 9.0)));
    exponent as f64 + 2.0 * std::f64::consts::LOG2_E * t * series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(names: std::ops::Range<u64>) -> Vec<(u64, f64)> {
        names.map(|name| (hash::of_bytes(format!("backend-{name}").as_bytes()), 1.0)).collect()
    }

    fn owner(table: &Table, endpoints: &[(u64, f64)], key: u64) -> u64 {
        endpoints[table.at(hash::with(3, key))].0
    }

    #[test]
    fn logarithms_are_near() {
        for number in [1, 1 << 20, 1 << 62, u64::MAX / 3, u64::MAX / 4 * 3, u64::MAX - (1 << 40)] {
            let exact = (number as f64 / 2f64.powi(64)).log2();
            let exact = if number == 1 { -53.0 } else { exact };
            if number > 1 << 30 {
                assert!((log2_of_part(number) - exact).abs() < 1e-4, "{number}: {} {exact}", log2_of_part(number));
            }
            assert!(log2_of_part(number) <= 0.0);
        }
    }

    #[test]
    fn few_keys_move_and_none_between_those_that_stay() {
        for count in [2, 5, 10, 50] {
            let (before, after) = (endpoints(0..count), endpoints(0..count + 1));
            let (small, large) = (Table::new(&before), Table::new(&after));
            let joined = after.last().unwrap().0;
            let mut moved = 0;
            for key in 0..100_000 {
                let (from, to) = (owner(&small, &before, key), owner(&large, &after, key));
                assert!(from == to || to == joined);
                moved += u32::from(from != to);
            }
            let share = f64::from(moved) / 1e5;
            // To join `count` others, and to leave them again.
            assert!(share <= 1.2 / (count + 1) as f64, "{count}: {share}");
        }
    }

    #[test]
    fn the_order_of_the_endpoints_does_not_matter() {
        let mut some: Vec<(u64, f64)> = endpoints(0..7)
            .into_iter()
            .zip([1.0, 2.0, 3.0].into_iter().cycle())
            .map(|((name, _), weight)| (name, weight))
            .collect();
        let one = Table::new(&some);
        let owners: Vec<u64> = (0..1000).map(|key| owner(&one, &some, key)).collect();
        some.reverse();
        let other = Table::new(&some);
        assert!((0..1000).all(|key| owner(&other, &some, key) == owners[key as usize]));
    }

    #[test]
    fn shares_are_the_weights() {
        let weights = [4.0, 2.0, 1.0, 0.5];
        let some: Vec<(u64, f64)> =
            endpoints(0..4).into_iter().zip(weights).map(|((name, _), weight)| (name, weight)).collect();
        let table = Table::new(&some);
        let mut counts = [0; 4];
        (0..100_000).for_each(|key| counts[table.at(hash::with(3, key))] += 1);
        for (count, weight) in counts.iter().zip(weights) {
            assert!((f64::from(*count) / 1e5 - weight / 7.5).abs() < 0.01, "{counts:?}");
        }
    }
}
