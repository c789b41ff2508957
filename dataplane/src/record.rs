//! What is remembered of one request: its access-log line and its counters, written when the request ends.

use std::{cell::Cell, net::IpAddr, sync::Arc, time::Duration};

use crate::{
    access_log::Line,
    connection::Connection,
    error::Reason,
    instant::Instant,
    live::EndpointLive,
    protocol::Protocol,
    request_id::{RequestId, Returned},
    snapshot::{Cause, RouteLabels, Snapshot},
    worker::Worker,
};

/// The record of one request. Dropping it writes the line, however the request ended.
pub(crate) struct AccessRecord<'a> {
    worker: &'a Worker,
    connection: &'a Connection,
    started: Instant,
    request_id: RequestId,
    client: IpAddr,
    /// In which version it came.
    pub(crate) protocol: Protocol,
    /// What it was routed by.
    pub(crate) route: Option<Arc<RouteLabels>>,
    /// Bytes of the request's body.
    pub(crate) bytes_in: u64,
    /// Bytes of the response's body.
    pub(crate) bytes_out: u64,
    /// Tries at backends.
    pub(crate) tries: u32,
    /// Why the try before the last failed.
    retried: Option<Cause>,
    /// Why the route's fallback acted.
    fallback: Cell<Option<Reason>>,
    /// What exactly was wrong with the bytes of a request or response that was refused: for operators, never for the client.
    pub(crate) detail: Option<&'static str>,
    endpoint: Option<Arc<EndpointLive>>,
    status: Cell<Option<u16>>,
    /// Whether the client was sent all that it was to be sent.
    is_over: bool,
    /// The status with which the backend answered last.
    backend_status: Option<u16>,
    reason: Option<Reason>,
    first_byte: Option<Duration>,
    /// When it was over, if that was noted.
    ended: Option<Instant>,
    /// What only the line needs; none if no line is written.
    line: Option<Asked>,
}

/// What was asked for.
struct Asked {
    revision: u64,
    /// Method, host and path, one behind the other: as short as heads are.
    text: String,
    /// Where the host and the path begin.
    host: u32,
    path: u32,
}

impl<'a> AccessRecord<'a> {
    /// The record of a request that came on `connection` just now.
    pub(crate) fn start(worker: &'a Worker, connection: &'a Connection, protocol: Protocol) -> Self {
        let started = worker.clock.now();
        Self {
            worker,
            connection,
            started,
            request_id: worker.clock.request_id(started).into(),
            client: connection.peer,
            protocol,
            route: None,
            bytes_in: 0,
            bytes_out: 0,
            tries: 0,
            retried: None,
            fallback: Cell::new(None),
            detail: None,
            endpoint: None,
            status: Cell::new(None),
            is_over: false,
            backend_status: None,
            reason: None,
            first_byte: None,
            ended: None,
            line: None,
        }
    }

    /// Notes what is in force for the request, and who sent it if that is not the peer.
    pub(crate) fn enters(&mut self, snapshot: &Snapshot, client: IpAddr) {
        self.client = client;
        let asked = || Asked { revision: snapshot.revision.0, text: String::new(), host: 0, path: 0 };
        self.line = snapshot.access_log.then(asked);
    }

    /// When the request began.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The request's id: in the log, and sent to the backend.
    pub(crate) fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    /// Takes the id that a trusted peer gave.
    pub(crate) fn takes_id(&mut self, id: RequestId) {
        self.request_id = id;
    }

    /// What an answer gets of ours.
    pub(crate) fn returned(&self) -> Returned {
        let listener = self.connection.listener.borrow();
        Returned::new(&listener.request_ids, &self.request_id, listener.forwarding.response_via)
    }

    /// The connection on which it came.
    pub(crate) fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// A random number; no secret.
    pub(crate) fn chance(&self) -> u64 {
        self.worker.clock.next_random()
    }

    /// Notes what was asked for; of a malformed request as much as could be read.
    pub(crate) fn asked(&mut self, method: &str, host: &str, path: &str) {
        let Some(line) = &mut self.line else { return };
        line.text.reserve_exact(method.len() + host.len() + path.len());
        line.host = method.len() as u32;
        line.path = (method.len() + host.len()) as u32;
        for part in [method, host, path] {
            line.text.push_str(part);
        }
    }

    /// Notes the endpoint that is tried now.
    pub(crate) fn tries_endpoint(&mut self, endpoint: &Arc<EndpointLive>) {
        self.tries += 1;
        endpoint.metrics.requests.inc();
        self.endpoint = Some(Arc::clone(endpoint));
    }

    /// Notes that the request is tried again for `cause`.
    pub(crate) fn retried(&mut self, cause: Cause) {
        self.retried = Some(cause);
    }

    /// Notes that the route's fallback acts for `reason`.
    pub(crate) fn fell_back(&self, reason: Reason) {
        self.fallback.set(Some(reason));
    }

