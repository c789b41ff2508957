use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proxy_protocol::Version;
use shared::{config, value::Name};

use crate::{
    attempt::Attempt,
    balance::Schedule,
    gate::Barred,
    head::RoutedRequest,
    live::{EndpointLive, Live, UpstreamLive},
};

/// An upstream, ready to be picked from.
pub(crate) struct Upstream {
    config: config::Upstream,
    schedule: Schedule,
    live: Arc<UpstreamLive>,
    backends: Vec<Backend>,
}

/// What of a request its backend is chosen by, once it is routed: all that is needed for a further try when its bytes are gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affinity {}

/// An endpoint that was chosen, with the try at it.
pub(crate) struct Picked<'a> {
    /// Its backend.
    pub(crate) backend: &'a Backend,
    /// The try.
    pub(crate) attempt: Attempt,
}

/// Why no endpoint could be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// There is none that may be used.
    NoBackend,
    /// The breakers of all that there are keep them shut; the first lets a try in after so long.
    BreakerOpen(Duration),
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

    /// The version of the PROXY protocol whose header connections to its backends begin with, if they do.
    pub(crate) fn greets(&self) -> Option<Version> {
        self.config.proxy_protocol.map(|version| match version {
            config::ProxyProtocolVersion::V1 => Version::V1,
            config::ProxyProtocolVersion::V2 => Version::V2,
        })
    }

    /// What its backends speak.
    pub(crate) fn protocol(&self) -> config::UpstreamProtocol {
        self.config.protocol
    }

    /// What of `request` its backends are chosen by, for every try that is made for it.
    pub(crate) fn affinity(&self, _request: &RoutedRequest<'_>) -> Affinity {
        Affinity {}
    }

    /// Begins a try at the next endpoint that may be used, preferably none of those that were `tried` before (by their ids).
    pub(crate) fn pick(
        &self,
        _affinity: &Affinity,
        _tried: &[u64],
        now: Instant,
        _chance: impl Fn() -> u64,
    ) -> Result<Picked<'_>, Unavailable> {
        let turn = self.schedule.at(self.live.next_turn()).ok_or(Unavailable::NoBackend)?;
        let (after, before) = (&self.backends[turn..], &self.backends[..turn]);
        let mut shortest: Option<Duration> = None;
        for backend in after.iter().chain(before) {
            match Attempt::begin(&backend.live, now) {
                Ok(attempt) => return Ok(Picked { backend, attempt }),
                Err(Barred::Unavailable) => {}
                Err(Barred::Breaker(wait)) => shortest = Some(shortest.map_or(wait, |shortest| shortest.min(wait))),
            }
        }
        Err(shortest.map_or(Unavailable::NoBackend, Unavailable::BreakerOpen))
    }

    /// Brings what the configuration says of connections to act on the live state of the backends.
    pub(crate) fn configure_live(&self, now: Instant) {
        for (backend, config) in self.backends.iter().zip(&self.config.backends) {
            backend.live.configure(&self.config, config, now);
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &Name {
        &self.config.name
    }

    /// All endpoints, each with its weight and whether it is a backup.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Arc<EndpointLive>, f64, bool)> {
        let backends = self.backends.iter().zip(&self.config.backends);
        backends.map(|(backend, config)| (&backend.live, f64::from(config.weight.get()), false))
    }

    /// All backends.
    pub(crate) fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.backends.iter()
    }
}
