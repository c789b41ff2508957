use std::{net::IpAddr, sync::Arc};

use http1::Field;
use shared::{
    config::{SplitBy, SplitTarget},
    routing::{RequestView, ValueTest},
    value::FieldName,
};

use super::Upstream;
use crate::head::RoutedRequest;

/// Several upstreams that share the requests of a route.
pub(crate) struct Split {
    targets: Box<[Target]>,
    by: SplitBy,
    /// The sum of the weights.
    sum: u64,
}

struct Target {
    upstream: Arc<Upstream>,
    weight: u64,
    /// Requests for which any of these holds go here, whatever the weights.
    headers: Box<[(FieldName, ValueTest)]>,
    cookies: Box<[(Box<[u8]>, ValueTest)]>,
}

impl Split {
    /// Compiles `targets`, whose upstreams `upstream` finds.
    pub(crate) fn compile(
        targets: &[SplitTarget],
        by: SplitBy,
        upstream: impl Fn(&shared::value::Name) -> Arc<Upstream>,
    ) -> Self {
        let targets: Box<[Target]> = targets
            .iter()
            .map(|target| Target {
                upstream: upstream(&target.upstream),
                weight: target.weight.get().into(),
                headers: target
                    .when
                    .headers
                    .iter()
                    .map(|(name, value)| (name.clone(), ValueTest::new(value)))
                    .collect(),
                cookies: (target.when.cookies.iter())
                    .map(|(name, value)| (name.as_bytes().into(), ValueTest::new(value)))
                    .collect(),
            })
            .collect();
        Self { sum: targets.iter().map(|target| target.weight).sum(), targets, by }
    }

    /// Where `request` goes; `chance` is a random number. Nowhere if no upstream has a weight.
    pub(crate) fn choose(&self, request: &RoutedRequest<'_>, chance: impl FnOnce() -> u64) -> Option<&Arc<Upstream>> {
        if let Some(target) = self.targets.iter().find(|target| target.is_named_by(request)) {
            return Some(&target.upstream);
        }
        let number = match self.by {
            SplitBy::Random => chance(),
            SplitBy::ClientAddress => number_of(request.client),
        };
        let mut point = number.checked_rem(self.sum)?;
        let target = self.targets.iter().find(|target| {
            let is_here = point < target.weight;
            point = point.saturating_sub(target.weight);
            is_here
        });
        target.map(|target| &target.upstream)
    }
}

impl Target {
    fn is_named_by(&self, request: &RoutedRequest<'_>) -> bool {
        let has_header = |(name, test): &(FieldName, ValueTest)| {
            if test.is_absence() {
                return !request.has_header(name.as_str());
            }
            request.any_header(name.as_str(), &mut |sent| test.matches(sent))
        };
        let has_cookie = |(name, test): &(Box<[u8]>, ValueTest)| {
            let mut values = cookies(request).filter(|(sent, _)| *sent == &**name).map(|(_, value)| value);
            if test.is_absence() { values.next().is_none() } else { values.any(|value| test.matches(value)) }
        };
        self.headers.iter().any(has_header) || self.cookies.iter().any(has_cookie)
    }
}

/// Names and values of the cookies (RFC 6265 §4.2.1).
fn cookies<'a>(request: &RoutedRequest<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let request = request.request;
    let pairs = request
        .head
        .fields
        .all(Field::Cookie)
        .flat_map(move |line| line.value.of(request.bytes).split(|byte| *byte == b';'));
    pairs.filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        Some((pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()))
    })
}

/// A number for a client address: always the same, everywhere, and evenly spread (the end of `SplitMix64`).
fn number_of(client: IpAddr) -> u64 {
    let state = match client.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            mixed((bits >> 64) as u64) ^ bits as u64
        }
    };
    mixed(state.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

fn mixed(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_addresses_are_spread_evenly_and_always_alike() {
        let mut shares = [0; 10];
        for bits in 0..10_000u32 {
            shares[(number_of(IpAddr::V4((0x0a00_0000 + bits).into())) % 10) as usize] += 1;
        }
        assert!(shares.iter().all(|share| (900..1100).contains(share)), "{shares:?}");
        // Another process, another version: the same.
        assert_eq!(number_of("192.0.2.1".parse().unwrap()), number_of("::ffff:192.0.2.1".parse().unwrap()));
        assert_eq!(number_of("192.0.2.1".parse().unwrap()) % 1000, 956);
    }
}
