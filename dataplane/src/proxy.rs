//! The life of a request, top to bottom.
//!
//! Steps have the same names here, in the log, in the metrics and in `ARCHITECTURE.md`: parse, client address, global IP rules,
//! match route, route IP rules, choose backend, rewrite, forward, record.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use http1::{Asked, Method, RequestBody, ResponseBody, ResponseHead, Upgrade, write};
use shared::{config::UpstreamProtocol, value::Timestamp};

use crate::{
    accept::Accept,
    answer::{self, Answer, Audience, Instead},
    attempt::Attempt,
    client_address,
    connection::Connection,
    engine::{self, Client, Ended, Exchange, Greeting, Read, Scratch, Span, Terms, Timeouts, Upstream, Wanted},
    error::Reason,
    forwarding::{self, Hop},
    h2::{self, Finished},
    head::{Request, RoutedRequest},
    header_rules::Edits,
    live::EndpointLive,
    protocol::Protocol,
    record::AccessRecord,
    request_id::Returned,
    snapshot::{Action, Listener, Picked, Route, Snapshot, Verdict},
    template::Facts,
    worker::Worker,
};

/// Where a request goes and how.
pub(crate) struct Chosen {
    /// What it speaks.
    pub(crate) protocol: UpstreamProtocol,
    /// Whether a call of gRPC-Web becomes one of gRPC.
    pub(crate) grpc_web: bool,
    /// How long its parts may take.
    pub(crate) timeouts: Timeouts,
    /// Bytes that its body may have.
    pub(crate) body_limit: u64,
    /// What becomes of the response's header fields.
    pub(crate) response_headers: Option<Box<Edits>>,
    /// Whether an error of the backend is replaced.
    pub(crate) replaces_errors: bool,
    /// What the response gets of ours.
    pub(crate) returned: Returned,
    /// The header of the PROXY protocol with which its connection begins, if it has one.
    pub(crate) greeting: Option<Greeting>,
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

/// Serves one client connection until it ends, or after it is told to stop until the request under way is answered.
#[expect(clippy::manual_async_fn, reason = "an async function has room for its arguments twice")]
pub(crate) fn serve(worker: Rc<Worker>, connection: Connection, mut client: Client) -> impl Future<Output = ()> {
    async move {
        let mut memory: Option<Box<Scratch>> = None;
        loop {
            let idle = connection.listener.borrow().idle;
            let read = client.read_head(&worker, &mut memory, idle, || connection.limits(&worker)).await;
            let Some(mut scratch) = memory.take() else { return };
            let refused = match read {
                Read::Head => None,
                Read::Fault(_) if begins_http2(&worker, &connection, &client) => {
                    worker.give_back(scratch);
                    return Box::pin(h2::serve(worker, connection, client)).await;
                }
                Read::Fault(fault) => Some((Reason::of_request(fault), Some(fault.word()))),
                Read::TooSlow => Some((Reason::RequestTimeout, None)),
                Read::End => return worker.give_back(scratch),
            };
            // In boxes, so that a connection that waits for a request has no room for what only a request needs.
            let next = match refused {
                None => Box::pin(handle(&worker, &connection, &mut client, &mut scratch)).await,
                Some((reason, detail)) => {
                    Box::pin(refuse(&worker, &connection, &mut client, &mut scratch, reason, detail)).await
                }
            };
            worker.give_back(scratch);
            match next {
                Next::Keep => {}
                Next::Linger => return Box::pin(client.linger()).await,
                Next::Close => return,
            }
        }
    }
}

/// Whether the connection begins with HTTP/2 where that is allowed.
fn begins_http2(worker: &Worker, connection: &Connection, client: &Client) -> bool {
    connection.is_fresh() && h2::is_preface(client.input.bytes()) && connection.listener(&worker.snapshot()).allow_h2c
}

/// Answers one request whose head is complete.
async fn handle(worker: &Rc<Worker>, connection: &Connection, client: &mut Client, scratch: &mut Scratch) -> Next {
    // One snapshot for the whole request: a publish in the middle must not mix two configurations.
    // A long request keeps the few things it needs of it.
    let (mut record, mut chosen, most_requests) = worker.with_snapshot(|snapshot| {
        let listener = connection.listener(snapshot);
        let bytes = client.input.bytes();
        let from = client_address::of(connection, &scratch.request.fields, bytes, &listener);
        let version = scratch.request.version.into();
        let mut record = AccessRecord::start(worker, connection, snapshot, from.address, version);
        let chosen = choose(snapshot, &listener, connection, from, scratch, bytes, &mut record)
            .map_err(|instead| (instead, Accept::of(&scratch.request.fields, bytes)));
        (record, chosen, listener.requests)
    });

    client.input.consume(scratch.request.len as usize);
    client.version = scratch.request.version;
    let has_more = connection.counts_request(most_requests);
    let keeps = scratch.request.keep_alive && has_more && !client.stop.is_set();
    let failed = match chosen {
        // By reference: a second place for it would make the request's memory larger.
        Ok((ref chosen, ref mut attempt)) => {
            match forward(worker, chosen, attempt, client, scratch, keeps, &mut record).await {
                Ok(next) => return next,
                // What the client sent lies where it was written for the backend.
                Err(reason) => (reason.into(), Accept::of_head(&scratch.out)),
            }
        }
        Err(refused) => refused,
    };
    let (instead, accept) = failed;
    if let Instead::Refused(reason @ Reason::ClientGone) = instead {
        record.refused(reason.status(), reason);
        return Next::Close;
    }
    let is_readable = !matches!(instead, Instead::Refused(Reason::BadRequest | Reason::MethodRefused));
    let keeps = keeps && is_readable && client.skip_body(scratch.request.body, record.bytes_in);
    Box::pin(answer(worker, client, scratch, instead, accept, keeps, record)).await
}

/// Steps from parsing to the head for the backend, which stands in `scratch.out` afterwards.
pub(crate) fn choose(
    snapshot: &Snapshot,
    listener: &Listener,
    connection: &Connection,
    from: client_address::Client,
    scratch: &mut Scratch,
    bytes: &[u8],
    record: &mut AccessRecord<'_>,
) -> Result<(Box<Chosen>, Attempt), Instead> {
    let Scratch { request: head, out, appended, grant, .. } = scratch;
    *grant = None;
    if from.peer_is_trusted
        && let Some(id) = listener.request_ids.accept(&head.fields, bytes)
    {
        record.takes_id(id);
    }
    let request = Request::read(head, bytes, listener.paths).map_err(|refusal| {
        let text = |span: http1::Span| String::from_utf8_lossy(span.of(bytes));
        record.asked(&text(head.method_name), "", &text(head.target.path));
        record.detail = Some(refusal.detail);
        refusal.reason
    })?;
    record.asked(request.method, &request.host, &request.path);

    if snapshot.ip_rules.verdict(from.address, Timestamp::now) == Verdict::Denied {
        return Err(Reason::IpDenied.into());
    }
    let routed = RoutedRequest { request: &request, client: from.address, listener: listener.name.as_str() };
    let route = snapshot.table.find(&routed).map(|index| &snapshot.routes[index]).ok_or(Reason::NoRoute)?;
    record.route = Some(Arc::clone(&route.labels));
    if route.ip_rules.verdict(from.address, Timestamp::now) == Verdict::Denied {
        return Err(Reason::IpDenied.into());
    }

    *grant = route.cors.as_ref().map(|cors| cors.grant(&request));
    if let Some(maintenance) = &route.maintenance
        && !maintenance.lets_in(from.address)
    {
        return Err(Instead::Later(Reason::Maintenance, maintenance.retry_after));
    }

    if let Some(preflight) = grant.as_ref().and_then(|grant| grant.preflight(&request)) {
        *grant = None;
        return Err(Instead::Replied(Box::new(preflight)));
    }

    if head.max_forwards == Some(0) {
        appended.clear();
        answer::reflect(appended, &request);
        return Err(Reason::MaxForwards.into());
    }
    let upstream = match &route.action {
        Action::Forward(upstream) => upstream,
        Action::Split(split) => split.choose(&routed, || record.chance()).ok_or(Reason::NoBackend)?,
        Action::Reply(answering) => {
            let facts = facts(&request, route, listener, connection, from, record);
            return Err(Instead::Replied(Box::new(answering.reply(&facts)?)));
        }
    };
    let body_limit = listener.body.min(route.body_limit);
    if matches!(head.body, RequestBody::Length(length) if length > body_limit) {
        return Err(Reason::BodyTooLarge.into());
    }
    let affinity = upstream.affinity(&routed);
    let Picked { backend, attempt } = upstream.pick(&affinity, &[], record.started(), || record.chance())?;
    let transforms = route.transforms.as_deref();
    let facts = transforms.map(|_| Facts {
        upstream: attempt.endpoint().upstream.as_str(),
        backend: attempt.endpoint().backend.as_str(),
        ..facts(&request, route, listener, connection, from, record)
    });
    let rewrite = transforms.and_then(|transforms| transforms.rewrite.as_ref()).zip(facts.as_ref());
    let hop = Hop {
        peer: &connection.peer_text,
        peer_is_trusted: from.peer_is_trusted,
        forwarding: &listener.forwarding,
        peer_scheme: connection.scheme(),
        scheme: from.scheme,
        port: connection.port(listener),
        protocol: record.protocol,
        request_id: record.request_id(),
        request_ids: &listener.request_ids,
        host: &route.host,
        backend: &backend.authority,
        target: match rewrite {
            Some((rewrite, facts)) => rewrite.target(facts, listener.paths)?,
            None => None,
        },
        rules: transforms.and_then(|transforms| transforms.request_headers.as_ref()).zip(facts.as_ref()),
    };
    forwarding::write(out, &request, &hop);
    let timeouts = Timeouts { half_close_grace: listener.half_close_grace, ..route.timeouts };
    let chosen = Chosen {
        protocol: upstream.protocol(),
        grpc_web: route.grpc_web,
        timeouts,
        body_limit,
        response_headers: Edits::new(
            transforms.and_then(|transforms| transforms.response_headers.as_ref()).zip(facts.as_ref()),
            grant.as_ref(),
        )
        .map(Box::new),
        replaces_errors: route.replaces_errors,
        returned: record.returned(),
        greeting: upstream.greets().map(|version| connection.greeting(version, from.address, listener)),
    };
    // Apart from the rest of the request, whose memory must stay a small piece.
    Ok((Box::new(chosen), attempt))
}

/// What templates of `route` can say of a request for which no backend is chosen yet.
fn facts<'a>(
    request: &'a Request<'a>,
    route: &'a Route,
    listener: &'a Listener,
    connection: &'a Connection,
    from: client_address::Client,
    record: &'a AccessRecord<'_>,
) -> Facts<'a> {
    Facts {
        request,
        client: connection.text_of(from.address),
        scheme: from.scheme,
        peer_is_trusted: from.peer_is_trusted,
        request_id: record.request_id(),
        listener: listener.name.as_str(),
        route: &route.labels.name,
        upstream: "",
        backend: "",
        captures: route.path.as_ref().and_then(|path| path.captures(&request.path)),
    }
}

