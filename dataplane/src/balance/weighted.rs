//! Choosing by chance and weight at the same cost for any number.

/// Alias tables (Walker 1977, Vose 1991): one random number, one look.
#[derive(Debug)]
pub(crate) struct Weighted {
    /// For each place: from which part of 2³² on the other one is meant, and which one that is.
    places: Box<[(u32, u32)]>,
}

impl Weighted {
    /// A table over `weights`, of which none is negative and one is above 0 unless there are none.
    pub(crate) fn new(weights: &[f64]) -> Self {
        let sum: f64 = weights.iter().sum();
        let mut parts: Vec<f64> = weights.iter().map(|weight| weight * weights.len() as f64 / sum).collect();
        let mut places: Vec<(u32, u32)> = (0..weights.len()).map(|index| (u32::MAX, index as u32)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..parts.len()).partition(|index| parts[*index] < 1.0);
        while let (Some(less), Some(more)) = (small.pop(), large.pop()) {
            places[less] = ((parts[less] * f64::from(u32::MAX)) as u32, more as u32);
            parts[more] -= 1.0 - parts[less];
            if parts[more] < 1.0 { &mut small } else { &mut large }.push(more);
        }
        Self { places: places.into() }
    }

    /// The index that `chance`, a random number, falls on; 0 of none.
    pub(crate) fn at(&self, chance: u64) -> usize {
        let index = ((chance >> 32) * self.places.len() as u64) >> 32;
        match self.places.get(index as usize) {
            Some((part, other)) if chance as u32 >= *part => *other as usize,
            _ => index as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::hash;

    #[test]
    fn shares_are_the_weights() {
        for weights in [&[1.0][..], &[1.0, 1.0], &[3.0, 1.0], &[5.0, 0.0, 1.0, 0.5], &[1000.0, 1.0, 1.0]] {
            let table = Weighted::new(weights);
            let mut counts = vec![0; weights.len()];
            (0..100_000).for_each(|number| counts[table.at(hash::with(7, number))] += 1);
            let sum: f64 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(weights) {
                let share = f64::from(*count) / 1e5;
                assert!((share - weight / sum).abs() < 0.005, "{weights:?}: {counts:?}");
            }
        }
    }
}
