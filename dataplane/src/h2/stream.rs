//! The life of a request that came by HTTP/2. The steps are those of [`proxy`](mod@crate::proxy).

use std::{net::IpAddr, rc::Rc};

use bytes::Bytes;
use h2::{Reason as Code, RecvStream, server::SendResponse};
use http::{Request, request::Parts};
use http1::{HeadLimits, Method, Progress, RequestBody, RequestHead, ResponseHead, write};
use shared::config::UpstreamProtocol;

use super::{
    chunk::Chunk,
    connection::Shared,
    downstream::Downstream,
    exchange::{Ended, Exchange},
    forward::{self, unless},
    limits, lines,
    outgoing::Outgoing,
    request_head::{self, Summary},
    upload::Upload,
    watch::Unheard,
};
use crate::{
    accept::Accept,
    answer::{Answer, Audience, Instead},
    client_address,
    engine::{self, Scratch, Wanted},
    error::Reason,
    forward::pooled,
    grpc::{self, Call},
    protocol::Protocol,
    proxy::{self, Chosen},
    record::AccessRecord,
    snapshot::Snapshot,
    tries::Sent,
    worker::Worker,
};

/// Why a head is not served.
enum Refusal {
    /// The stream is reset.
    Malformed,
    /// It is answered.
    Answered(Reason),
}

/// One request and the way back.
struct Stream {
    client: Downstream,
    body: RecvStream,
    /// If it is one of gRPC.
    call: Option<Call>,
}

/// Serves one request.
pub(super) async fn serve(
    worker: &Rc<Worker>,
    shared: &Shared,
    request: Request<RecvStream>,
    respond: SendResponse<Chunk>,
) {
    let (parts, body) = request.into_parts();
    let mut scratch = worker.scratch();
    let mut bytes = std::mem::take(&mut scratch.request_bytes);
    bytes.clear();
    let mut stream = Stream { client: Downstream::new(respond), body, call: None };
    let (limits, _) = shared.connection.limits(worker);
    let is_small = match read(&mut scratch.request, &mut bytes, &parts, &stream.body, &limits) {
        Ok(()) => {
            drop(parts);
            stream.call = Call::of(|name| scratch.request.fields.named(name, &bytes));
            handle(worker, shared, &mut stream, &mut scratch, &bytes).await;
            matches!(scratch.request.body, RequestBody::Length(length) if length <= limits::REST.0)
        }
        Err(refusal) => {
            // Not all of its fields may have been read.
            let (_, fields) = lines::split(&bytes);
            let value = |name: &[u8]| lines::of(fields).find(|(own, _)| own.eq_ignore_ascii_case(name));
            stream.call = Call::of(|name| value(name).map(|(_, value)| value));
            refuse(worker, shared, &mut stream, &Summary::of(&parts), refusal);
            false
        }
    };
    scratch.request_bytes = bytes;
    worker.give_back(scratch);
    if is_small && !stream.body.is_end_stream() {
        Box::pin(pass_over(stream)).await;
    }
}

/// Waits for the rest of a small body behind a whole response. Without it the stream is reset, with the code that says that nothing is
/// wrong (RFC 9113 §8.1); but clients, curl 7.88 one of them, take that for a failure.
async fn pass_over(mut stream: Stream) {
    let rest = async {
        // It ends at once when the stream was reset, by whomever.
        while let Some(Ok(data)) = stream.body.data().await {
            let _ = stream.body.flow_control().release_capacity(data.len());
        }
    };
    let _ = tokio::time::timeout(limits::REST.1, rest).await;
}

/// Reads the head by way of `bytes`, into which it is written.
fn read(
    head: &mut RequestHead,
    bytes: &mut Vec<u8>,
    parts: &Parts,
    body: &RecvStream,
    limits: &HeadLimits,
) -> Result<(), Refusal> {
    request_head::write(bytes, parts, body).map_err(|_| Refusal::Malformed)?;
    match head.parse(bytes, limits) {
        Ok(Progress::Complete(_)) => Ok(()),
        // Its end was written, so this is never the case.
        Ok(Progress::Partial) => Err(Refusal::Malformed),
        Err(fault) => Err(match Reason::of_request(fault) {
            Reason::BadRequest => Refusal::Malformed,
            reason => Refusal::Answered(reason),
        }),
    }
}

