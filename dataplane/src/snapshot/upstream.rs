use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use proxy_protocol::Version;
use shared::{
    config::{self, BalancePolicy},
    value::{BackendAddress, Name},
};

use super::{
    affinity::{self, Affinity},
    session::{NewSession, SessionCookie},
};
use crate::{
    attempt::Attempt,
    balance::{Asking, Member, Target, Targets},
    connection::version_of,
    dns::{Resolved, Source},
    error::Reason,
    head::RoutedRequest,
    instant::Instant,
    live::{EndpointAddress, EndpointLive, Live, UpstreamLive},
};

/// An upstream, ready to be picked from.
pub(crate) struct Upstream {
    config: config::Upstream,
    live: Arc<UpstreamLive>,
    backends: Vec<Backend>,
    /// By which clients stay with their backends.
    sticky: Option<SessionCookie>,
    sources: Box<[(usize, Source)]>,
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
    /// The session that begins with the response, if the client is to stay there and does not know it yet.
    pub(crate) session: Option<NewSession>,
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
        let mut resolved = previous.map_or_else(HashMap::new, |previous| previous.resolved());
        let members = upstream.backends.iter().map(|backend| match EndpointAddress::of(&backend.address) {
            Some(address) => {
                vec![Member { endpoint: live.endpoint(&upstream.name, &backend.name, &address), share: 1 }]
            }
            // What it has already; the rest comes before the snapshot acts.
            None => resolved.remove(&(&backend.name, &backend.address)).unwrap_or_default(),
        });
        let targets = Targets::new(upstream, members.collect());
        if let Some(previous) = previous {
            note_joining(&targets, &previous.targets.load());
        }
        let backends = upstream.backends.iter();
        let sources = upstream.backends.iter().enumerate();
        Self {
            live: live.upstream(&upstream.name),
            backends: backends.map(|backend| Backend { authority: backend.address.authority().into() }).collect(),
            sticky: upstream.sticky.as_ref().map(SessionCookie::compile),
            sources: sources.filter_map(|(index, backend)| Some((index, Source::of(&backend.address)?))).collect(),
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
        self.config.proxy_protocol.map(version_of)
    }

    /// What its backends speak.
    pub(crate) fn protocol(&self) -> config::UpstreamProtocol {
        self.config.protocol
    }

