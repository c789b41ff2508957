//! The life of a request, top to bottom.
//!
//! Steps have the same names here, in the log, in the metrics and in `ARCHITECTURE.md`: parse, client address, global IP rules,
//! match route, route IP rules, choose backend, rewrite, forward, record.

use std::{
    borrow::Cow,
    cell::{Ref, RefCell},
    net::IpAddr,
    rc::Rc,
    sync::Arc,
};

use http1::{Asked, Method, RequestBody, Upgrade, write};
use shared::value::Timestamp;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::{
    client_address,
    engine::{self, Client, Ended, Exchange, Read, Scratch, Upstream},
    error::Reason,
    forwarding::{self, Hop},
    head::{Request, RoutedRequest},
    live::EndpointLive,
    metrics::ListenerMetrics,
    record::AccessRecord,
    snapshot::{Listener, Snapshot, Verdict},
    worker::Worker,
};

/// What all requests of a client connection share.
pub(crate) struct Connection {
    peer: IpAddr,
    peer_text: Box<str>,
    /// Where snapshots hold the listener.
    slot: usize,
    /// The listener as last seen: a connection outlives its listener while it drains.
    pub(crate) listener: RefCell<Arc<Listener>>,
    _open: Open,
}

/// Counts a connection as open while it lives.
struct Open {
    metrics: ListenerMetrics,
}

impl Open {
    fn new(metrics: &ListenerMetrics) -> Self {
        metrics.connections.inc();
        metrics.open.inc();
        Self { metrics: metrics.clone() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.open.dec();
    }
}

impl Connection {
    /// A connection from `peer` by `listener`, which snapshots hold in `slot`.
    pub(crate) fn new(peer: IpAddr, slot: usize, listener: Arc<Listener>) -> Self {
        let peer = peer.to_canonical();
        let open = Open::new(&listener.metrics);
        Self { peer, peer_text: peer.to_string().into(), slot, listener: RefCell::new(listener), _open: open }
    }

    /// The listener as it is now.
    fn listener(&self, snapshot: &Snapshot) -> Ref<'_, Arc<Listener>> {
        if let Some(listener) = snapshot.listener(self.slot)
            && !Arc::ptr_eq(&self.listener.borrow(), listener)
        {
            *self.listener.borrow_mut() = Arc::clone(listener);
        }
        self.listener.borrow()
    }

    /// How `client`, mostly the peer, is written.
    pub(crate) fn text_of(&self, client: IpAddr) -> Cow<'_, str> {
        if client == self.peer { Cow::Borrowed(&self.peer_text) } else { Cow::Owned(client.to_string()) }
    }
}

/// What becomes of a client's connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It takes another request.
    Keep,
    /// It is closed once the client has read what was sent, though it may still be sending.
    Linger,
    /// It is closed at once.
    Close,
}

/// Serves one client connection until it ends, or after `stop` until the request under way is answered.
pub(crate) async fn serve(worker: Rc<Worker>, connection: Connection, stream: TcpStream, stop: CancellationToken) {
    let mut client = Client::new(stream, worker.deadlines.deadline(), stop);
    let mut memory: Option<Box<Scratch>> = None;
    loop {
        let read = client.read_head(&worker, &mut memory).await;
        let Some(mut scratch) = memory.take() else { return };
        let refused = match read {
            Read::Head => None,
            Read::Fault(fault) => Some(Reason::of_request(fault)),
            Read::TooSlow => Some(Reason::RequestTimeout),
            Read::End => return worker.give_back(scratch),
        };
        // In boxes, so that a connection that waits for a request has no room for what only a request needs.
        let next = match refused {
            None => Box::pin(handle(&worker, &connection, &mut client, &mut scratch)).await,
            Some(reason) => Box::pin(refuse(&worker, &connection, &mut client, &mut scratch, reason)).await,
        };
        worker.give_back(scratch);
        match next {
            Next::Keep => {}
            Next::Linger => return Box::pin(client.linger()).await,
            Next::Close => return,
        }
    }
}