/// Answers one request whose head was read from `bytes`.
async fn handle(worker: &Rc<Worker>, shared: &Shared, stream: &mut Stream, scratch: &mut Scratch, bytes: &[u8]) {
    // One snapshot for the whole request: a publish in the middle must not mix two configurations.
    // A long request keeps the few things it needs of it.
    let (mut record, chosen) = worker.with_snapshot(|snapshot| {
        let connection = &shared.connection;
        let listener = connection.listener(snapshot);
        if snapshot.greets {
            shared.learn_ends();
        }
        let from = client_address::of(connection, &scratch.request.fields, bytes, &listener);
        let mut record = start(worker, shared, snapshot, from.address);
        let chosen = proxy::choose(snapshot, &listener, connection, from, scratch, bytes, &mut record);
        (record, chosen.map_err(|instead| (instead, Accept::of(&scratch.request.fields, bytes))))
    });

    let failed = match chosen {
        Ok(mut chosen) => loop {
            let Err(reason) = forward(worker, &mut chosen, stream, scratch, &mut record).await else { break None };
            if let Err(instead) = chosen.fall_back(worker, scratch, &record, reason) {
                break Some((instead, Accept::of(&scratch.request.fields, bytes)));
            }
        },
        Err(refused) => Some(refused),
    };
    match failed {
        None => {}
        Some((Instead::Refused(reason @ (Reason::ClientGone | Reason::ClientTooSlow)), _)) => {
            record.refused(reason.status(), reason);
        }
        Some((instead, accept)) => {
            let audience = Audience {
                method: scratch.request.method,
                accept,
                grant: scratch.grant.as_ref(),
                web_call: scratch.web_call.as_deref(),
                reflection: &scratch.appended,
            };
            answer(worker, stream, instead, &audience, record);
        }
    }
}

fn start<'a>(worker: &'a Worker, shared: &'a Shared, snapshot: &Snapshot, client: IpAddr) -> AccessRecord<'a> {
    shared.connection.listener(snapshot);
    let mut record = AccessRecord::start(worker, &shared.connection, Protocol::Http2);
    record.enters(snapshot, client);
    record
}

/// Sends the request to the chosen endpoint and its response to the client: one try after the other, as
/// [`forward::run`](crate::forward::run) does.
///
/// # Errors
/// Why there was no response; nothing was sent to the client then.
async fn forward(
    worker: &Rc<Worker>,
    chosen: &mut Chosen,
    stream: &mut Stream,
    scratch: &mut Scratch,
    record: &mut AccessRecord<'_>,
) -> Result<(), Reason> {
    let Stream { client, body, call } = stream;
    chosen.terms.asked.upgrade = false;
    // The client of a gRPC call says how long it waits: beyond that nobody wants the answer.
    let limit = call.and_then(|call| call.timeout).map(|timeout| record.started() + timeout);
    if let Some(limit) = limit.filter(|limit| chosen.terms.total.is_none_or(|total| *limit < total)) {
        chosen.terms.total = Some(limit);
        chosen.tries.limited_by_client();
    }
    if chosen.protocol == UpstreamProtocol::H2c {
        return forward::from_http2(worker, chosen, client, body, scratch, record).await;
    }
    let Scratch { request, response, appended, out, .. } = scratch;
    let is_kept = chosen.tries.is_repeatable() && !chosen.terms.body.is_empty();
    let reserved = is_kept.then(|| worker.metrics.replays.reserve());
    let mut upload = Upload::new(out, body, &chosen.terms, reserved);
    let (ended, upstream) = loop {
        record.tries_endpoint(chosen.tries.endpoint());
        let tried = attempt(worker, chosen, client, (&mut *response, &mut *appended), &mut upload, record).await;
        let Chosen { tries, terms, .. } = &mut *chosen;
        record.bytes_in = upload.moved();
        match tried {
            Ok((Ended { tried_again: Some(rest), keeps_upstream, .. }, upstream)) => {
                let drained = keeps_upstream.then(|| (Box::new(std::mem::take(response)), rest));
                tries.discard(worker, upstream, drained);
            }
            Ok((ended, upstream)) => {
                let failed = ended.failure.filter(|_| !client.has_begun());
                if !failed.is_some_and(|reason| tries.retries_failure(worker, terms, reason, upload.sent())) {
                    break (ended, upstream);
                }
            }
            Err(reason) => {
                let sent = Sent { any: false, ..upload.sent() };
                if !tries.retries_failure(worker, terms, reason, sent) {
                    return Err(reason);
                }
            }
        }
        forward::pause(tries.pause(), |context| client.is_gone(context)).await?;
        let mut head = Vec::new();
        let is_new = tries.advance(worker, request, &mut head, terms, record)?;
        upload.rewind(is_new.then_some(&head));
    };
    let tries = &mut chosen.tries;
    record.bytes_out = ended.bytes_out;
    match ended.failure {
        None if ended.keeps_upstream => worker.pool.put(tries.endpoint(), upstream, response, worker.clock.recent()),
        None => engine::retire(tries.endpoint(), upstream),
        Some(reason) => {
            if ended.keeps_upstream {
                worker.pool.put(tries.endpoint(), upstream, response, worker.clock.recent());
            }
            if !client.has_begun() {
                return Err(reason);
            }
            tries.failed(reason, worker.clock.now());
            record.aborted(reason);
            // What was cut off must not look complete.
            client.settled().await;
            client.reset(if reason == Reason::ClientGone { Code::CANCEL } else { Code::INTERNAL_ERROR });
        }
    }
    Ok(())
}

