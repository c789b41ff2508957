use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use shared::{status::Event, value::Name};

/// Changes of the state of endpoints; clones share them.
#[derive(Clone, Default)]
pub(super) struct Transitions {
    counters: Family<Labels, Counter>,
    /// Those that exist.
    named: Arc<Mutex<HashSet<Labels>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    upstream: String,
    backend: String,
    input: &'static str,
    to: String,
}

impl Transitions {
    /// Registers them.
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Changes of an endpoint's state, by what changed and the state after";
        registry.register("endpoint_transitions", help, self.counters.clone());
    }

    /// Counts `event`. Off the request path.
    pub(super) fn count(&self, event: &Event) {
        let labels = Labels {
            upstream: event.upstream.to_string(),
            backend: event.backend.to_string(),
            input: event.transition.input.word(),
            to: event.transition.to.clone(),
        };
        self.counters.get_or_create(&labels).inc();
        self.named.lock().unwrap_or_else(PoisonError::into_inner).insert(labels);
    }

    /// Forgets all but those of `kept` (upstream and backend).
    pub(super) fn retain(&self, kept: &HashSet<(Name, Name)>) {
        let kept: HashSet<(&str, &str)> =
            kept.iter().map(|(upstream, backend)| (upstream.as_str(), backend.as_str())).collect();
        self.named.lock().unwrap_or_else(PoisonError::into_inner).retain(|labels| {
            let keep = kept.contains(&(labels.upstream.as_str(), labels.backend.as_str()));
            if !keep {
                self.counters.remove(labels);
            }
            keep
        });
    }
}
