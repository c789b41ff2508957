use std::sync::Arc;

use shared::config;

use crate::{
    balance::Schedule,
    live::{EndpointLive, Live, UpstreamLive},
};

/// An upstream, ready to be picked from.
pub(crate) struct Upstream {
    config: config::Upstream,
    schedule: Schedule,
    live: Arc<UpstreamLive>,
    backends: Vec<Backend>,
}

/// A backend of an upstream.
pub(crate) struct Backend {
    /// What a `Host` field that names the backend says.
    pub(crate) authority: Box<str>,
    /// Its address, counters and connections.
    pub(crate) live: Arc<EndpointLive>,
}

impl Upstream {
    pub(crate) fn compile(upstream: &config::Upstream, live: &Live) -> Self {
        let weights: Vec<u16> = upstream.backends.iter().map(|backend| backend.weight.get()).collect();
        let backends = upstream.backends.iter().map(|backend| Backend {
            authority: backend.address.authority().into(),
            live: live.endpoint(&upstream.name, &backend.name, &backend.address),
        });
        Self {
            schedule: Schedule::new(&weights),
            live: live.upstream(&upstream.name),
            backends: backends.collect(),
            config: upstream.clone(),
        }
    }

    /// Whether this was compiled from `config`.
    pub(crate) fn is_of(&self, config: &config::Upstream) -> bool {
        self.config == *config
    }

    /// What its backends speak.
    pub(crate) fn protocol(&self) -> config::UpstreamProtocol {
        self.config.protocol
    }

    /// The next backend by weight; `None` if there is none with a weight.
    pub(crate) fn pick(&self) -> Option<&Backend> {
        self.backends.get(self.schedule.at(self.live.next_turn())?)
    }

    /// Brings what the configuration says of connections to act on the live state of the backends.
    pub(crate) fn configure_live(&self) {
        for (backend, config) in self.backends.iter().zip(&self.config.backends) {
            backend.live.configure(&self.config.pool, config.max_connections);
        }
    }

    /// All backends.
    pub(crate) fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.backends.iter()
    }
}
