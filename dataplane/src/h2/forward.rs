//! Sends a request to an HTTP/2 backend, whichever version its client speaks.

use std::{
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
};

use h2::{Reason as Code, RecvStream};
use http::Request;
use http1::RequestBody;

use super::{
    backend_head,
    downstream::Downstream,
    grpc_web::WebPeer,
    http1_peer::Http1Peer,
    limits,
    peer::{Http2Peer, Peer},
    relay::{Body, Relay},
};
use crate::{
    attempt::Attempt,
    engine::{Client, Scratch, Terms},
    error::Reason,
    proxy::{self, Chosen},
    record::AccessRecord,
    worker::Worker,
};

/// How a response to an HTTP/1 client ended that began.
pub(crate) struct Finished {
    /// Whether all of it was sent.
    pub(crate) is_whole: bool,
    /// Whether nothing of the request is left to read.
    pub(crate) was_read: bool,
    /// Whether the client's connection can take another request.
    pub(crate) keeps: bool,
}

/// Sends the request of an HTTP/1 client, whose head for the backend stands in `scratch.out`, and the response to it.
///
/// # Errors
/// Why there was no response; nothing was sent to the client then.
pub(crate) async fn from_http1(
    worker: &Rc<Worker>,
    chosen: &Chosen,
    attempt: &mut Attempt,
    client: &mut Client,
    scratch: &mut Scratch,
    terms: &Terms<'_>,
    record: &mut AccessRecord<'_>,
) -> Result<Finished, Reason> {
    let mut peer = Http1Peer::new(worker, client, terms);
    let forwarded = forward(worker, chosen, attempt, &mut peer, scratch, terms, record).await;
    if forwarded == Err(Reason::BackendError) && peer.was_read() {
        scratch.request.body = RequestBody::None;
    }
    let is_whole = forwarded?;
    Ok(Finished { is_whole, was_read: peer.was_read(), keeps: is_whole && peer.keeps() })
}

/// The same for an HTTP/2 client.
///
/// # Errors
/// Why there was no response; nothing was sent to the client then.
#[expect(clippy::too_many_arguments, reason = "what a request has in hand; none of it belongs to another")]
pub(super) async fn from_http2(
    worker: &Rc<Worker>,
    chosen: &Chosen,
    attempt: &mut Attempt,
    client: &mut Downstream,
    body: &mut RecvStream,
    scratch: &mut Scratch,
    terms: &Terms<'_>,
    record: &mut AccessRecord<'_>,
) -> Result<(), Reason> {
    let mut peer = Http2Peer::new(client, body, terms.body_limit, &worker.arena);
    forward(worker, chosen, attempt, &mut peer, scratch, terms, record).await.map(drop)
}

/// Sends the request; whether all of the response was sent.
///
/// A request that the backend says it has not looked at (`REFUSED_STREAM`, or above the last stream that GOAWAY names) is sent
/// again on another connection, and so is, once, an idempotent one whose connection ended under it without a response. Neither
/// counts against the backend. Both need the whole of its body so far.
async fn forward(
    worker: &Rc<Worker>,
    chosen: &Chosen,
    attempt: &mut Attempt,
    peer: &mut impl Peer,
    scratch: &mut Scratch,
    terms: &Terms<'_>,
    record: &mut AccessRecord<'_>,
) -> Result<bool, Reason> {
    let mut request = backend_head::request(&scratch.out, &worker.arena)?;
    if !chosen.grpc_web {
        return send(worker, attempt, peer, &request, terms, record).await;
    }
    match WebPeer::of(&mut request, peer) {
        Ok(mut peer) => send(worker, attempt, &mut peer, &request, terms, record).await,
        Err(peer) => send(worker, attempt, peer, &request, terms, record).await,
    }
}

async fn send(
    worker: &Rc<Worker>,
    attempt: &mut Attempt,
    peer: &mut impl Peer,
    request: &Request<()>,
    terms: &Terms<'_>,
    record: &mut AccessRecord<'_>,
) -> Result<bool, Reason> {
    let mut body = Body::new(terms.body.is_empty());
    let mut sends = 0;
    let mut was_cut = false;
    let ended = loop {
        let time = proxy::connect_time(terms.timeouts.connect, terms.total)?;
        let place = worker.links.place(worker, attempt.endpoint(), time);
        let placed = unless(|context| peer.is_gone(context), place).await;
        let mut place = placed.inspect_err(|reason| attempt.failed(*reason, worker.clock.now()))?;
        sends += 1;
        let relay = Relay { worker, peer: &mut *peer, body: &mut body, terms };
        let on_head = |status| {
            let now = worker.clock.now();
            record.answered(status, now);
            attempt.answered(status, now);
        };
        let ended = relay.run(&mut place, request.clone(), on_head).await;
        record.bytes_in = body.moved;
        record.bytes_out = ended.bytes_out;
        if !matches!(ended.failure, Some(Reason::ClientGone | Reason::ClientTooSlow)) {
            place.served();
        }
        let is_stale = ended.is_cut && place.is_reused && !was_cut && terms.asked.method.is_idempotent();
        let goes_again = (ended.is_unprocessed && sends < limits::SENDS) || is_stale;
        if ended.failure.is_none() || peer.has_begun() || !body.is_whole() || !goes_again {
            break ended;
        }
        place.retire();
        was_cut |= !ended.is_unprocessed;
        body.rewind();
    };
    let Some(reason) = ended.failure else { return Ok(true) };
    attempt.failed(reason, worker.clock.now());
    if !peer.has_begun() {
        return Err(reason);
    }
    record.aborted(reason);
    peer.settled().await;
    peer.abort(match (reason, ended.code) {
        (Reason::ClientGone | Reason::ClientTooSlow, _) => Code::CANCEL,
        // What the backend means by it is for the client; other codes are about the connection between us and the backend.
        (_, Some(code @ (Code::CANCEL | Code::ENHANCE_YOUR_CALM))) => code,
        _ => Code::INTERNAL_ERROR,
    });
    Ok(false)
}

/// What `work` gives, unless the client `is_gone` first.
pub(super) async fn unless<T>(
    mut is_gone: impl FnMut(&mut Context<'_>) -> bool,
    work: impl Future<Output = Result<T, Reason>>,
) -> Result<T, Reason> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Pending if is_gone(context) => Poll::Ready(Err(Reason::ClientGone)),
        polled => polled,
    })
    .await
}