    /// Notes the status of a response that begins to go to the client.
    pub(crate) fn begins(&self, status: u16) {
        self.status.set(Some(status));
    }

    /// Notes that the client was sent all that it was to be sent.
    pub(crate) fn completes(&mut self) {
        self.is_over = true;
    }

    /// Notes the status that the backend answered with, and when its answer came.
    pub(crate) fn answered(&mut self, status: u16, at: Instant) {
        self.status.set(Some(status));
        self.backend_status = Some(status);
        self.first_byte = Some(at.saturating_duration_since(self.started));
    }

    /// Notes that it is over, and was so at a moment that is known already: asking for the time costs as much as finding a route.
    pub(crate) fn ended(&mut self, at: Instant) {
        self.ended = Some(at);
    }

    /// Notes the status that the client is told, and why no backend said so.
    pub(crate) fn refused(&mut self, status: u16, reason: Reason) {
        self.status.set(Some(status));
        self.reason = Some(reason);
    }

    /// Notes the status of an answer of the proxy's own, and what was wrong if something was.
    pub(crate) fn generated(&mut self, status: u16, reason: Option<Reason>) {
        self.status.set(Some(status));
        self.reason = reason;
    }

    /// Notes why a response that had begun did not reach its end.
    pub(crate) fn aborted(&mut self, reason: Reason) {
        self.reason = Some(reason);
    }

    /// Why a request ends now whose task is dropped.
    #[cold]
    fn cut_off(&self) -> Reason {
        match std::thread::panicking() {
            true => Reason::Bug,
            false if self.worker.is_ending.get() => Reason::ShutDown,
            false => Reason::ClientGone,
        }
    }

    /// The status with which the backend answered last.
    pub(crate) fn backend_status(&self) -> Option<u16> {
        self.backend_status
    }

    fn write(&self, line: &mut Line<'_>, asked: &Asked, status: u16, reason: Option<Reason>, duration: Duration) {
        let Self { worker, connection, endpoint, .. } = self;
        line.plain(r#"{"time":"#, worker.clock.rfc3339(self.started));
        line.plain(r#","request_id":"#, self.request_id.as_bytes());
        line.plain(r#","client":"#, connection.text_of(self.client).as_bytes());
        line.plain(r#","peer":"#, connection.socket_peer());
        line.plain(r#","protocol":"#, self.protocol.word());
        line.plain(r#","listener":"#, connection.listener.borrow().name.as_str());
        line.plain_or_null(r#","route":"#, self.route.as_ref().map(|route| route.name.as_str()));
        line.plain_or_null(r#","upstream":"#, endpoint.as_ref().map(|endpoint| endpoint.upstream.as_str()));
        line.plain_or_null(r#","backend":"#, endpoint.as_ref().map(|endpoint| endpoint.backend.as_str()));
        line.number(r#","revision":"#, asked.revision);
        let (host, path) = (asked.host as usize, asked.path as usize);
        line.escaped(r#","method":"#, &asked.text[..host]);
        line.escaped(r#","host":"#, &asked.text[host..path]);
        line.escaped(r#","path":"#, &asked.text[path..]);
        line.number(r#","status":"#, status.into());
        line.plain_or_null(r#","reason":"#, reason.map(Reason::word));
        if let (Some(Reason::BackendError), Some(status)) = (reason, self.backend_status) {
            line.number(r#","backend_status":"#, status.into());
        }
        if let Some(detail) = self.detail {
            line.plain(r#","detail":"#, detail);
        }
        line.number(r#","bytes_in":"#, self.bytes_in);
        line.number(r#","bytes_out":"#, self.bytes_out);
        line.millis(r#","duration_ms":"#, duration);
        line.millis_or_null(r#","first_byte_ms":"#, self.first_byte);
        line.number(r#","tries":"#, self.tries.into());
        if let Some(cause) = self.retried {
            line.plain(r#","retried_for":"#, &*cause.word());
        }
        if let Some(reason) = self.fallback.get() {
            line.plain(r#","fallback":"#, reason.word());
        }
    }
}

impl Drop for AccessRecord<'_> {
    fn drop(&mut self) {
        let reason = self.reason.or_else(|| (!self.is_over).then(|| self.cut_off()));
        // What the client was told counts, whatever became of the rest.
        let status = self.status.get().or(reason.map(Reason::status)).unwrap_or_default();
        self.connection.listener.borrow().metrics.requests[self.protocol as usize].inc();
        let ended = self.ended.unwrap_or_else(|| self.worker.clock.now());
        let duration = ended.saturating_duration_since(self.started);
        match &self.route {
            Some(route) => route.metrics.observe(status, duration),
            // Somebody above may be looking at the snapshot, and a panic within a panic ends the process.
            None if std::thread::panicking() => {}
            None => self.worker.with_snapshot(|snapshot| snapshot.no_route.metrics.observe(status, duration)),
        }
        if let Some(asked) = &self.line {
            self.worker.access_log.add(|line| self.write(line, asked, status, reason, duration));
        }
    }
}