/// Answers one request whose head is complete.
async fn handle(worker: &Worker, connection: &Connection, client: &mut Client, scratch: &mut Scratch) -> Next {
    // One snapshot for the whole request: a publish in the middle must not mix two configurations.
    // A long request keeps the few things it needs of it.
    let (mut record, chosen) = worker.with_snapshot(|snapshot| {
        let listener = connection.listener(snapshot);
        let bytes = client.input.bytes();
        let from = client_address::of(connection.peer, &scratch.request.fields, bytes, &listener.trusted_proxies);
        let mut record = AccessRecord::start(worker, connection, snapshot, from.address);
        let chosen = choose(snapshot, &listener, connection, from, scratch, bytes, &mut record);
        (record, chosen)
    });

    client.input.consume(scratch.request.len as usize);
    client.version = scratch.request.version;
    let keeps = scratch.request.keep_alive && !client.stop.is_cancelled();
    let failed = match chosen {
        Ok(endpoint) => match forward(worker, &endpoint, client, scratch, keeps, &mut record).await {
            Ok(next) => return next,
            Err(reason) => reason,
        },
        Err(reason) => reason,
    };
    if failed == Reason::ClientGone {
        record.refused(failed);
        return Next::Close;
    }
    let is_readable = !matches!(failed, Reason::BadRequest | Reason::MethodRefused);
    let keeps = keeps && is_readable && skip_body(client, scratch.request.body, record.bytes_in);
    Box::pin(answer(worker, client, scratch, failed, keeps, record)).await
}

/// Steps from parsing to the head for the backend, which stands in `scratch.out` afterwards.
fn choose(
    snapshot: &Snapshot,
    listener: &Listener,
    connection: &Connection,
    from: client_address::Client,
    scratch: &mut Scratch,
    bytes: &[u8],
    record: &mut AccessRecord<'_>,
) -> Result<Arc<EndpointLive>, Reason> {
    let Scratch { request: head, out, .. } = scratch;
    let request = Request::read(head, bytes).inspect_err(|_| {
        let text = |span: http1::Span| String::from_utf8_lossy(span.of(bytes));
        record.asked(&text(head.method_name), "", &text(head.target.path));
    })?;
    record.asked(request.method, &request.host, &request.path);

    if snapshot.ip_rules.verdict(from.address, Timestamp::now) == Verdict::Denied {
        return Err(Reason::IpDenied);
    }
    let routed = RoutedRequest { request: &request, client: from.address, listener: listener.name.as_str() };
    let route = snapshot.table.find(&routed).map(|index| &snapshot.routes[index]).ok_or(Reason::NoRoute)?;
    record.route = Some(Arc::clone(&route.labels));
    if route.ip_rules.verdict(from.address, Timestamp::now) == Verdict::Denied {
        return Err(Reason::IpDenied);
    }

    let backend = route.upstream.pick().ok_or(Reason::NoBackend)?;
    let hop = Hop {
        peer: &connection.peer_text,
        peer_is_trusted: from.peer_is_trusted,
        request_id: record.request_id(),
        host: &route.host,
        backend: &backend.authority,
    };
    forwarding::write(out, &request, &hop);
    Ok(Arc::clone(&backend.live))
}

