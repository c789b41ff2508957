use std::sync::Arc;

use shared::{
    config::{SplitBy, SplitTarget},
    routing::{RequestView, ValueTest},
    value::FieldName,
};

use super::Upstream;
use crate::{balance::hash, head::RoutedRequest};

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
            SplitBy::ClientAddress => hash::of_address(request.client),
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
            let mut values = request.cookies().filter(|(sent, _)| *sent == &**name).map(|(_, value)| value);
            if test.is_absence() { values.next().is_none() } else { values.any(|value| test.matches(value)) }
        };
        self.headers.iter().any(has_header) || self.cookies.iter().any(has_cookie)
    }
}
