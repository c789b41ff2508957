//! The control plane's own numbers, for Prometheus. All handles are made once, at start.

use std::{
    sync::atomic::AtomicU64,
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
        Self { registry, requests, revision, commits, commit_duration, data_planes }
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

    /// All numbers as `OpenMetrics` text.
    pub(crate) fn text(&self, connected: usize) -> String {
        self.data_planes.set(connected as u64);
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
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
        let text = metrics.text(2);
        for line in [
            "tidegate_controlplane_api_requests_total{method=\"GET\",status=\"2xx\"} 1",
            "tidegate_controlplane_api_requests_total{method=\"other\",status=\"4xx\"} 1",
            "tidegate_controlplane_config_revision 7",
            "tidegate_controlplane_commits_total 1",
            "tidegate_controlplane_commit_duration_seconds_count 1",
            "tidegate_controlplane_data_planes_connected 2",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
