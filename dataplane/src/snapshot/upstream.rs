use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use proxy_protocol::Version;
use shared::{
    config::{self, BalancePolicy},
    value::{BackendAddress, Name},
};

use super::{
    affinity::{self, Affinity},
    session::SessionCookie,
};
use crate::{
    attempt::Attempt,
    balance::{Asking, Target, Targets},
    error::Reason,
    head::RoutedRequest,
    live::{EndpointLive, Live, UpstreamLive},
};

/// An upstream, ready to be picked from.
pub(crate) struct Upstream {
    config: config::Upstream,
    live: Arc<UpstreamLive>,
    backends: Vec<Backend>,
    /// By which clients stay with their backends.
    sticky: Option<SessionCookie>,
    /// What can be picked, as the addresses of the backends are now.
    targets: ArcSwap<Targets>,
    /// Held while they are changed.
    changing: Mutex<()>,
}

/// An endpoint that was chosen, with the try at it.
pub(crate) struct Picked<'a> {
    /// Its backend.
    pub(crate) backend: &'a Backend,
    /// The try.
    pub(crate) attempt: Attempt,
    /// The value of a `Set-Cookie` for the response, if the client is to stay there and does not know it yet.
    pub(crate) cookie: Option<Box<str>>,
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
}

impl Unavailable {
    /// The same as a reason.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::NoBackend => Reason::NoBackend,
            Self::BreakerOpen(_) => Reason::BreakerOpen,
        }
    }
}

impl Upstream {
    /// Compiles `upstream`; `previous` is what acts under its name until then.
    pub(crate) fn compile(upstream: &config::Upstream, live: &Live, previous: Option<&Arc<Self>>) -> Self {
        let endpoints = upstream
            .backends
            .iter()
            .map(|backend| vec![live.endpoint(&upstream.name, &backend.name, &backend.address)]);
        let targets = Targets::new(upstream, endpoints.collect());
        if let Some(previous) = previous {
            note_joining(&targets, &previous.targets.load());
        }
        let backends = upstream.backends.iter();
        Self {
            live: live.upstream(&upstream.name),
            backends: backends.map(|backend| Backend { authority: backend.address.authority().into() }).collect(),
            sticky: upstream.sticky.as_ref().map(SessionCookie::compile),
            targets: ArcSwap::from_pointee(targets),
            changing: Mutex::default(),
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

    /// What all its backends share.
    pub(crate) fn live(&self) -> &UpstreamLive {
        &self.live
    }

    /// What of `request` its backends are chosen by, for every try that is made for it.
    pub(crate) fn affinity(&self, request: &RoutedRequest<'_>) -> Affinity {
        let balance = &self.config.balance;
        let key = match balance.policy {
            BalancePolicy::ConsistentHash => affinity::key(&balance.hash, request),
            _ => None,
        };
        Affinity { key, session: self.sticky.as_ref().map(|cookie| cookie.read(request)) }
    }

    /// Begins a try where the client's session is, or else at the next endpoint that may be used, preferably none of those that were `tried` before (by their ids).
    pub(crate) fn pick(
        &self,
        affinity: &Affinity,
        tried: &[u64],
        now: Instant,
        chance: impl Fn() -> u64,
    ) -> Result<Picked<'_>, Unavailable> {
        let asking = Asking { key: affinity.key, tried, now, chance };
        let targets = self.targets.load();
        let token = affinity.session.and_then(|session| session.token);
        let kept = token.and_then(|token| targets.pick_kept(token, &asking, &self.live));
        match kept.map_or_else(|| targets.pick(&asking, &self.live), Ok) {
            Ok((target, attempt)) => {
                let cookie = self.sticky.as_ref().zip(affinity.session).filter(|_| token != Some(target.token));
                let cookie = cookie.map(|(cookie, session)| cookie.line(target.token, session.is_https));
                Ok(Picked { backend: &self.backends[usize::from(target.backend)], attempt, cookie })
            }
            Err(None) => Err(Unavailable::NoBackend),
            Err(Some(shut)) => Err(Unavailable::BreakerOpen(shut)),
        }
    }

    /// Brings what the configuration says of endpoints to act on their live state.
    pub(crate) fn configure_live(&self, now: Instant) {
        self.live.budget.configure(self.config.retry_budget);
        for target in self.targets.load().all() {
            let backend = &self.config.backends[usize::from(target.backend)];
            target.endpoint.configure(&self.config, backend, target.cap, now);
        }
    }

    /// From now on the backend number `backend` is at these addresses. Requests under way to others go on; new ones find the new
    /// addresses. What is not named any more is for the caller to [retire](Live::retain).
    #[expect(dead_code, reason = "names are resolved by the system yet")]
    pub(crate) fn set_addresses(&self, backend: usize, addresses: &[BackendAddress], live: &Live) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.targets.load_full();
        let mut endpoints: Vec<Vec<Arc<EndpointLive>>> = self.backends.iter().map(|_| Vec::new()).collect();
        for target in before.all() {
            endpoints[usize::from(target.backend)].push(Arc::clone(&target.endpoint));
        }
        let name = &self.config.backends[backend].name;
        endpoints[backend] = addresses.iter().map(|address| live.endpoint(&self.config.name, name, address)).collect();
        let targets = Targets::new(&self.config, endpoints);
        note_joining(&targets, &before);
        self.targets.store(Arc::new(targets));
        self.configure_live(Instant::now());
    }

    /// Its name.
    pub(crate) fn name(&self) -> &Name {
        &self.config.name
    }

    /// All endpoints, each with its weight and whether it is a backup.
    pub(crate) fn members(&self) -> impl Iterator<Item = (Arc<EndpointLive>, f64, bool)> + use<> {
        let targets = self.targets.load();
        let member = |target: &Target| {
            let is_backup = self.config.backends[usize::from(target.backend)].backup;
            (Arc::clone(&target.endpoint), target.weight, is_backup)
        };
        targets.all().map(member).collect::<Vec<_>>().into_iter()
    }

    /// The ids of all its endpoints.
    pub(crate) fn endpoint_ids(&self) -> Vec<u64> {
        self.targets.load().all().map(|target| target.endpoint.id).collect()
    }
}

/// Tells endpoints that take requests and did not before that they join those that did, if there were any.
fn note_joining(targets: &Targets, before: &Targets) {
    let now = Instant::now();
    let served: std::collections::HashSet<u64> = before.serving().map(|target| target.endpoint.id).collect();
    if !targets.serving().any(|target| served.contains(&target.endpoint.id)) {
        return;
    }
    for target in targets.serving().filter(|target| !served.contains(&target.endpoint.id)) {
        target.endpoint.load.joins(now);
    }
}
