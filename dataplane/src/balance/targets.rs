use std::{collections::HashMap, sync::Arc, time::Duration};

use shared::{
    config::{self, BalancePolicy},
    status::AdminState,
    value::{BackendAddress, Timestamp},
};

use super::tier::Tier;
use crate::{
    attempt::Attempt,
    gate::Barred,
    instant::Instant,
    live::{Counted, EndpointLive, UpstreamLive},
};

/// What of an upstream can be chosen.
#[derive(Debug)]
pub(crate) struct Targets {
    /// The primaries, and the backups.
    tiers: [Tier; 2],
    /// What takes nothing new: it drains, is disabled, or has no weight.
    resting: Box<[Target]>,
    /// Where clients stay with their backends, what keeps its sessions, by token.
    keeping: HashMap<u64, Keeping>,
    /// Whether the load of an endpoint has a bound, so that all requests to the upstream are counted.
    counts: bool,
}

/// An endpoint that keeps its sessions.
#[derive(Debug)]
struct Keeping {
    target: Target,
    /// Until when, if its backend drains until then.
    until: Option<Timestamp>,
}

/// An endpoint that can be chosen.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The endpoint.
    pub(crate) endpoint: Arc<EndpointLive>,
    /// Which of the upstream's backends it belongs to.
    pub(crate) backend: u16,
    /// Its share of the backend's weight.
    pub(crate) weight: f64,
    /// Its share against the backend's other endpoints.
    pub(super) share: u16,
    /// A number for it that does not depend on its place: by the backend's name, and by the address if the backend has several.
    pub(super) number: u64,
    /// What stands for it in the cookies of sessions: the same on every data plane and in every process.
    pub(crate) token: u64,
}

/// An endpoint of a backend.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The endpoint.
    pub(crate) endpoint: Arc<EndpointLive>,
    /// Its share against the backend's other endpoints, at least 1.
    pub(crate) share: u16,
}

impl Member {
    /// What makes two of them the same.
    pub(crate) fn identity(&self) -> (u64, u16) {
        (self.endpoint.id, self.share)
    }
}

/// What a request is chosen for by.
pub(crate) struct Asking<'a, C> {
    /// The number of its key, if it has one.
    pub(crate) key: Option<u64>,
    /// Endpoints that were tried for it already, by their ids.
    pub(crate) tried: &'a [u64],
    /// The present moment.
    pub(crate) now: Instant,
    /// Gives random numbers.
    pub(crate) chance: C,
}

impl Targets {
    /// Those of `config`, whose backends have these endpoints.
    pub(crate) fn new(config: &config::Upstream, members: Vec<Vec<Member>>) -> Self {
        let (mut primaries, mut backups, mut resting) = (Vec::new(), Vec::new(), Vec::new());
        let counts = config.balance.policy == BalancePolicy::ConsistentHash && config.balance.hash.max_load_percent > 0;
        let mut keeping = HashMap::new();
        let upstream = super::hash::of_bytes(config.name.as_str().as_bytes());
        for (index, (backend, members)) in config.backends.iter().zip(members).enumerate() {
            let shares = members.iter().map(|member| u32::from(member.share)).sum();
            let is_alone = members.len() == 1;
            for member in members {
                let target = Target::new(upstream, backend, index as u16, member, shares, is_alone);
                let is_resting = target.weight == 0.0 || backend.state != AdminState::Active;
                if config.sticky.is_some() && backend.state != AdminState::Disabled {
                    let until = backend.drain_until.filter(|_| backend.state == AdminState::Draining);
                    keeping.insert(target.token, Keeping { target: target.clone(), until });
                }
                match backend.backup {
                    _ if is_resting => &mut resting,
                    false => &mut primaries,
                    true => &mut backups,
                }
                .push(target);
            }
        }
        let tier = |targets| Tier::new(&config.balance, &config.backends, targets);
        Self { tiers: [tier(primaries), tier(backups)], resting: resting.into(), keeping, counts }
    }

    /// Begins a try at the endpoint that the policy chooses: a primary if one may be used, preferably none that was tried. If none
    /// can be chosen, how long the breaker that opens first keeps its endpoint shut, if a breaker does.
    pub(crate) fn pick<C: Fn() -> u64>(
        &self,
        asking: &Asking<'_, C>,
        live: &Arc<UpstreamLive>,
    ) -> Result<(&Target, Attempt), Option<Duration>> {
        for (tier, turn) in self.tiers.iter().zip(&live.turns) {
            if let Some(picked) = tier.pick(asking, turn, live) {
                return Ok(picked);
            }
        }
        let mut shut: Option<Duration> = None;
        for target in self.tiers.iter().flat_map(Tier::targets) {
            match Attempt::begin(&target.endpoint, asking.now) {
                // It was opened meanwhile.
                Ok(attempt) => return Ok((target, attempt)),
                Err(Barred::Breaker(wait)) => shut = Some(shut.map_or(wait, |shut| shut.min(wait))),
                Err(Barred::Unavailable) => {}
            }
        }
        Err(shut)
    }

    /// Begins a try at the endpoint that keeps the session with `token`; none if it keeps it no more, its gate is shut, or it was tried.
    pub(crate) fn pick_kept<C>(
        &self,
        token: u64,
        asking: &Asking<'_, C>,
        live: &Arc<UpstreamLive>,
    ) -> Option<(&Target, Attempt)> {
        let Keeping { target, until } = self.keeping.get(&token)?;
        let is_over = until.is_some_and(|until| Timestamp::now() >= until);
        if is_over || asking.tried.contains(&target.endpoint.id) {
            return None;
        }
        let mut attempt = Attempt::begin(&target.endpoint, asking.now).ok()?;
        if self.counts {
            attempt.counts(Counted::new(live).0);
        }
        Some((target, attempt))
    }

    /// All targets, those that take nothing new, too.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Target> {
        self.serving().chain(&self.resting)
    }

    /// All endpoints, by the number of the backend, of which there are `backends`.
    pub(crate) fn members(&self, backends: usize) -> Vec<Vec<Member>> {
        let mut members = vec![Vec::new(); backends];
        for target in self.all() {
            let member = Member { endpoint: Arc::clone(&target.endpoint), share: target.share };
            members[usize::from(target.backend)].push(member);
        }
        members
    }

    /// Those that take new requests if their gates let them.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &Target> {
        self.tiers.iter().flat_map(Tier::targets)
    }
}

impl Target {
    /// That of `member`, of a backend of the upstream with the number `upstream`; the shares of all of its backend are `shares`
    /// together.
    fn new(upstream: u64, backend: &config::Backend, index: u16, member: Member, shares: u32, is_alone: bool) -> Self {
        let Member { endpoint, share } = member;
        let name = super::hash::of_bytes(backend.name.as_str().as_bytes());
        let of_address = || super::hash::with(name, super::hash::of_bytes(endpoint.address.to_string().as_bytes()));
        let number = if is_alone { name } else { of_address() };
        // By the address wherever there may be several, so that a further one moves no session.
        let has_name = matches!(backend.address, BackendAddress::Dns(..) | BackendAddress::Srv(..));
        let place = if has_name { of_address() } else { name };
        Self {
            endpoint,
            backend: index,
            weight: f64::from(backend.weight.get()) * f64::from(share) / f64::from(shares),
            share,
            number,
            token: super::hash::with(upstream, place),
        }
    }
}
