//! The compiled configuration: parsed, indexed, immutable; one request uses one from start to end.

mod action;
mod affinity;
mod fallback;
mod ip_rules;
mod listener;
mod maintenance;
mod retries;
mod route;
mod session;
mod split;
mod transforms;
#[cfg(test)]
mod unrelated;
mod upstream;

use std::{collections::HashMap, sync::Arc};

use shared::{config::Config, protocol::Revision, routing, value::Name};

pub(crate) use action::Action;
pub(crate) use affinity::Affinity;
pub(crate) use fallback::{Fallback, Way};
pub(crate) use ip_rules::{IpRules, Verdict};
pub(crate) use listener::Listener;
pub(crate) use retries::{Cause, Policy};
pub(crate) use route::{Route, RouteLabels};
pub(crate) use session::NewSession;
pub(crate) use split::Split;
pub(crate) use upstream::{Picked, Unavailable, Upstream};

use crate::{answer::AnswerStyle, dns::Source, error::Reason, instant::Instant, live::Live};

/// One revision, ready for traffic.
pub(crate) struct Snapshot {
    /// Its number; 0 while there is none.
    pub(crate) revision: Revision,
    /// Which route takes a request: an index into `routes`.
    pub(crate) table: routing::Table,
    /// The routes in the order of the configuration.
    pub(crate) routes: Vec<Route>,
    /// The IP rules for everywhere.
    pub(crate) ip_rules: IpRules,
    /// What a request without a route is counted under, and what the settings say of answers.
    pub(crate) no_route: Arc<RouteLabels>,
    /// Counters of generated answers by reason.
    pub(crate) generated: Vec<prometheus_client::metrics::counter::Counter>,
    /// Whether access-log lines are written.
    pub(crate) access_log: bool,
    /// Whether any upstream tells its backends where connections come from.
    pub(crate) greets: bool,
    upstreams: HashMap<Name, Arc<Upstream>>,
    listeners: Vec<Option<Arc<Listener>>>,
}

