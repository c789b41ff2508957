//! Live state: what outlives a snapshot, kept by identity so that an unrelated change resets nothing.

mod address;

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use shared::{
    config,
    status::{AdminState, BudgetStatus, Event},
    value::Name,
};

pub(crate) use address::EndpointAddress;

use crate::{
    budget::Budget,
    engine::{Capacity, Places, PoolSettings, Upstream},
    events::Events,
    gate::Gate,
    health::{Configured, Record},
    instant::Instant,
    load::Load,
    metrics::{EndpointMetrics, ListenerMetrics, Metrics, RetryResult, UpstreamMetrics},
};

/// The registry of live state. Locked while a snapshot is compiled, never on the request path.
pub(crate) struct Live {
    metrics: Metrics,
    events: Events,
    parts: Mutex<Parts>,
}

#[derive(Default)]
struct Parts {
    upstreams: HashMap<Name, Arc<UpstreamLive>>,
    endpoints: HashMap<EndpointKey, Arc<EndpointLive>>,
    /// Places for connections by backend: there as long as an endpoint or a connection is.
    places: HashMap<(Name, Name), Weak<Places<Upstream>>>,
    /// The same by upstream.
    members: HashMap<Name, Vec<Arc<EndpointLive>>>,
    next_endpoint: u64,
    /// Slots of listeners by address. A slot is never given to another address, for a connection may outlive its listener
    /// and must not be taken for another's. They grow by one word for each address that an operator ever listened on in the
    /// life of this process, and in no other way.
    slots: HashMap<SocketAddr, usize>,
}

/// What makes an endpoint the same over snapshots: two backends on one address keep separate state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct EndpointKey {
    upstream: Name,
    backend: Name,
    address: EndpointAddress,
}

/// Live state of an upstream.
#[derive(Debug)]
pub(crate) struct UpstreamLive {
    /// Whose turn it is of the primaries, and of the backups: shared by all workers, so that the order is exact.
    pub(crate) turns: [AtomicU64; 2],
    /// Requests under way to all endpoints, where the load of each has a bound; else nobody counts.
    in_flight: AtomicU64,
    /// How many requests may be tried again.
    pub(crate) budget: Budget,
    /// Counters.
    pub(crate) metrics: UpstreamMetrics,
}

impl UpstreamLive {
    fn new(metrics: UpstreamMetrics) -> Self {
        Self { turns: Default::default(), in_flight: AtomicU64::new(0), budget: Budget::new(Instant::now()), metrics }
    }

    /// What is left of the retry budget, and what became of it.
    pub(crate) fn budget_status(&self, now: Instant) -> BudgetStatus {
        BudgetStatus {
            available: self.budget.available(now),
            spent: self.metrics.retries(RetryResult::Made).get(),
            refused: self.metrics.retries(RetryResult::OverBudget).get(),
        }
    }
}

/// One request under way to an upstream, as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted(Arc<UpstreamLive>);

impl Counted {
    /// One more, and how many there are with it.
    pub(crate) fn new(upstream: &Arc<UpstreamLive>) -> (Self, u64) {
        let count = upstream.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        (Self(Arc::clone(upstream)), count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Live state of an endpoint.
pub(crate) struct EndpointLive {
    /// Distinct for each endpoint that ever lived in this process.
    pub(crate) id: u64,
    /// The upstream's name.
    pub(crate) upstream: Name,
    /// The backend's name.
    pub(crate) backend: Name,
    /// Where it is.
    pub(crate) address: EndpointAddress,
    /// Counters.
    pub(crate) metrics: EndpointMetrics,
    /// What it has to do.
    pub(crate) load: Arc<Load>,
    /// Whether it may be used.
    pub(crate) gate: Gate,
    /// What checks say of it.
    pub(crate) health: Record,
    /// How long its connections are kept.
    pub(crate) pool: PoolSettings,
    /// How many connections are open and may be.
    pub(crate) capacity: Arc<Capacity<Upstream>>,
    removed: AtomicBool,
}

impl fmt::Debug for EndpointLive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EndpointLive({} {}/{} {})", self.id, self.upstream, self.backend, self.address)
    }
}

impl EndpointLive {
    /// Whether no snapshot names the endpoint any more: its connections are not kept.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    fn remove(&self) {
        if !self.removed.swap(true, Ordering::Relaxed) {
            self.metrics.addresses.dec();
        }
    }