/// Sends the request to the chosen endpoint and its response to the client.
///
/// A pooled connection may have been closed by the backend meanwhile: then the request is replayed once on a fresh one, if
/// no byte of a response came, none of its body was read, and either nothing was sent or it may be delivered twice.
///
/// # Errors
/// Why there was no response; nothing was sent to the client then.
async fn forward(
    worker: &Rc<Worker>,
    chosen: &Chosen,
    attempt: &mut Attempt,
    client: &mut Client,
    scratch: &mut Scratch,
    keeps: bool,
    record: &mut AccessRecord<'_>,
) -> Result<Next, Reason> {
    let Chosen { timeouts, body_limit, .. } = chosen;
    record.tries_endpoint(attempt.endpoint());
    let request = &scratch.request;
    let terms = Terms {
        body: request.body,
        asked: Asked { method: request.method, upgrade: matches!(request.upgrade, Upgrade::To(_)) },
        expects_continue: request.expects_continue,
        keeps,
        body_limit: *body_limit,
        response_headers: chosen.response_headers.as_deref(),
        replaces_errors: chosen.replaces_errors,
        returned: &chosen.returned,
        timeouts,
        total: timeouts.total.map(|total| record.started() + total.duration()),
    };
    if chosen.protocol == UpstreamProtocol::H2c {
        // Boxed: other requests must not carry its memory along.
        let finished = Box::pin(h2::from_http1(worker, chosen, attempt, client, scratch, &terms, record)).await?;
        return Ok(match finished {
            Finished { keeps: true, .. } => Next::Keep,
            // Closing with unread bytes would reset the connection under the response.
            Finished { is_whole: true, was_read, .. } if !was_read || !client.input.is_empty() => Next::Linger,
            _ => Next::Close,
        });
    }
    let Scratch { request, response, out, appended, upload, download, .. } = scratch;
    let is_repeatable = request.method.is_idempotent() && request.body == RequestBody::None;
    let mut wanted = Wanted { is_fresh: false, greeting: chosen.greeting.as_ref() };
    let (ended, upstream) = loop {
        let mut upstream = match pooled(worker, attempt.endpoint(), wanted, is_repeatable) {
            Some(upstream) => upstream,
            None => {
                let time = connect_time(timeouts.connect, terms.total)?;
                // Apart from the rest of the future: few requests need the memory for it.
                let acquired =
                    Box::pin(engine::acquire(worker, attempt.endpoint(), client, &terms, wanted, time)).await;
                acquired.inspect_err(|reason| attempt.failed(*reason, worker.clock.now()))?
            }
        };
        let is_pooled = upstream.requests > 0;
        let mut exchange =
            Exchange::new(worker, client, &mut upstream, attempt, out, &terms, response, appended, upload, download);
        let ended = exchange.run().await;
        let is_stale = is_pooled && ended.failure == Some(Reason::UpstreamReset) && !ended.response_began;
        if is_stale && !ended.body_was_read && (request.method.is_idempotent() || !ended.was_sent) {
            attempt.endpoint().metrics.stale.inc();
            wanted.is_fresh = true;
            continue;
        }
        break (ended, upstream);
    };
    record.bytes_in = ended.bytes_in;
    record.bytes_out = ended.bytes_out;
    record.detail = ended.detail;
    // The time of a whole request is also used up by a client that sends or takes its bytes slowly.
    let is_of_client = ended.failure == Some(Reason::TotalTimeout) && (!ended.was_read || ended.answered.is_some());
    if let Some(reason) = ended.failure.filter(|_| !is_of_client) {
        attempt.failed(reason, worker.clock.now());
    }
    match (ended.answered, ended.failure) {
        (None, Some(reason)) if ended.is_inside_interim => {
            record.refused(reason.status(), reason);
            Ok(Next::Close)
        }
        (None, failure) => {
            let reason = failure.unwrap_or(Reason::UpstreamReset);
            // A request that was found broken before any of it was sent says nothing about the connection.
            if ended.is_untouched && reason.is_of_client() {
                worker.pool.put(attempt.endpoint(), upstream, &ResponseHead::default(), worker.clock.recent());
            } else if ended.keeps_upstream {
                worker.pool.put(attempt.endpoint(), upstream, response, worker.clock.recent());
            }
            if reason == Reason::BackendError {
                record.answered(response.status, worker.clock.now());
                if ended.was_read {
                    request.body = RequestBody::None;
                }
            }
            Err(reason)
        }
        (Some((status, at)), Some(reason)) => {
            record.answered(status, at);
            record.aborted(reason);
            let ends_with_connection = matches!(response.body, ResponseBody::Chunked | ResponseBody::UntilClose);
            if client.version == http1::Version::Http10 && ends_with_connection {
                // Only a reset tells this client that it does not have all.
                let _ = client.stream.set_zero_linger();
            }
            Ok(Next::Close)
        }
        (Some((status, at)), None) => {
            record.answered(status, at);
            if ended.is_upgraded {
                let idle = timeouts.tunnel_idle.duration();
                let (up, down) = Box::pin(engine::tunnel(client, upstream, ended.rest, idle)).await;
                record.bytes_in += up;
                record.bytes_out += down;
                return Ok(Next::Close);
            }
            Ok(finish(worker, attempt, client, upstream, &ended, response))
        }
    }
}

