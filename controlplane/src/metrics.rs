//! The control plane's own numbers, for Prometheus. All handles are made once, at start.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use axum::http::{Method, StatusCode};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use shared::protocol::Revision;

/// Methods with a label of their own; anything else is counted as `other`, because a client chooses it.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// From a bare commit on a fast disk to a whole import.
const COMMIT_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    status: &'static str,
}

/// The registry and the handles.
pub(crate) struct Metrics {
    registry: Registry,
    /// By method (the last is `other`), then by class.
    requests: [[Counter; CLASSES.len()]; METHODS.len() + 1],
    revision: Gauge<u64, AtomicU64>,
    commits: Counter,
    commit_duration: Histogram,
    data_planes: Gauge<u64, AtomicU64>,
    events: Gauge<u64, AtomicU64>,
    event_readers: Gauge<u64, AtomicU64>,
    event_readers_missed: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tidegate_controlplane");
        let family: Family<RequestLabels, Counter> = Family::default();
        registry.register("api_requests", "Requests of the REST API", family.clone());
        let requests = std::array::from_fn(|method| {
            let method = METHODS.get(method).copied().unwrap_or("other");
            CLASSES.map(|status| family.get_or_create_owned(&RequestLabels { method, status }))
        });
        let (revision, data_planes) = (Gauge::default(), Gauge::default());
        registry.register("config_revision", "The newest committed revision", revision.clone());
        registry.register("data_planes_connected", "Data planes that are connected now", data_planes.clone());
        let commits = Counter::default();
        registry.register("commits", "Committed revisions since the start", commits.clone());
        let commit_duration = Histogram::new(COMMIT_SECONDS);
        registry.register_with_unit(
            "commit_duration",
            "From taking the write lock to handing the snapshot to the publisher",
            Unit::Seconds,
            commit_duration.clone(),
        );
        let (events, event_readers) = (Gauge::default(), Gauge::default());
        registry.register("events", "Events since the start", events.clone());
        registry.register("event_readers", "Clients that read the event stream now", event_readers.clone());
        let event_readers_missed = Counter::default();
        let help = "Readers of the event stream that were too slow, and whose stream was ended";
        registry.register("event_readers_missed", help, event_readers_missed.clone());
        Self {
            registry,
            requests,
            revision,
            commits,
            commit_duration,
            data_planes,
            events,
            event_readers,
            event_readers_missed,
        }
    }

    /// Counts an answered request.
    pub(crate) fn request(&self, method: &Method, status: StatusCode) {
        let method = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len());
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.requests[method][class].inc();
    }

    /// Notes the newest revision.
    pub(crate) fn committed(&self, revision: Revision) {
        self.revision.set(revision.0);
    }

    /// Counts a commit that began at `started`.
    pub(crate) fn commit(&self, started: Instant) {
        self.commits.inc();
        self.commit_duration.observe(Duration::as_secs_f64(&started.elapsed()));
    }

    /// Most clients that read the event stream at one time. They are long-lived, and others need connections, too.
    pub(crate) const EVENT_READERS: u64 = 64;

    /// A place for one more reader of the event stream; none if all are taken.
    pub(crate) fn event_reader(self: &Arc<Self>) -> Option<EventReader> {
        let place = EventReader { metrics: Arc::clone(self) };
        // Counted first: two that come at one moment may not both take the last place.
        (self.event_readers.inc() < Self::EVENT_READERS).then_some(place)
    }

    /// All numbers as `OpenMetrics` text, with those that others count.
    pub(crate) fn text(&self, connected: usize, events: u64) -> String {
        self.data_planes.set(connected as u64);
        self.events.set(events);
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// The place of a reader of the event stream, given back when it is dropped.
pub(crate) struct EventReader {
    metrics: Arc<Metrics>,
}

impl EventReader {
    /// Notes that the reader was too slow.
    pub(crate) fn missed(&self) {
        self.metrics.event_readers_missed.inc();
    }
}

impl Drop for EventReader {
    fn drop(&mut self) {
        self.metrics.event_readers.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_method_and_class() {
        let metrics = Metrics::new();
        metrics.request(&Method::GET, StatusCode::OK);
        metrics.request(&Method::GET, StatusCode::NOT_MODIFIED);
        metrics.request(&Method::from_bytes(b"PURGE").unwrap(), StatusCode::METHOD_NOT_ALLOWED);
        metrics.commit(Instant::now());
        metrics.committed(Revision(7));
        let text = metrics.text(2, 5);
        for line in [
            "tidegate_controlplane_api_requests_total{method=\"GET\",status=\"2xx\"} 1",
            "tidegate_controlplane_api_requests_total{method=\"other\",status=\"4xx\"} 1",
            "tidegate_controlplane_config_revision 7",
            "tidegate_controlplane_commits_total 1",
            "tidegate_controlplane_commit_duration_seconds_count 1",
            "tidegate_controlplane_data_planes_connected 2",
            "tidegate_controlplane_events 5",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn readers_of_events_have_places_that_come_back() {
        let metrics = Arc::new(Metrics::new());
        let readers: Vec<_> = (0..Metrics::EVENT_READERS).map(|_| metrics.event_reader().unwrap()).collect();
        assert!(metrics.event_reader().is_none());
        assert!(metrics.text(0, 0).contains("tidegate_controlplane_event_readers 64"));
        drop(readers);
        assert!(metrics.event_reader().is_some());
    }
}
