//! The life of a request, top to bottom.
//!
//! Steps have the same names here, in the log, in the metrics and in `ARCHITECTURE.md`: parse, client address, global IP rules,
//! match route, route IP rules, choose backend, rewrite, forward, record.

use std::{rc::Rc, sync::Arc};

use http1::{Asked, Method, RequestBody, Upgrade, write};
use shared::{config::UpstreamProtocol, value::Timestamp};
use tokio::task::coop::consume_budget;

use crate::{
    accept::Accept,
    answer::{self, Answer, Audience, Instead},
    client_address,
    connection::Connection,
    cors::Grant,
    engine::{Client, Read, Scratch, Span, Terms, Timeouts},
    error::Reason,
    forward::{self, Next},
    grpc::WebCall,
    h2,
    head::{Request, RoutedRequest},
    header_rules::Edits,
    instant::Instant,
    matched::Matched,
    protocol::Protocol,
    record::AccessRecord,
    snapshot::{
        Action, Affinity, Fallback, Listener, Picked, Snapshot, Unavailable, Upstream, Verdict, Way as StandIn,
    },
    tries::Tries,
    worker::Worker,
};

/// Where a request goes and how.
pub(crate) struct Chosen {
    /// Its tries at endpoints, of which the first has begun.
    pub(crate) tries: Tries,
    /// What the endpoints speak.
    pub(crate) protocol: UpstreamProtocol,
    /// Whether a call of gRPC-Web becomes one of gRPC.
    pub(crate) grpc_web: bool,
    /// What holds for each try.
    pub(crate) terms: Terms,
    /// What the client's `Accept` says, if the backend may get another one.
    accept: Option<Box<Accept>>,
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
                Next::Keep => client.may_break_line(),
                Next::Linger => return Box::pin(client.linger()).await,
                Next::Close => return client.close(),
            }
            if !client.input.is_empty() {
                // Answers of our own wait for nobody: who asks for many at once takes turns with others all the same.
                consume_budget().await;
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
    let mut record = AccessRecord::start(worker, connection, scratch.request.version.into());
    let (mut chosen, most_requests) = worker.with_snapshot(|snapshot| {
        let listener = connection.listener(snapshot);
        if snapshot.greets {
            connection.learn_ends(&client.stream);
        }
        let bytes = client.input.bytes();
        let from = client_address::of(connection, &scratch.request.fields, bytes, &listener);
        record.enters(snapshot, from.address);
        let chosen = choose(snapshot, &listener, connection, from, scratch, bytes, &mut record)
            .map_err(|instead| (instead, Accept::of(&scratch.request.fields, bytes)));
        (chosen, listener.requests)
    });

    client.input.consume(scratch.request.len as usize);
    client.version = scratch.request.version;
    connection.counts_request();
    let has_more = connection.allows_more(most_requests);
    let keeps = scratch.request.keep_alive && has_more && !client.stop.is_set();
    let failed = match chosen {
        // By reference: a second place for it would make the request's memory larger.
        Ok(ref mut chosen) => loop {
            chosen.terms.keeps = keeps;
            match forward::run(worker, chosen, client, scratch, &mut record).await {
                Ok(next) => {
                    record.completes();
                    return next;
                }
                Err(reason) => {
                    // What the client sent is gone, but mostly lies where it was written for the backend.
                    let accept = chosen.accept.take().map_or_else(|| Accept::of_head(&scratch.out), |accept| *accept);
                    if let Err(instead) = chosen.fall_back(worker, scratch, &record, reason) {
                        break (instead, accept);
                    }
                }
            }
        },
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
    snapshot: &Arc<Snapshot>,
    listener: &Arc<Listener>,
    connection: &Connection,
    from: client_address::Client,
    scratch: &mut Scratch,
    bytes: &[u8],
    record: &mut AccessRecord<'_>,
) -> Result<Box<Chosen>, Instead> {
    let Scratch { request: head, out, appended, grant, web_call, .. } = scratch;
    *grant = None;
    *web_call = None;
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
    let routed = RoutedRequest {
        request: &request,
        client: from.address,
        listener: listener.name.as_str(),
        is_https: from.scheme == "https",
    };
    let index = snapshot.table.find(&routed).ok_or(Reason::NoRoute)?;
    let route = &snapshot.routes[index];
    record.route = Some(Arc::clone(&route.labels));
    if route.ip_rules.verdict(from.address, Timestamp::now) == Verdict::Denied {
        return Err(Reason::IpDenied.into());
    }

    if route.grpc_web {
        *web_call = WebCall::of(|name| head.fields.named(name, bytes)).map(Box::new);
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
    let matched = Matched {
        request: &request,
        snapshot,
        index,
        route,
        listener,
        connection,
        from,
        request_id: record.request_id(),
        protocol: record.protocol,
    };
    let (upstream, split_cookie) = match &route.action {
        Action::Forward(upstream) => (Some(upstream), None),
        Action::Split(split) => split
            .choose(&routed, || record.chance())
            .map_or((None, None), |(upstream, cookie)| (Some(upstream), cookie)),
        Action::Reply(answering) => return Err(Instead::Replied(Box::new(answering.reply(&matched.facts())?))),
    };
    if matches!(head.body, RequestBody::Length(length) if length > matched.body_limit()) {
        return Err(Reason::BodyTooLarge.into());
    }
    let now = record.started();
    let picked = upstream.ok_or(Unavailable::NoBackend).and_then(|upstream| pick(upstream, &routed, now, record));
    let (way, fallback) = match picked {
        Ok(way) => (way, route.fallback.as_deref()),
        Err(unavailable) => {
            let Some(fallback) = &route.fallback else { return Err(unavailable.into()) };
            (stand_in(fallback, &matched, unavailable.reason(), now, record)?, None)
        }
    };
    begin(&matched, way, fallback, split_cookie, out, (grant.as_ref(), web_call.as_deref()), record)
}

impl Chosen {
    /// Has the route's fallback act for a request that found no room at any endpoint, as `reason` says, and was sent nowhere: it goes
    /// elsewhere then, and the head for that stands in `scratch.out`.
    ///
    /// # Errors
    /// The request is answered: as the fallback says, or since there is none.
    pub(crate) fn fall_back(
        &mut self,
        worker: &Worker,
        scratch: &mut Scratch,
        record: &AccessRecord<'_>,
        reason: Reason,
    ) -> Result<(), Instead> {
        let source = self.tries.take_fallback(reason).ok_or(reason)?;
        let split_cookie = self.terms.response_headers.take().and_then(Edits::into_split);
        let Scratch { request: head, out, grant, web_call, .. } = scratch;
        *self = *source.read(head, record, |matched| {
            let fallback = matched.route.fallback.as_deref().ok_or(reason)?;
            let way = stand_in(fallback, matched, reason, worker.clock.now(), record)?;
            begin(matched, way, None, split_cookie, out, (grant.as_ref(), web_call.as_deref()), record)
        })??;
        Ok(())
    }
}

/// An endpoint of an upstream and the try there, which has begun.
struct Way<'a> {
    upstream: &'a Arc<Upstream>,
    affinity: Affinity,
    picked: Picked<'a>,
    since: Instant,
}

/// Begins a try at an endpoint of `upstream`.
fn pick<'a>(
    upstream: &'a Arc<Upstream>,
    request: &RoutedRequest<'_>,
    now: Instant,
    record: &AccessRecord<'_>,
) -> Result<Way<'a>, Unavailable> {
    let affinity = upstream.affinity(request);
    let picked = upstream.pick(&affinity, &[], now, || record.chance())?;
    Ok(Way { upstream, affinity, picked, since: now })
}