    /// Brings changed settings to act, on connections that are open, too.
    pub(crate) fn configure(&self, upstream: &config::Upstream, backend: &config::Backend, now: Instant) {
        self.pool.set(&upstream.pool);
        let queue_timeout = backend.queue_timeout.map(|span| span.duration());
        self.capacity.configure(backend.max_connections, backend.max_pending, queue_timeout);
        self.gate.configure(&upstream.breaker, backend.breaker_override, backend.state, now);
        let check = upstream.health_check.as_ref().map(|check| Configured {
            check,
            protocol: upstream.protocol,
            proxy_protocol: upstream.proxy_protocol,
            backend: &backend.address,
        });
        let takes = backend.state == AdminState::Active && backend.weight.get() > 0;
        if self.health.configure(check, takes, now) {
            let (health, assumes_health, reason) = self.health.state();
            self.gate.set_health(health, assumes_health, None, reason, now);
        }
    }
}

impl Live {
    /// An empty registry that makes its counters in `metrics`, and whose endpoints tell `events` of their transitions.
    pub(crate) fn new(metrics: Metrics, events: Events) -> Self {
        Self { metrics, events, parts: Mutex::default() }
    }

    /// The counters that all state here is registered with.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The state of the upstream `name`, made if there is none.
    pub(crate) fn upstream(&self, name: &Name) -> Arc<UpstreamLive> {
        let new = || {
            let upstream = Arc::new(UpstreamLive::new(self.metrics.upstream(name)));
            upstream.metrics.watch(&upstream);
            upstream
        };
        Arc::clone(self.lock().upstreams.entry(name.clone()).or_insert_with(new))
    }

    /// The state of an endpoint, made if there is none.
    pub(crate) fn endpoint(&self, upstream: &Name, backend: &Name, address: &EndpointAddress) -> Arc<EndpointLive> {
        let mut parts = self.lock();
        let key = EndpointKey { upstream: upstream.clone(), backend: backend.clone(), address: address.clone() };
        if let Some(endpoint) = parts.endpoints.get(&key) {
            return Arc::clone(endpoint);
        }
        parts.next_endpoint += 1;
        let id = parts.next_endpoint;
        let metrics = self.metrics.endpoint(upstream, backend);
        let places = parts.places.entry((upstream.clone(), backend.clone())).or_default();
        let shared = places.upgrade().unwrap_or_default();
        *places = Arc::downgrade(&shared);
        let capacity = Arc::new(Capacity::new(id, &shared));
        let load = Arc::new(Load::new(Instant::now()));
        metrics.watch(&capacity, &load);
        metrics.addresses.inc();
        let (events, text) = (self.events.clone(), address.to_string());
        let (of_upstream, of_backend) = (upstream.clone(), backend.clone());
        let tell = Box::new(move |transition| {
            let (upstream, backend) = (of_upstream.clone(), of_backend.clone());
            events.publish(Event { upstream, backend, address: text.clone(), transition });
        });
        let endpoint = Arc::new(EndpointLive {
            id,
            upstream: upstream.clone(),
            backend: backend.clone(),
            address: address.clone(),
            metrics,
            load,
            gate: Gate::new(Instant::now(), tell),
            health: Record::default(),
            pool: PoolSettings::new(&config::Pool::default()),
            capacity,
            removed: AtomicBool::new(false),
        });
        endpoint.metrics.watch_state(&endpoint);
        parts.members.entry(upstream.clone()).or_default().push(Arc::clone(&endpoint));
        parts.endpoints.insert(key, Arc::clone(&endpoint));
        endpoint
    }

    /// Forgets an endpoint at whose address its backend is no more. Its idle connections are closed, requests under way go on.
    pub(crate) fn retire(&self, endpoint: &EndpointLive) {
        endpoint.remove();
        let EndpointLive { upstream, backend, address, .. } = endpoint;
        let key = EndpointKey { upstream: upstream.clone(), backend: backend.clone(), address: address.clone() };
        let mut parts = self.lock();
        // It may be back, as another one.
        if parts.endpoints.get(&key).is_some_and(|known| known.id == endpoint.id) {
            parts.endpoints.remove(&key);
        }
        if let Some(members) = parts.members.get_mut(upstream) {
            members.retain(|member| member.id != endpoint.id);
        }
    }