/// Sends the request to `endpoint` and its response to the client.
///
/// A pooled connection may have been closed by the backend meanwhile: then the request is replayed once on a fresh one, if
/// no byte of a response came, none of its body was read, and either nothing was sent or it may be delivered twice.
///
/// # Errors
/// Why there was no response; nothing was sent to the client then.
async fn forward(
    worker: &Worker,
    endpoint: &Arc<EndpointLive>,
    client: &mut Client,
    scratch: &mut Scratch,
    keeps: bool,
    record: &mut AccessRecord<'_>,
) -> Result<Next, Reason> {
    record.tries_endpoint(endpoint);
    let Scratch { request, response, out, appended } = scratch;
    let asked = Asked { method: request.method, upgrade: matches!(request.upgrade, Upgrade::To(_)) };
    let mut pooled = worker.pool.take(endpoint);
    let (ended, upstream) = loop {
        let is_pooled = pooled.is_some();
        let mut upstream = match pooled.take() {
            Some(upstream) => upstream,
            None => connected(endpoint).await?,
        };
        let ended = Exchange::new(worker, client, &mut upstream, out, request.body, asked, response, appended, keeps)
            .run()
            .await;
        let is_stale = is_pooled && ended.failure == Some(Reason::UpstreamReset) && !ended.response_began;
        if is_stale && !ended.body_was_read && (request.method.is_idempotent() || !ended.was_sent) {
            continue;
        }
        break (ended, upstream);
    };
    record.bytes_in = ended.bytes_in;
    record.bytes_out = ended.bytes_out;
    if let Some(reason) = ended.failure {
        count_failure(endpoint, reason);
    }
    match (ended.answered, ended.failure) {
        (None, failure) => Err(failure.unwrap_or(Reason::UpstreamReset)),
        (Some((status, at)), Some(reason)) => {
            record.answered(status, at);
            record.aborted(reason);
            Ok(Next::Close)
        }
        (Some((status, at)), None) => {
            record.answered(status, at);
            Ok(finish(worker, endpoint, client, upstream, &ended, response.keep_alive_timeout, record).await)
        }
    }
}

/// What follows a whole response: the connections are kept, or become a tunnel.
async fn finish(
    worker: &Worker,
    endpoint: &Arc<EndpointLive>,
    client: &mut Client,
    mut upstream: Upstream,
    ended: &Ended,
    keep_alive_timeout: Option<u32>,
    record: &mut AccessRecord<'_>,
) -> Next {
    if ended.is_upgraded {
        let (up, down) = Box::pin(engine::tunnel(client, &mut upstream, &ended.rest)).await;
        record.bytes_in += up;
        record.bytes_out += down;
        return Next::Close;
    }
    if ended.keeps_upstream {
        worker.pool.put(endpoint, upstream, keep_alive_timeout);
    }
    match ended.keeps_client {
        true => Next::Keep,
        // Closing with unread bytes would reset the connection under the response.
        false if !ended.was_read || !client.input.is_empty() => Next::Linger,
        false => Next::Close,
    }
}

async fn connected(endpoint: &EndpointLive) -> Result<Upstream, Reason> {
    let connected = Box::pin(engine::connect(&endpoint.address)).await;
    match &connected {
        Ok(_) => drop(endpoint.metrics.connections.inc()),
        Err(reason) => count_failure(endpoint, *reason),
    }
    connected
}

fn count_failure(endpoint: &EndpointLive, reason: Reason) {
    match reason {
        Reason::ConnectFailed | Reason::ConnectTimeout => drop(endpoint.metrics.connect_failures.inc()),
        Reason::UpstreamTimeout => drop(endpoint.metrics.timeouts.inc()),
        Reason::UpstreamReset | Reason::BadResponse => drop(endpoint.metrics.resets.inc()),
        // Not the backend's fault.
        _ => {}
    }
}

/// Bytes of a refused request's first line that its log line shows.
const SHOWN: usize = 512;

/// Refuses a head that could not be read.
async fn refuse(
    worker: &Worker,
    connection: &Connection,
    client: &mut Client,
    scratch: &mut Scratch,
    reason: Reason,
) -> Next {
    let mut record = worker.with_snapshot(|snapshot| {
        connection.listener(snapshot);
        AccessRecord::start(worker, connection, snapshot, connection.peer)
    });
    // What can be told of a first line that may be anything.
    let shown = &client.input.bytes()[..client.input.bytes().len().min(SHOWN)];
    let line = String::from_utf8_lossy(shown.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default());
    let mut words = line.split(' ');
    record.asked(words.next().unwrap_or_default(), "", words.next().unwrap_or_default());
    scratch.request = http1::RequestHead::default();
    answer(worker, client, scratch, reason, false, record).await
}