impl Snapshot {
    /// Compiles `config`, which has passed validation, reusing what did not change since `previous`.
    ///
    /// Pure but for `live`, where state of new upstreams, backends and listeners is made.
    pub(crate) fn compile(config: &Config, revision: Revision, live: &Live, previous: &Self) -> Self {
        let upstreams: HashMap<Name, Arc<Upstream>> = config
            .upstreams
            .iter()
            .map(|upstream| {
                let same = previous.upstreams.get(&upstream.name).filter(|compiled| compiled.is_of(upstream));
                let compile = || Arc::new(Upstream::compile(upstream, live, previous.upstreams.get(&upstream.name)));
                (upstream.name.clone(), same.cloned().unwrap_or_else(compile))
            })
            .collect();
        let labels: HashMap<&str, &Arc<RouteLabels>> =
            previous.routes.iter().map(|route| (route.labels.name.as_str(), &route.labels)).collect();
        let style = AnswerStyle::of_settings(&config.settings);
        let no_route = match *previous.no_route.style == style {
            true => Arc::clone(&previous.no_route),
            false => Arc::new(RouteLabels::new("", live.metrics(), Arc::new(style))),
        };
        let mut rules = IpRules::by_scope(&config.ip_rules);
        let routes = config
            .routes
            .iter()
            .map(|route| {
                let style = AnswerStyle::of_route(&route.errors, &no_route.style);
                let same = labels.get(route.name.as_str()).filter(|labels| labels.style == style);
                let labels = same.map_or_else(
                    || Arc::new(RouteLabels::new(route.name.as_str(), live.metrics(), style)),
                    |labels| Arc::clone(labels),
                );
                let ip_rules = rules.remove(&Some(route.name.clone())).unwrap_or_default();
                let server = &config.settings.server_header;
                Route::compile(route, labels, ip_rules, server, &upstreams, live.metrics())
            })
            .collect();
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            let slot = live.listener_slot(listener.address.socket_addr());
            if listeners.len() <= slot {
                listeners.resize(slot + 1, None);
            }
            listeners[slot] = Some(Arc::new(Listener::compile(listener, &config.settings, live)));
        }
        Self {
            revision,
            table: routing::Table::build(&config.routes),
            routes,
            ip_rules: rules.remove(&None).unwrap_or_default(),
            no_route,
            generated: previous.generated.clone(),
            access_log: config.settings.access_log.enabled,
            greets: config.upstreams.iter().any(|upstream| upstream.proxy_protocol.is_some()),
            upstreams,
            listeners,
        }
    }

    /// The snapshot before the first: no listeners, no routes.
    pub(crate) fn empty(live: &Live) -> Self {
        Self {
            revision: Revision(0),
            table: routing::Table::build(&[]),
            routes: Vec::new(),
            ip_rules: IpRules::default(),
            no_route: Arc::new(RouteLabels::new("", live.metrics(), Arc::default())),
            generated: Reason::ALL.iter().map(|reason| live.metrics().generated(*reason)).collect(),
            access_log: false,
            greets: false,
            upstreams: HashMap::new(),
            listeners: Vec::new(),
        }
    }

    /// All upstreams, in no order.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.upstreams.values()
    }

    /// Where endpoints come from that are named by DNS: of which upstream, and which of its backends.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&Arc<Upstream>, usize, &Source)> {
        self.upstreams
            .values()
            .flat_map(|upstream| upstream.sources().iter().map(move |(backend, source)| (upstream, *backend, source)))
    }

    /// The upstream `name`.
    pub(crate) fn upstream(&self, name: &Name) -> Option<&Arc<Upstream>> {
        self.upstreams.get(name)
    }

    /// The listener in `slot`, if this revision has it.
    pub(crate) fn listener(&self, slot: usize) -> Option<&Arc<Listener>> {
        self.listeners.get(slot)?.as_ref()
    }

    /// Counts an answer that no backend gave.
    pub(crate) fn count_generated(&self, reason: Reason) {
        self.generated[reason as usize].inc();
    }

    /// Right before this snapshot acts: brings settings that live state has to act. What is under way sees them, too.
    pub(crate) fn configure_live(&self) {
        let now = Instant::now();
        self.upstreams.values().for_each(|upstream| upstream.configure_live(now));
    }

    /// After this snapshot replaced `previous`: forgets live state and counters that only `previous` named.
    pub(crate) fn forget_replaced(&self, previous: &Self, live: &Live) {
        let endpoints: std::collections::HashSet<u64> =
            self.upstreams.values().flat_map(|upstream| upstream.endpoint_ids()).collect();
        live.retain(|name| self.upstreams.contains_key(name), |endpoint| endpoints.contains(&endpoint.id));
        let names: std::collections::HashSet<&str> =
            self.routes.iter().map(|route| route.labels.name.as_str()).collect();
        for route in &previous.routes {
            if !names.contains(route.labels.name.as_str()) {
                live.metrics().remove_route(&route.labels.name);
            }
        }
        let listeners: std::collections::HashSet<&Name> =
            self.listeners.iter().flatten().map(|listener| &listener.name).collect();
        live.metrics().retain_listeners(&listeners);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{events::Events, metrics::Metrics};

    fn config(text: &str) -> Config {
        shared::document::read_config(text).unwrap()
    }

    #[test]
    fn what_did_not_change_is_reused() {
        let live = Live::new(Metrics::new(), Events::unheard());
        let text = |weight: u16| {
            format!(
                "upstreams: [{{name: a, backends: [{{name: x, address: 127.0.0.1:1, weight: {weight}}}]}}, {{name: b, backends: [{{name: x, address: 127.0.0.1:1}}]}}]\n\
                 routes: [{{name: r, action: {{forward: {{upstream: a}}}}}}]"
            )
        };
        let first = Snapshot::compile(&config(&text(1)), Revision(1), &live, &Snapshot::empty(&live));
        let second = Snapshot::compile(&config(&text(2)), Revision(2), &live, &first);
        let same = |name: &str| Arc::ptr_eq(&first.upstreams[name], &second.upstreams[name]);
        assert!(!same("a") && same("b"));
        assert!(Arc::ptr_eq(&first.routes[0].labels, &second.routes[0].labels));
        let endpoint = |snapshot: &Snapshot, name: &str| snapshot.upstreams[name].endpoint_ids()[0];
        assert_eq!(endpoint(&first, "a"), endpoint(&second, "a"));
        assert_ne!(endpoint(&first, "a"), endpoint(&first, "b"), "one address in two upstreams keeps separate state");
    }
}
