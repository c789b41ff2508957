//! The life of a request that came by HTTP/2. The steps are those of [`proxy`](mod@crate::proxy).

use std::{net::IpAddr, rc::Rc};

use bytes::Bytes;
use http1::{Method, Progress, RequestBody, ResponseHead, write};
use http2::{Asked, Code, Refusal};
use shared::config::UpstreamProtocol;

use super::{
    chunk::Chunk,
    downstream::Downstream,
    exchange::{Ended, Exchange},
    forward::{self, unless},
    limits, lines,
    outgoing::Outgoing,
    tasks::Request,
    upload::Upload,
};
use crate::{
    accept::Accept,
    answer::{Answer, Audience, Instead},
    client_address,
    connection::Connection,
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

/// One request and the way back.
struct Stream {
    client: Downstream,
    body: http2::Stream<Chunk>,
    /// If it is one of gRPC.
    call: Option<Call>,
}

/// Serves one request.
pub(super) async fn serve(worker: &Rc<Worker>, request: Request) {
    let Request { connection, head: bytes, stream: body } = request;
    let mut scratch = worker.scratch();
    let mut stream = Stream { client: Downstream::new(body.clone()), body, call: None };
    let (limits, _) = connection.limits(worker);
    let read = scratch.request.parse(&bytes, &limits);
    let is_small = match read {
        Ok(Progress::Complete(_)) => {
            stream.call = Call::of(|name| scratch.request.fields.named(name, &bytes));
            handle(worker, &connection, &mut stream, &mut scratch, &bytes).await;
            matches!(scratch.request.body, RequestBody::Length(length) if length <= limits::REST.0)
        }
        // Its end was written, so it is never partial.
        Ok(Progress::Partial) => {
            refuse_head(worker, &connection, &mut stream, &bytes, Reason::BadRequest);
            false
        }
        Err(fault) => {
            refuse_head(worker, &connection, &mut stream, &bytes, Reason::of_request(fault));
            false
        }
    };
    worker.give_back(scratch);
    if is_small && !stream.body.is_end_stream() {
        Box::pin(pass_over(stream)).await;
    }
}

/// The value of the field `name` in a head, all of whose fields may not have been read.
fn named<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (_, fields) = lines::split(head);
    lines::of(fields).find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Waits for the rest of a small body behind a whole response. Without it the stream is reset, with the code that says that nothing is
/// wrong (RFC 9113 §8.1); but clients, curl 7.88 one of them, take that for a failure.
async fn pass_over(mut stream: Stream) {
    let rest = async {
        // It ends at once when the stream was reset, by whomever.
        while let Ok(Some(_)) = std::future::poll_fn(|context| stream.body.poll_data(context)).await {}
    };
    let _ = tokio::time::timeout(limits::REST.1, rest).await;
}

/// Answers one request whose head was read from `bytes`.
async fn handle(
    worker: &Rc<Worker>,
    connection: &Connection,
    stream: &mut Stream,
    scratch: &mut Scratch,
    bytes: &[u8],
) {
    // One snapshot for the whole request: a publish in the middle must not mix two configurations.
    // A long request keeps the few things it needs of it.
    let (mut record, chosen) = worker.with_snapshot(|snapshot| {
        let listener = connection.listener(snapshot);
        let from = client_address::of(connection, &scratch.request.fields, bytes, &listener);
        let mut record = start(worker, connection, snapshot, from.address);
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
        None => record.completes(),
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

fn start<'a>(worker: &'a Worker, connection: &'a Connection, snapshot: &Snapshot, client: IpAddr) -> AccessRecord<'a> {
    connection.listener(snapshot);
    let mut record = AccessRecord::start(worker, connection, Protocol::Http2);
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

/// Refuses a request whose `head` the codec finds wrong for `reason`.
fn refuse_head(worker: &Worker, connection: &Connection, stream: &mut Stream, head: &[u8], reason: Reason) {
    stream.call = Call::of(|name| named(head, name));
    let (line, _) = lines::split(head);
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let authority = String::from_utf8_lossy(named(head, b"host").unwrap_or_default()).into_owned();
    let asked = Asked { method, authority, path };
    if reason == Reason::BadRequest {
        stream.client.refuse();
        return note_unanswered(worker, connection, &asked, reason);
    }
    answer_refused(worker, connection, stream, &asked, reason);
}

/// Refuses a request that came with a head that cannot be passed on.
pub(super) fn refuse(
    worker: &Worker,
    connection: &Connection,
    asked: &Asked,
    refusal: Refusal,
    stream: Option<http2::Stream<Chunk>>,
) {
    let reason = match refusal {
        Refusal::Malformed => Reason::BadRequest,
        Refusal::TooLarge => Reason::HeadTooLarge,
    };
    let Some(body) = stream else { return note_unanswered(worker, connection, asked, reason) };
    let mut stream = Stream { client: Downstream::new(body.clone()), body, call: None };
    answer_refused(worker, connection, &mut stream, asked, reason);
}

/// Answers a request that is refused for its head.
fn answer_refused(worker: &Worker, connection: &Connection, stream: &mut Stream, asked: &Asked, reason: Reason) {
    let snapshot = worker.snapshot();
    let mut record = start(worker, connection, &snapshot, connection.peer);
    record.asked(&asked.method, &asked.authority, &asked.path);
    let method = Method::of(asked.method.as_bytes());
    let audience = Audience { method, accept: Accept::default(), grant: None, web_call: None, reflection: b"" };
    answer(worker, stream, reason.into(), &audience, record);
}

/// Counts a refused request that gets no answer, for it was reset or its client is gone, and writes its line.
fn note_unanswered(worker: &Worker, connection: &Connection, asked: &Asked, reason: Reason) {
    let snapshot = worker.snapshot();
    let mut record = start(worker, connection, &snapshot, connection.peer);
    record.asked(&asked.method, &asked.authority, &asked.path);
    snapshot.count_generated(reason);
    record.refused(reason.status(), reason);
}

/// Counts a connection that is ended because its client broke the protocol, and writes a line for it, in which nothing stands of what was
/// asked for.
pub(super) fn broken(worker: &Worker, connection: &Connection) {
    let snapshot = worker.snapshot();
    let mut record = start(worker, connection, &snapshot, connection.peer);
    record.detail = Some("h2_connection");
    snapshot.count_generated(Reason::BadRequest);
    record.refused(Reason::BadRequest.status(), Reason::BadRequest);
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
    if client.begin(&response, is_bodyless).is_ok() && !is_bodyless {
        record.bytes_out = answer.body.len() as u64;
        client.finish(Chunk::Bytes(Bytes::from(answer.body.into_owned())));
    }
    record.completes();
}