    /// Shows all endpoints to `look`, which must not ask for them again.
    pub(crate) fn each_endpoint(&self, look: impl FnMut(&Arc<EndpointLive>)) {
        self.lock().endpoints.values().for_each(look);
    }

    /// The endpoints of the upstream `name`.
    pub(crate) fn endpoints_of(&self, name: &Name) -> Vec<Arc<EndpointLive>> {
        self.lock().members.get(name).cloned().unwrap_or_default()
    }

    /// The slot under which snapshots hold the listener at `address`.
    pub(crate) fn listener_slot(&self, address: SocketAddr) -> usize {
        let mut parts = self.lock();
        let next = parts.slots.len();
        *parts.slots.entry(address).or_insert(next)
    }

    /// Counters of the listener `name`.
    pub(crate) fn listener_metrics(&self, name: &Name) -> ListenerMetrics {
        self.metrics.listener(name)
    }

    /// Forgets what only replaced snapshots named. Called after a swap, with what the new snapshot names.
    ///
    /// State that a request or a compile still holds stays alive until that lets go of it.
    pub(crate) fn retain(&self, is_upstream: impl Fn(&Name) -> bool, is_endpoint: impl Fn(&EndpointLive) -> bool) {
        let mut parts = self.lock();
        parts.upstreams.retain(|name, _| {
            let keep = is_upstream(name);
            if !keep {
                self.metrics.remove_upstream(name);
            }
            keep
        });
        parts.endpoints.retain(|_, endpoint| {
            let keep = is_endpoint(endpoint);
            if !keep {
                endpoint.remove();
            }
            keep
        });
        parts.places.retain(|_, places| places.strong_count() > 0);
        parts.members.retain(|_, members| {
            members.retain(|endpoint| !endpoint.is_removed());
            !members.is_empty()
        });
        let names = |endpoint: &EndpointLive| (endpoint.upstream.clone(), endpoint.backend.clone());
        let kept = parts.endpoints.values().map(|endpoint| names(endpoint)).collect();
        self.metrics.retain_endpoints(&kept);
    }

    /// Keeps everybody from finding and making live state, while it lives.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> impl Sized {
        self.lock()
    }

    /// How many upstreams, endpoints, places of backends, and upstreams with endpoints it knows.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> [usize; 4] {
        let parts = self.lock();
        [parts.upstreams.len(), parts.endpoints.len(), parts.places.len(), parts.members.len()]
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Parts> {
        // A panic while compiling leaves whole entries only: the maps are fit for use.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_the_same_until_no_snapshot_names_it() {
        let live = Live::new(Metrics::new(), Events::unheard());
        let [u, a, b] = ["u", "a", "b"].map(|name| name.parse::<Name>().unwrap());
        let address = EndpointAddress::Ip("127.0.0.1:1".parse().unwrap());
        let (first, second) = (live.endpoint(&u, &a, &address), live.endpoint(&u, &b, &address));
        assert_ne!(first.id, second.id);
        live.upstream(&u).turns[0].fetch_add(1, Ordering::Relaxed);
        assert!(live.upstream(&u).budget.spend(Instant::now()));
        let budget = r#"tidegate_retry_budget_available{upstream="u"} 29"#;
        assert!(live.metrics().render().contains(budget), "{}", live.metrics().render());
        live.retain(|_| true, |_| true);
        assert_eq!(live.endpoint(&u, &a, &address).id, first.id);
        assert_eq!(live.upstream(&u).turns[0].load(Ordering::Relaxed), 1);
        live.retain(|_| false, |endpoint| endpoint.backend == b);
        assert!(first.is_removed() && !second.is_removed());
        assert_ne!(live.endpoint(&u, &a, &address).id, first.id);
        assert_eq!(live.upstream(&u).turns[0].load(Ordering::Relaxed), 0);
        assert!(live.metrics().render().contains(&budget.replace("29", "30")), "{}", live.metrics().render());
    }
}
