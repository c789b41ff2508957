use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet},
    metrics::{MetricType, counter::Counter, family::Family},
    registry::{Registry, Unit},
};
use tokio::sync::watch;

use crate::dns::{Fault, Known};

/// Counters of resolving; clones share them.
#[derive(Clone, Default)]
pub(crate) struct DnsMetrics {
    lookups: Family<ResultLabel, Counter>,
    names: Names,
}

/// Handles for lookups.
#[derive(Clone, Debug)]
pub(crate) struct LookupMetrics {
    results: [Counter; RESULTS.len()],
}

/// What is known of names, looked at when somebody asks.
#[derive(Clone, Debug, Default)]
struct Names(Arc<Mutex<BTreeMap<String, watch::Receiver<Known>>>>);

/// A name whose age is shown while this lives.
pub(crate) struct ShownName {
    name: String,
    names: Names,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct NameLabel {
    name: String,
}

/// The first is that of an answer, the others the words of faults.
const RESULTS: [&str; 4] = ["ok", "empty", "timeout", "failed"];

impl LookupMetrics {
    /// Counts a lookup that ended with `fault`, or well.
    pub(crate) fn count(&self, fault: Option<&Fault>) {
        let word = fault.map_or(RESULTS[0], Fault::word);
        if let Some(index) = RESULTS.iter().position(|result| *result == word) {
            self.results[index].inc();
        }
    }
}

impl DnsMetrics {
    /// Registers all of them.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("dns_lookups", "Lookups of names of backends, by result", self.lookups.clone());
        registry.register_collector(Box::new(self.names.clone()));
        drop(self.lookups());
    }

    /// Handles for lookups.
    pub(crate) fn lookups(&self) -> LookupMetrics {
        let results = RESULTS.map(|result| self.lookups.get_or_create_owned(&ResultLabel { result }));
        LookupMetrics { results }
    }

    /// Shows how old what is `known` of `name` is.
    pub(crate) fn show(&self, name: String, known: watch::Receiver<Known>) -> ShownName {
        self.names.lock().insert(name.clone(), known);
        ShownName { name, names: self.names.clone() }
    }
}

impl Drop for ShownName {
    fn drop(&mut self) {
        self.names.lock().remove(&self.name);
    }
}

impl Names {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, watch::Receiver<Known>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Names {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut metric = encoder.encode_descriptor(
            "dns_age",
            "How long ago a name of backends was answered last",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for (name, known) in self.lock().iter() {
            if let Some(answered) = known.borrow().answered {
                let labels = NameLabel { name: name.clone() };
                metric.encode_family(&labels)?.encode_gauge(&answered.elapsed().as_secs_f64())?;
            }
        }
        Ok(())
    }
}