/// What `fallback` makes of a request for which no endpoint may be used.
fn stand_in<'a>(
    fallback: &'a Fallback,
    matched: &Matched<'_>,
    reason: Reason,
    now: Instant,
    record: &AccessRecord<'_>,
) -> Result<Way<'a>, Instead> {
    fallback.count.inc();
    record.fell_back(reason);
    match &fallback.way {
        // Once: the other upstream has no fallback of its own.
        StandIn::Forward(upstream) => Ok(pick(upstream, &matched.routed(), now, record)?),
        StandIn::Reply(answering) => Err(Instead::Replied(Box::new(answering.reply(&matched.facts())?))),
    }
}

/// Writes the head for the endpoint that `way` leads to into `out`. `fallback` acts if there is no room at any.
fn begin(
    matched: &Matched<'_>,
    way: Way<'_>,
    fallback: Option<&Fallback>,
    split_cookie: Option<Box<str>>,
    out: &mut Vec<u8>,
    (grant, web_call): (Option<&Grant>, Option<&WebCall>),
    record: &AccessRecord<'_>,
) -> Result<Box<Chosen>, Instead> {
    let Way { upstream, affinity, picked: Picked { backend, attempt, session }, since } = way;
    let Matched { request, route, listener, .. } = *matched;
    let head = request.head;
    let mut response_headers = matched.write(out, attempt.endpoint(), &backend.authority, grant)?;
    Edits::set_session(&mut response_headers, session);
    Edits::set_split(&mut response_headers, split_cookie);
    let is_repeatable = route.retries.repeats(head.method, request.method);
    let mut tries = Tries::new(upstream, affinity, attempt, &route.retries, is_repeatable, since);
    tries.keep_source(fallback.is_some(), matched.depends_on_backend(), || matched.source());
    let timeouts = Timeouts { half_close_grace: listener.half_close_grace, ..route.timeouts };
    let own = timeouts.total.map(Span::duration);
    let asked = web_call.and_then(|call| call.timeout).filter(|asked| own.is_none_or(|own| *asked < own));
    if asked.is_some() {
        tries.limited_by_client();
    }
    let terms = Terms {
        body: head.body,
        asked: Asked { method: head.method, upgrade: matches!(head.upgrade, Upgrade::To(_)) },
        expects_continue: head.expects_continue,
        keeps: true,
        body_limit: matched.body_limit(),
        response_headers,
        replaces_errors: route.replaces_errors,
        returned: record.returned(),
        greeting: upstream.greets().map(|version| matched.connection.greeting(version, matched.from.address, listener)),
        total: asked.or(own).map(|total| record.started() + total),
        timeouts,
    };
    // Apart from the rest of the request, whose memory must stay a small piece.
    Ok(Box::new(Chosen {
        tries,
        protocol: upstream.protocol(),
        grpc_web: route.grpc_web,
        terms,
        accept: (route.changes_accept() || head.names_fields)
            .then(|| Box::new(Accept::of(&head.fields, request.bytes))),
    }))
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
    let mut record = AccessRecord::start(worker, connection, Protocol::Http11);
    worker.with_snapshot(|snapshot| {
        connection.listener(snapshot);
        record.enters(snapshot, connection.peer);
    });
    record.detail = detail;
    // What can be told of a first line that may be anything.
    let shown = &client.input.bytes()[..client.input.bytes().len().min(SHOWN)];
    let line = String::from_utf8_lossy(shown.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default());
    let mut words = line.split(' ');
    record.asked(words.next().unwrap_or_default(), "", words.next().unwrap_or_default());
    scratch.request = http1::RequestHead::default();
    scratch.grant = None;
    scratch.web_call = None;
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
    let Scratch { request, out, appended, grant, web_call, .. } = scratch;
    let audience = Audience {
        method: request.method,
        accept,
        grant: grant.as_ref(),
        web_call: web_call.as_deref(),
        reflection: appended,
    };
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
    let is_sent = client.send(out, !keeps).await;
    record.completes();
    match is_sent {
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
        // Up to 1024 bytes the allocator has lists of free pieces; a larger one costs 100 instructions more for each request.
        assert!(asks <= 1024, "{asks} bytes are allocated for each request");
    }
}
