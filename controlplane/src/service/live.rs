use shared::config::Upstream;

use super::{Refusal, Service, collection};
use crate::{
    model::Page,
    publish::{Reset, UpstreamLive},
};

impl Service {
    /// The live state of the upstream `name`.
    pub(crate) fn live(&self, name: &str) -> Result<UpstreamLive, Refusal> {
        let current = self.current();
        let upstream = current.config.upstreams.iter().find(|upstream| upstream.name.as_str() == name);
        let missing = || Refusal::NotFound(format!("there is no upstream `{name}`"));
        Ok(self.publisher.live(&upstream.ok_or_else(missing)?.name))
    }

    /// Has the data planes reset the breakers of the backend `name` of `upstream`.
    pub(crate) async fn reset_breaker(&self, upstream: &str, name: &str) -> Result<Vec<Reset>, Refusal> {
        let current = self.current();
        let found =
            current.config.upstreams.iter().find(|known| known.name.as_str() == upstream).and_then(|upstream| {
                let backend = upstream.backends.iter().find(|backend| backend.name.as_str() == name)?;
                Some((&upstream.name, &backend.name))
            });
        let missing = || Refusal::NotFound(format!("there is no backend `{name}` of an upstream `{upstream}`"));
        let (upstream, backend) = found.ok_or_else(missing)?;
        Ok(self.publisher.reset_breaker(upstream, backend).await)
    }

    /// The live state of at most `limit` upstreams in order of names, all after the name `after`.
    pub(crate) fn live_page(&self, after: Option<&str>, limit: usize) -> Result<Page<UpstreamLive>, Refusal> {
        let page = collection::list::<Upstream>(&self.current(), "", after, limit)?;
        let items = page.items.iter().map(|upstream| self.publisher.live(&upstream.name)).collect();
        Ok(Page { items, next: page.next })
    }
}
