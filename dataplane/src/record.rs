//! What is remembered of one request: its access-log line and its counters, written when the request ends.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use shared::value::Timestamp;
use uuid::Uuid;

use crate::{
    access_log::AccessLog,
    error::Reason,
    live::EndpointLive,
    protocol::Protocol,
    snapshot::{Listener, RouteLabels, Snapshot},
};

/// The record of one request. Dropping it writes the line, however the request ended.
pub(crate) struct AccessRecord {
    log: Option<AccessLog>,
    time: Timestamp,
    started: Instant,
    /// The request's id: in the log, and sent to the backend.
    pub(crate) request_id: Uuid,
    /// Who sent it.
    pub(crate) client: IpAddr,
    /// In which version.
    pub(crate) protocol: Protocol,
    /// What it was routed by; the counters of requests without a route until then.
    pub(crate) route: Arc<RouteLabels>,
    /// Bytes of the request's body.
    pub(crate) bytes_in: u64,
    /// Bytes of the response's body.
    pub(crate) bytes_out: u64,
    /// Tries at backends.
    pub(crate) tries: u32,
    /// What exactly was wrong with the bytes of a request or response that was refused: for operators, never for the client.
    pub(crate) detail: Option<&'static str>,
    listener: Arc<Listener>,
    endpoint: Option<Arc<EndpointLive>>,
    revision: u64,
    method: Box<str>,
    host: Box<str>,
    path: Box<str>,
    status: Option<u16>,
    reason: Option<Reason>,
    first_byte: Option<Duration>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    request_id: Uuid,
    client: IpAddr,
    protocol: &'a str,
    listener: &'a str,
    route: Option<&'a str>,
    upstream: Option<&'a str>,
    backend: Option<&'a str>,
    revision: u64,
    method: &'a str,
    host: &'a str,
    path: &'a str,
    status: u16,
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    bytes_in: u64,
    bytes_out: u64,
    duration_ms: f64,
    first_byte_ms: Option<f64>,
    tries: u32,
}

impl AccessRecord {
    /// The record of a request that came by `listener` from `client` just now.
    pub(crate) fn start(
        log: &AccessLog,
        request_id: Uuid,
        snapshot: &Snapshot,
        listener: Arc<Listener>,
        client: IpAddr,
        protocol: Protocol,
    ) -> Self {
        Self {
            log: snapshot.access_log.then(|| log.clone()),
            time: Timestamp::now(),
            started: Instant::now(),
            request_id,
            client,
            protocol,
            route: Arc::clone(&snapshot.no_route),
            bytes_in: 0,
            bytes_out: 0,
            tries: 0,
            detail: None,
            listener,
            endpoint: None,
            revision: snapshot.revision.0,
            method: "".into(),
            host: "".into(),
            path: "".into(),
            status: None,
            reason: None,
            first_byte: None,
        }
    }

    /// When the request began.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Notes what was asked for; of a malformed request as much as could be read.
    pub(crate) fn asked(&mut self, method: &str, host: &str, path: &str) {
        self.method = method.into();
        self.host = host.into();
        self.path = path.into();
    }

    /// Notes the endpoint that is tried now, and counts the request as on its way there until the record ends.
    pub(crate) fn tries_endpoint(&mut self, endpoint: &Arc<EndpointLive>) {
        self.leave_endpoint();
        self.tries += 1;
        endpoint.metrics.requests.inc();
        endpoint.metrics.in_flight.inc();
        self.endpoint = Some(Arc::clone(endpoint));
    }

    /// Notes the status that the client is told, and why if no backend said so.
    pub(crate) fn answered(&mut self, status: u16, reason: Option<Reason>) {
        self.status = Some(status);
        self.reason = reason;
        if reason.is_none() {
            self.first_byte = Some(self.started.elapsed());
        }
    }

    /// Notes why a response that had begun did not reach its end.
    pub(crate) fn aborted(&mut self, reason: Reason) {
        self.reason = Some(reason);
    }

    fn leave_endpoint(&mut self) {
        if let Some(endpoint) = &self.endpoint {
            endpoint.metrics.in_flight.dec();
        }
    }
}

impl Drop for AccessRecord {
    fn drop(&mut self) {
        self.leave_endpoint();
        // No status means that the connection's task was dropped while the request was on its way: the client went away.
        let status = self.status.unwrap_or(Reason::ClientGone.status());
        let reason = self.reason.or(self.status.is_none().then_some(Reason::ClientGone));
        let duration = self.started.elapsed();
        self.route.metrics.count(status);
        self.listener.metrics.requests[self.protocol as usize].inc();
        self.route.metrics.duration.observe(duration.as_secs_f64());
        let Some(log) = &self.log else { return };
        let millis = |duration: Duration| duration.as_micros() as f64 / 1000.0;
        let line = Line {
            time: self.time,
            request_id: self.request_id,
            client: self.client,
            protocol: self.protocol.word(),
            listener: self.listener.name.as_str(),
            route: Some(self.route.name.as_str()).filter(|name| !name.is_empty()),
            upstream: self.endpoint.as_ref().map(|endpoint| endpoint.upstream.as_str()),
            backend: self.endpoint.as_ref().map(|endpoint| endpoint.backend.as_str()),
            revision: self.revision,
            method: &self.method,
            host: &self.host,
            path: &self.path,
            status,
            reason: reason.map(Reason::word),
            detail: self.detail,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            duration_ms: millis(duration),
            first_byte_ms: self.first_byte.map(millis),
            tries: self.tries,
        };
        let mut text = Vec::with_capacity(512);
        if serde_json::to_writer(&mut text, &line).is_ok() {
            text.push(b'\n');
            log.write(text);
        }
    }
}
