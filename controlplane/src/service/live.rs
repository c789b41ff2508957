use shared::config::Upstream;

use super::{Refusal, Service, collection};
use crate::{model::Page, publish::UpstreamLive};

impl Service {
    /// The live state of the upstream `name`.
    pub(crate) fn live(&self, name: &str) -> Result<UpstreamLive, Refusal> {
        let current = self.current();
        let upstream = current.config.upstreams.iter().find(|upstream| upstream.name.as_str() == name);
        let missing = || Refusal::NotFound(format!("there is no upstream `{name}`"));
        Ok(self.publisher.live(&upstream.ok_or_else(missing)?.name))
    }

    /// The live state of at most `limit` upstreams in order of names, all after the name `after`.
    pub(crate) fn live_page(&self, after: Option<&str>, limit: usize) -> Result<Page<UpstreamLive>, Refusal> {
        let page = collection::list::<Upstream>(&self.current(), "", after, limit)?;
        let items = page.items.iter().map(|upstream| self.publisher.live(&upstream.name)).collect();
        Ok(Page { items, next: page.next })
    }
}