/// What follows a whole response: both connections are kept, if they can be.
fn finish(
    worker: &Worker,
    attempt: &Attempt,
    client: &Client,
    upstream: Upstream,
    ended: &Ended,
    response: &ResponseHead,
) -> Next {
    if ended.keeps_upstream {
        worker.pool.put(attempt.endpoint(), upstream, response, worker.clock.recent());
    } else {
        engine::retire(attempt.endpoint(), upstream);
    }
    match ended.keeps_client {
        true => Next::Keep,
        // Closing with unread bytes would reset the connection under the response.
        false if !ended.was_read || !client.input.is_empty() => Next::Linger,
        false => Next::Close,
    }
}

/// How long getting a connection may take now, of `connect` and what is left until `total`.
pub(crate) fn connect_time(connect: Span, total: Option<Instant>) -> Result<Duration, Reason> {
    let connect = connect.duration();
    let Some(total) = total else { return Ok(connect) };
    let left = total.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Reason::TotalTimeout) } else { Ok(connect.min(left)) }
}

/// An idle connection, if one will do and there is one. For a request that cannot be sent twice the kernel is asked, too.
pub(crate) fn pooled(
    worker: &Worker,
    endpoint: &EndpointLive,
    wanted: Wanted<'_>,
    is_repeatable: bool,
) -> Option<Upstream> {
    if wanted.is_fresh {
        return None;
    }
    loop {
        let upstream = worker.pool.take(endpoint, wanted.greeting, worker.clock.recent())?;
        if is_repeatable || upstream.is_quiet_now() {
            endpoint.metrics.reused.inc();
            return Some(upstream);
        }
        engine::retire(endpoint, upstream);
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
    detail: Option<&'static str>,
) -> Next {
    let mut record = worker.with_snapshot(|snapshot| {
        connection.listener(snapshot);
        AccessRecord::start(worker, connection, snapshot, connection.peer, Protocol::Http11)
    });
    record.detail = detail;
    // What can be told of a first line that may be anything.
    let shown = &client.input.bytes()[..client.input.bytes().len().min(SHOWN)];
    let line = String::from_utf8_lossy(shown.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default());
    let mut words = line.split(' ');
    record.asked(words.next().unwrap_or_default(), "", words.next().unwrap_or_default());
    scratch.request = http1::RequestHead::default();
    scratch.grant = None;
    answer(worker, client, scratch, reason.into(), Accept::default(), false, record).await
}

/// Sends the proxy's own answer.
async fn answer(
    worker: &Worker,
    client: &mut Client,
    scratch: &mut Scratch,
    instead: Instead,
    accept: Accept,
    keeps: bool,
    mut record: AccessRecord<'_>,
) -> Next {
    let Scratch { request, out, appended, grant, .. } = scratch;
    let audience = Audience { method: request.method, accept, grant: grant.as_ref(), reflection: appended };
    let answer = Answer::new(worker, &record, instead, &audience);
    record.generated(answer.status, answer.reason);
    out.clear();
    write::status_line(out, answer.status, answer.phrase.as_bytes());
    for (name, value) in &answer.fields {
        write::line(out, name.as_bytes(), value);
    }
    record.returned().write(out);
    if !keeps {
        write::line(out, b"Connection", b"close");
    } else if client.version == http1::Version::Http10 {
        write::line(out, b"Connection", b"keep-alive");
    }
    write::end(out);
    if request.method != Method::Head {
        out.extend_from_slice(&answer.body);
        record.bytes_out = answer.body.len() as u64;
    }
    match client.send(out).await {
        true if keeps => Next::Keep,
        true => Next::Linger,
        false => Next::Close,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<F: Future>(_: impl FnOnce() -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    #[expect(unreachable_code, reason = "only the types are of interest")]
    fn a_waiting_connection_is_small_and_a_request_little() {
        let waits = size(|| serve(unreachable!(), unreachable!(), unreachable!()));
        assert!(waits <= 576, "{waits} bytes for each idle connection");
        let asks = size(|| handle(unreachable!(), unreachable!(), unreachable!(), unreachable!()));
        // The allocator keeps lists of free pieces up to 1032 bytes; a larger one costs 300 instructions more for each request.
        assert!(asks <= 1032, "{asks} bytes are allocated for each request");
    }
}
