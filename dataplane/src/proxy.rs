//! The life of a request, top to bottom.
//!
//! Steps have the same names here, in the log, in the metrics and in `ARCHITECTURE.md`: parse, client address, global IP rules,
//! match route, route IP rules, rewrite, choose backend, forward, response headers, record.

use std::{cell::Cell, cell::RefCell, net::IpAddr, rc::Rc, sync::Arc};

use bytes::Bytes;
use shared::value::Timestamp;

use crate::{
    client_address,
    error::Reason,
    forwarding,
    head::{Fields, RequestHead, ResponseHead, RoutedRequest},
    hop_by_hop,
    record::AccessRecord,
    snapshot::{Listener, Snapshot, Verdict},
    transport::{AnswerBody, RequestBody, ResponseBody},
    upstream,
    worker::Worker,
};

/// What all requests of a client connection share.
pub(crate) struct Connection {
    /// The other end of the socket.
    pub(crate) peer: IpAddr,
    /// Where snapshots hold the listener.
    pub(crate) slot: usize,
    /// The listener as last seen: a connection outlives its listener while it drains.
    pub(crate) listener: RefCell<Arc<Listener>>,
}

impl Connection {
    fn listener(&self, snapshot: &Snapshot) -> Arc<Listener> {
        if let Some(listener) = snapshot.listener(self.slot) {
            let mut last = self.listener.borrow_mut();
            if !Arc::ptr_eq(&last, listener) {
                *last = Arc::clone(listener);
            }
        }
        Arc::clone(&self.listener.borrow())
    }
}

/// A request as a transport read it.
pub(crate) struct RawRequest {
    /// The method as sent.
    pub(crate) method: Box<str>,
    /// The path as sent, for the log line of a request that is refused.
    pub(crate) target: Box<str>,
    /// The head, or why it is refused.
    pub(crate) head: Result<RequestHead, Reason>,
    /// The header lines of a refused head.
    pub(crate) fields: Fields,
}

/// Answers one request, always. `body` makes the request's body, given the counter of its bytes.
pub(crate) async fn handle(
    worker: &Rc<Worker>,
    connection: &Connection,
    request: RawRequest,
    body: impl FnOnce(Rc<Cell<u64>>) -> RequestBody,
) -> (ResponseHead, AnswerBody) {
    // One snapshot for the whole request: a publish in the middle must not mix two configurations.
    let snapshot = worker.snapshot();
    let listener = connection.listener(&snapshot);
    let fields = request.head.as_ref().map_or(&request.fields, |head| &head.fields);
    let client = client_address::of(connection.peer, fields, &listener.trusted_proxies);
    let mut record = AccessRecord::start(&worker.access_log, &snapshot, Arc::clone(&listener), client.address);
    let is_head = &*request.method == "HEAD";

    let forwarded = match request.head {
        Ok(head) => {
            record.asked(&head.method, &head.host, &head.path);
            let body = body(Rc::clone(&record.bytes_in));
            forward(worker, &snapshot, &listener, connection.peer, client, head, body, &mut record).await
        }
        Err(reason) => {
            record.asked(&request.method, "", &request.target);
            Err(reason)
        }
    };
    match forwarded {
        Ok((head, body)) => {
            record.answered(head.status, None);
            (head, AnswerBody::streamed(body, record))
        }
        Err(reason) => generated(&snapshot, reason, is_head, record),
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "what the steps share, named; a struct for one call would only rename it"
)]
async fn forward(
    worker: &Rc<Worker>,
    snapshot: &Snapshot,
    listener: &Listener,
    peer: IpAddr,
    client: client_address::Client,
    mut head: RequestHead,
    body: RequestBody,
    record: &mut AccessRecord,
) -> Result<(ResponseHead, ResponseBody), Reason> {
    if snapshot.ip_rules.verdict(client.address, Timestamp::now) == Verdict::Denied {
        return Err(Reason::IpDenied);
    }
    let routed = RoutedRequest { head: &head, client: client.address, listener: listener.name.as_str() };
    let route = snapshot.table.find(&routed).map(|index| &snapshot.routes[index]).ok_or(Reason::NoRoute)?;
    record.route = Arc::clone(&route.labels);
    if route.ip_rules.verdict(client.address, Timestamp::now) == Verdict::Denied {
        return Err(Reason::IpDenied);
    }

    hop_by_hop::remove_from_request(&mut head.fields);
    forwarding::write(&mut head, peer, client.peer_is_trusted, &record.request_id.to_string());

    let backend = route.upstream.pick().ok_or(Reason::NoBackend)?;
    let host = forwarding::host(&route.host, &head, &backend.authority);
    let (mut response, body) = upstream::send(worker, &backend.live, &head, host, body, record).await?;

    hop_by_hop::remove(&mut response.fields);
    Ok((response, body))
}

/// The proxy's own answer: a status, the reason word, and nothing that helps an attacker.
fn generated(
    snapshot: &Snapshot,
    reason: Reason,
    is_head: bool,
    mut record: AccessRecord,
) -> (ResponseHead, AnswerBody) {
    snapshot.count_generated(reason);
    let status = reason.status();
    record.answered(status, Some(reason));
    let text = if reason == Reason::NoRoute && snapshot.routes.is_empty() {
        FIRST_STEPS.to_owned()
    } else {
        format!("{status} {}\n{}\nrequest id: {}\n", reason.word(), reason.sentence(), record.request_id)
    };
    let mut fields = Fields::with_capacity(4, 256);
    fields.push(b"Content-Type", b"text/plain; charset=utf-8");
    fields.push(b"Content-Length", text.len().to_string().as_bytes());
    fields.push(b"Cache-Control", b"no-store");
    let proxy_status = format!("tidegate; error={}; details=\"{}\"", reason.proxy_error(), reason.word());
    fields.push(b"Proxy-Status", proxy_status.as_bytes());
    if reason == Reason::MethodRefused {
        fields.push(b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE");
    }
    if reason == Reason::BadRequest {
        // What could not be read in one way only leaves no safe place to go on reading from (RFC 9112 §11.2).
        fields.push(b"Connection", b"close");
    }
    let bytes = if is_head { Bytes::new() } else { Bytes::from(text) };
    (ResponseHead { status, fields }, AnswerBody::generated(bytes, record))
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