/// Makes one try. A stale pooled connection is replaced once, as for HTTP/1.1.
///
/// # Errors
/// Why there was no connection.
async fn attempt(
    worker: &Rc<Worker>,
    chosen: &mut Chosen,
    client: &mut Downstream,
    (response, appended): (&mut ResponseHead, &mut Vec<u8>),
    upload: &mut Upload<'_>,
    record: &mut AccessRecord<'_>,
) -> Result<(Ended, Box<engine::Upstream>), Reason> {
    let Chosen { tries, terms, .. } = chosen;
    let is_repeatable = tries.is_repeatable() && terms.body == RequestBody::None;
    let mut wanted = Wanted { is_fresh: false, greeting: terms.greeting.as_ref(), is_repeatable };
    loop {
        let mut upstream = match pooled(worker, tries.endpoint(), wanted) {
            Some(upstream) => upstream,
            None => {
                let patience = tries.patience(terms);
                patience.left()?;
                let obtained = engine::obtain(worker, tries.endpoint(), wanted, patience);
                unless(|context| client.is_gone(context), obtained).await?
            }
        };
        let is_pooled = upstream.requests > 0;
        let exchange = Exchange {
            worker,
            upstream: &mut upstream,
            upload: &mut *upload,
            client: &mut *client,
            response: &mut *response,
            appended: &mut *appended,
            tries: &mut *tries,
            terms,
        };
        let ended = exchange.run(|status| record.answered(status, worker.clock.now())).await;
        if is_pooled && tries.is_stale(ended.failure, ended.response_began, upload.sent()) {
            wanted.is_fresh = true;
            upload.rewind(None);
            continue;
        }
        return Ok((ended, upstream));
    }
}

/// Refuses a request that `asked` for something in a head that could not be read.
fn refuse(worker: &Worker, shared: &Shared, stream: &mut Stream, asked: &Summary<'_>, refusal: Refusal) {
    let snapshot = worker.snapshot();
    let mut record = start(worker, shared, &snapshot, shared.connection.peer);
    record.asked(asked.method, asked.host, asked.path);
    match refusal {
        Refusal::Malformed => {
            snapshot.count_generated(Reason::BadRequest);
            record.refused(Reason::BadRequest.status(), Reason::BadRequest);
            shared.malformed();
            stream.client.reset(Code::PROTOCOL_ERROR);
        }
        Refusal::Answered(reason) => {
            let method = Method::of(asked.method.as_bytes());
            let audience = Audience { method, accept: Accept::default(), grant: None, web_call: None, reflection: b"" };
            answer(worker, stream, reason.into(), &audience, record);
        }
    }
}

/// Counts a connection that is ended because its client broke the protocol, and writes a line for it.
pub(super) fn broken(worker: &Worker, shared: &Shared) {
    unread(worker, shared, Reason::BadRequest, "h2_connection");
}

/// Counts what `h2` answered to a request by itself, and writes its line.
pub(super) fn unheard(worker: &Worker, shared: &Shared, unheard: Unheard) {
    let reason = match unheard {
        Unheard::Malformed => Reason::BadRequest,
        Unheard::HeadTooLarge => Reason::HeadTooLarge,
        // It was not looked at, and the client may send it again.
        Unheard::TooMany => {
            worker.metrics.http2.refused_streams.inc();
            return;
        }
    };
    unread(worker, shared, reason, "h2_library");
}

/// A line in which nothing stands of what was asked for.
fn unread(worker: &Worker, shared: &Shared, reason: Reason, detail: &'static str) {
    let snapshot = worker.snapshot();
    let mut record = start(worker, shared, &snapshot, shared.connection.peer);
    record.detail = Some(detail);
    snapshot.count_generated(reason);
    record.refused(reason.status(), reason);
}

/// Sends the proxy's own answer. It is small: what the client's window does not take waits in the connection.
fn answer(
    worker: &Worker,
    stream: &mut Stream,
    instead: Instead,
    audience: &Audience<'_>,
    mut record: AccessRecord<'_>,
) {
    let answer = Answer::new(worker, &record, instead, audience);
    let Stream { client, call, .. } = stream;
    // A gRPC client reads no other status than its own.
    let refusal = answer.reason.filter(|_| call.is_some());
    let is_call = refusal.is_some();
    let status = if is_call { 200 } else { answer.status };
    record.generated(status, answer.reason);
    let mut lines = Vec::new();
    if let Some(reason) = refusal {
        grpc::write_refusal(&mut lines, reason);
    }
    for (name, value) in answer.fields.iter().filter(|(name, _)| !(is_call && name.starts_with("Content-"))) {
        write::line(&mut lines, name.as_bytes(), value);
    }
    let returned = record.returned();
    returned.write(&mut lines);
    let response = Outgoing { status, came: &[], bytes: b"", appended: &lines, renamed: returned.renamed() };
    let is_bodyless = is_call || audience.method == Method::Head || answer.body.is_empty();
    if client.begin(&response, is_bodyless, &worker.arena).is_ok() && !is_bodyless {
        record.bytes_out = answer.body.len() as u64;
        client.finish(Chunk::Bytes(Bytes::from(answer.body.into_owned())));
    }
}