/// Passes over the body of a request that is not forwarded, if all of it is there; else the connection cannot be kept.
fn skip_body(client: &mut Client, body: RequestBody, already_read: u64) -> bool {
    match body {
        _ if already_read > 0 => false,
        RequestBody::None => true,
        RequestBody::Length(length) => match usize::try_from(length) {
            Ok(length) if length <= client.input.bytes().len() => {
                client.input.consume(length);
                true
            }
            _ => false,
        },
        RequestBody::Chunked => false,
    }
}

/// The proxy's own answer: a status, the reason word, and nothing that helps an attacker.
async fn answer(
    worker: &Worker,
    client: &mut Client,
    scratch: &mut Scratch,
    reason: Reason,
    keeps: bool,
    mut record: AccessRecord<'_>,
) -> Next {
    let has_routes = worker.with_snapshot(|snapshot| {
        snapshot.count_generated(reason);
        !snapshot.routes.is_empty()
    });
    let status = reason.status();
    record.refused(reason);
    let text = if reason == Reason::NoRoute && !has_routes {
        FIRST_STEPS.to_owned()
    } else {
        format!("{status} {}\n{}\nrequest id: {}\n", reason.word(), reason.sentence(), record.request_id())
    };
    let out = &mut scratch.out;
    out.clear();
    write::status_line(out, status, reason.phrase().as_bytes());
    write::line(out, b"Content-Type", b"text/plain; charset=utf-8");
    write::line(out, b"Content-Length", text.len().to_string().as_bytes());
    write::line(out, b"Cache-Control", b"no-store");
    write::line(out, b"Date", &worker.clock.date());
    let proxy_status = format!("tidegate; error={}; details=\"{}\"", reason.proxy_error(), reason.word());
    write::line(out, b"Proxy-Status", proxy_status.as_bytes());
    if reason == Reason::MethodRefused {
        write::line(out, b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE");
    }
    if !keeps {
        write::line(out, b"Connection", b"close");
    } else if client.version == http1::Version::Http10 {
        write::line(out, b"Connection", b"keep-alive");
    }
    write::end(out);
    if scratch.request.method != Method::Head {
        out.extend_from_slice(text.as_bytes());
        record.bytes_out = text.len() as u64;
    }
    match client.send(out).await {
        true if keeps => Next::Keep,
        true => Next::Linger,
        false => Next::Close,
    }
}

/// The answer while there is no route at all.
const FIRST_STEPS: &str = r#"404 no_route
Tidegate is running and has no route yet. Three requests to its REST API make the first one:

  T="Authorization: Bearer $(cat tidegate-data/admin.token)"; A=http://127.0.0.1:7080/api/v1; J="content-type: application/json"
  curl -H "$T" -H "$J" $A/upstreams -d '{"name":"web"}'
  curl -H "$T" -H "$J" $A/upstreams/web/backends -d '{"name":"a","address":"127.0.0.1:9001"}'
  curl -H "$T" -H "$J" $A/routes -d '{"name":"web","match":{},"action":{"forward":{"upstream":"web"}}}'

The API explains itself at http://127.0.0.1:7080/docs.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn size<F: Future>(_: impl FnOnce() -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    #[expect(unreachable_code, reason = "only the types are of interest")]
    fn a_waiting_connection_is_small_and_a_request_little() {
        let waits = size(|| serve(unreachable!(), unreachable!(), unreachable!(), unreachable!()));
        assert!(waits <= 512, "{waits} bytes for each idle connection");
        // The system's allocator has a quick way for up to 1032 bytes.
        let asks = size(|| handle(unreachable!(), unreachable!(), unreachable!(), unreachable!()));
        assert!(asks <= 1024, "{asks} bytes are allocated for each request");
    }
}
