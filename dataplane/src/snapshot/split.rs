use std::sync::Arc;

use shared::{
    config::{SplitBy, SplitTarget},
    routing::{RequestView, ValueTest},
    value::FieldName,
};

use super::{Upstream, session::SessionCookie};
use crate::{balance::hash, head::RoutedRequest};

/// Several upstreams that share the requests of a route.
pub(crate) struct Split {
    targets: Box<[Target]>,
    by: By,
    /// The sum of the weights.
    sum: u64,
}

/// By what it is chosen among the weights.
enum By {
    Chance,
    ClientAddress,
    Cookie(SessionCookie),
}

struct Target {
    upstream: Arc<Upstream>,
    weight: u64,
    /// What stands for it in cookies: the same on every data plane, in every process and for every route.
    token: u64,
    /// Requests for which any of these holds go here, whatever the weights.
    headers: Box<[(FieldName, ValueTest)]>,
    cookies: Box<[(Box<[u8]>, ValueTest)]>,
}

impl Split {
    /// Compiles `targets`, whose upstreams `upstream` finds.
    pub(crate) fn compile(
        targets: &[SplitTarget],
        by: &SplitBy,
        upstream: impl Fn(&shared::value::Name) -> Arc<Upstream>,
    ) -> Self {
        let targets: Box<[Target]> = targets
            .iter()
            .map(|target| Target {
                upstream: upstream(&target.upstream),
                weight: target.weight.get().into(),
                token: hash::with(hash::of_bytes(b"split"), hash::of_bytes(target.upstream.as_str().as_bytes())),
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
        let by = match by {
            SplitBy::Random => By::Chance,
            SplitBy::ClientAddress => By::ClientAddress,
            SplitBy::Cookie(cookie) => By::Cookie(SessionCookie::compile(&cookie.as_sticky())),
        };
        Self { sum: targets.iter().map(|target| target.weight).sum(), targets, by }
    }

    /// Where `request` goes, and the value of a `Set-Cookie` for its response if the client is to stay there and does not know it yet;
    /// `chance` is a random number. Nowhere if no upstream has a weight.
    pub(crate) fn choose(
        &self,
        request: &RoutedRequest<'_>,
        chance: impl FnOnce() -> u64,
    ) -> Option<(&Arc<Upstream>, Option<Box<str>>)> {
        if let Some(target) = self.targets.iter().find(|target| target.is_named_by(request)) {
            return Some((&target.upstream, None));
        }
        let cookie = match &self.by {
            By::Chance => return Some((&self.drawn(chance())?.upstream, None)),
            By::ClientAddress => return Some((&self.drawn(hash::of_address(request.client))?.upstream, None)),
            By::Cookie(cookie) => cookie,
        };
        let session = cookie.read(request);
        let has_token = |target: &&Target| target.weight > 0 && Some(target.token) == session.token;
        if let Some(target) = self.targets.iter().find(has_token) {
            return Some((&target.upstream, None));
        }
        let target = self.drawn(chance())?;
        Some((&target.upstream, Some(cookie.line(target.token, session.is_https))))
    }

    /// The target of `number`, by the weights; none if there are none.
    fn drawn(&self, number: u64) -> Option<&Target> {
        let mut point = number.checked_rem(self.sum)?;
        self.targets.iter().find(|target| {
            let is_here = point < target.weight;
            point = point.saturating_sub(target.weight);
            is_here
        })
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