    /// Whether clients stay with their backends.
    pub(crate) fn is_sticky(&self) -> bool {
        self.sticky.is_some()
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
                let begins = self.sticky.as_ref().zip(affinity.session).filter(|_| token != Some(target.token));
                let session = begins.map(|(cookie, session)| NewSession {
                    cookie: cookie.line(target.token, session.is_https),
                    endpoint: Arc::clone(&target.endpoint),
                });
                Ok(Picked { backend: &self.backends[usize::from(target.backend)], attempt, session })
            }
            Err(None) => Err(Unavailable::NoBackend),
            Err(Some(shut)) => Err(Unavailable::BreakerOpen(shut)),
        }
    }

    /// Brings what the configuration says of endpoints to act on their live state.
    pub(crate) fn configure_live(&self, now: Instant) {
        self.live.budget.configure(self.config.retry_budget);
        self.configure(&self.targets.load(), now);
    }

    fn configure(&self, targets: &Targets, now: Instant) {
        for target in targets.all() {
            let backend = &self.config.backends[usize::from(target.backend)];
            target.endpoint.configure(&self.config, backend, now);
        }
    }

    /// Where the endpoints of backends come from that are named by DNS, by the number of the backend.
    pub(crate) fn sources(&self) -> &[(usize, Source)] {
        &self.sources
    }

    /// From now on these backends, by number, are at these addresses. Requests under way to others go on, new ones find the new
    /// addresses; what stays keeps its state.
    pub(crate) fn set_addresses(&self, resolved: impl IntoIterator<Item = (usize, Arc<[Resolved]>)>, live: &Live) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.targets.load_full();
        let mut members = before.members(self.backends.len());
        let (mut left, mut is_changed) = (Vec::new(), false);
        for (backend, addresses) in resolved {
            let name = &self.config.backends[backend].name;
            let next = addresses.iter().map(|resolved| {
                let endpoint = live.endpoint(&self.config.name, name, &resolved.address.into());
                Member { endpoint, share: resolved.weight }
            });
            let previous = std::mem::replace(&mut members[backend], next.collect());
            let next = &members[backend];
            is_changed |= previous.iter().map(Member::identity).ne(next.iter().map(Member::identity));
            left.extend(previous);
        }
        if !is_changed {
            return;
        }
        let stays: HashSet<u64> = members.iter().flatten().map(|member| member.endpoint.id).collect();
        let targets = Targets::new(&self.config, members);
        self.configure(&targets, Instant::now());
        note_joining(&targets, &before);
        self.targets.store(Arc::new(targets));
        for member in left.iter().filter(|member| !stays.contains(&member.endpoint.id)) {
            live.retire(&member.endpoint);
        }
    }

    /// Right before this acts: makes endpoints anew that were retired since it was compiled. While the snapshot that acted until then still
    /// acts, DNS may take from a backend the very address at which this finds it: where it says the same name, or says it by number.
    pub(crate) fn settle(&self, live: &Live) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.targets.load();
        if !before.all().any(|target| target.endpoint.is_removed()) {
            return;
        }
        let mut members = before.members(self.backends.len());
        for (members, backend) in members.iter_mut().zip(&self.config.backends) {
            for member in members.iter_mut().filter(|member| member.endpoint.is_removed()) {
                member.endpoint = live.endpoint(&self.config.name, &backend.name, &member.endpoint.address);
            }
        }
        self.targets.store(Arc::new(Targets::new(&self.config, members)));
    }

    /// Connections to the backend number `backend` that could not be made.
    pub(crate) fn failed_connections(&self, backend: usize) -> u64 {
        let targets = self.targets.load();
        let endpoint = targets.all().find(|target| usize::from(target.backend) == backend);
        endpoint.map_or(0, |target| target.endpoint.metrics.connect_failures.get())
    }

    /// The endpoints of backends that are named by DNS, by name and address of the backend.
    fn resolved(&self) -> HashMap<(&Name, &BackendAddress), Vec<Member>> {
        if self.sources.is_empty() {
            return HashMap::new();
        }
        let mut members = self.targets.load().members(self.backends.len());
        let backends = self.sources.iter().map(|(index, _)| {
            let backend = &self.config.backends[*index];
            ((&backend.name, &backend.address), std::mem::take(&mut members[*index]))
        });
        backends.collect()
    }

    /// Keeps everybody from changing what can be picked, while it lives.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> impl Sized {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
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
    let served: HashSet<u64> = before.serving().map(|target| target.endpoint.id).collect();
    if !targets.serving().any(|target| served.contains(&target.endpoint.id)) {
        return;
    }
    for target in targets.serving().filter(|target| !served.contains(&target.endpoint.id)) {
        target.endpoint.load.joins(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{events::Events, metrics::Metrics};

    fn compiled(live: &Live, weight: u16, previous: Option<&Arc<Upstream>>) -> Arc<Upstream> {
        let text = format!(
            "upstreams: [{{name: u, backends: [{{name: a, address: 10.0.0.9:1, weight: 1}}, \
             {{name: dns, address: a.test:1, weight: {weight}}}]}}]"
        );
        let config = shared::document::read_config(&text).unwrap();
        Arc::new(Upstream::compile(&config.upstreams[0], live, previous))
    }

    fn resolved(addresses: &[(&str, u16)]) -> Arc<[Resolved]> {
        let one =
            |(ip, weight): &(&str, u16)| Resolved { address: format!("{ip}:1").parse().unwrap(), weight: *weight };
        addresses.iter().map(one).collect()
    }

    /// The endpoints of the backend that is named by DNS.
    fn endpoints(upstream: &Upstream) -> Vec<Arc<EndpointLive>> {
        let members = upstream.members().map(|(endpoint, _, _)| endpoint);
        let mut endpoints: Vec<_> = members.filter(|endpoint| endpoint.backend.as_str() == "dns").collect();
        endpoints.sort_by(|a, b| a.address.cmp(&b.address));
        endpoints
    }

    #[test]
    fn an_address_that_stays_keeps_its_state_and_one_that_goes_is_retired() {
        let live = Live::new(Metrics::new(), Events::unheard());
        let upstream = compiled(&live, 1, None);
        assert!(endpoints(&upstream).is_empty());
        upstream.set_addresses([(1, resolved(&[("10.0.0.1", 1), ("10.0.0.2", 1)]))], &live);
        let first = endpoints(&upstream);
        let targets = upstream.targets.load_full();
        upstream.set_addresses([(1, resolved(&[("10.0.0.1", 1), ("10.0.0.2", 1)]))], &live);
        assert!(Arc::ptr_eq(&targets, &upstream.targets.load_full()), "the same answer changes nothing");

        upstream.set_addresses([(1, resolved(&[("10.0.0.2", 1), ("10.0.0.3", 1)]))], &live);
        let second = endpoints(&upstream);
        assert_eq!(first[1].id, second[0].id);
        assert!(first[0].is_removed() && !first[1].is_removed());
        upstream.set_addresses([(1, resolved(&[("10.0.0.1", 1)]))], &live);
        assert_ne!(endpoints(&upstream)[0].id, first[0].id, "who comes back begins anew");
    }

    #[test]
    fn an_address_that_dns_takes_away_from_a_name_stays_with_the_backend_that_has_it_by_number_by_then() {
        let live = Live::new(Metrics::new(), Events::unheard());
        let before = compiled(&live, 1, None);
        before.set_addresses([(1, resolved(&[("10.0.0.1", 1)]))], &live);
        let text =
            "upstreams: [{name: u, backends: [{name: a, address: 10.0.0.9:1}, {name: dns, address: 10.0.0.1:1}]}]";
        let config = shared::document::read_config(text).unwrap();
        let after = Upstream::compile(&config.upstreams[0], &live, Some(&before));
        assert_eq!(endpoints(&after)[0].id, endpoints(&before)[0].id);
        // A late answer, before the change acts.
        before.set_addresses([(1, resolved(&[("10.0.0.2", 1)]))], &live);
        assert!(endpoints(&after)[0].is_removed());
        after.settle(&live);
        let [found] = &endpoints(&after)[..] else { panic!("it has one address") };
        assert!(!found.is_removed() && found.address.to_string() == "10.0.0.1:1");
        let known = |endpoint: &EndpointLive| {
            live.endpoints_of(&"u".parse().unwrap()).iter().any(|known| known.id == endpoint.id)
        };
        assert!(known(found), "it is checked and shown");
        let targets = after.targets.load_full();
        after.settle(&live);
        assert!(Arc::ptr_eq(&targets, &after.targets.load_full()), "there is nothing more to settle");
        // One that comes later yet is nobody's.
        before.set_addresses([(1, resolved(&[("10.0.0.3", 1)]))], &live);
        assert!(!endpoints(&after)[0].is_removed());
    }

    #[test]
    fn a_changed_upstream_goes_on_with_the_addresses_that_it_has() {
        let live = Live::new(Metrics::new(), Events::unheard());
        let before = compiled(&live, 1, None);
        before.set_addresses([(1, resolved(&[("10.0.0.1", 1)]))], &live);
        let after = compiled(&live, 2, Some(&before));
        assert_eq!(endpoints(&after)[0].id, endpoints(&before)[0].id);
    }

    #[test]
    fn the_weight_of_a_backend_is_shared_out_by_the_weights_of_its_addresses() {
        let live = Live::new(Metrics::new(), Events::unheard());
        let upstream = compiled(&live, 4, None);
        upstream.set_addresses([(1, resolved(&[("10.0.0.1", 3), ("10.0.0.2", 1)]))], &live);
        let mut counts = HashMap::new();
        for _ in 0..50 {
            let picked = upstream.pick(&Affinity { key: None, session: None }, &[], Instant::now(), || 0).unwrap();
            *counts.entry(picked.attempt.endpoint().address.to_string()).or_insert(0) += 1;
        }
        let expected = [("10.0.0.9:1", 10), ("10.0.0.1:1", 30), ("10.0.0.2:1", 10)];
        assert_eq!(counts, expected.map(|(address, count)| (address.to_owned(), count)).into());
    }
}
