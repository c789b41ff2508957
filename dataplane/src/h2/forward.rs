//! Sends a request to an HTTP/2 backend, whichever version its client speaks.

use std::{
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use http1::RequestBody;
use http2::{Code, Stream};

use super::{
    chunk::Chunk,
    downstream::Downstream,
    grpc_web::{self, WebPeer},
    http1_peer::Http1Peer,
    limits,
    peer::{Http2Peer, Peer},
    relay::{Body, Ended, Relay},
};
use crate::{
    engine::{Client, Replay, Scratch},
    error::Reason,
    proxy::Chosen,
    record::AccessRecord,
    tries::Sent,
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
    chosen: &mut Chosen,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &mut AccessRecord<'_>,
) -> Result<Finished, Reason> {
    let mut peer = Http1Peer::new(worker, client, &chosen.terms);
    let forwarded = forward(worker, chosen, &mut peer, scratch, record).await;
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
pub(super) async fn from_http2(
    worker: &Rc<Worker>,
    chosen: &mut Chosen,
    client: &mut Downstream,
    body: &mut Stream<Chunk>,
    scratch: &mut Scratch,
    record: &mut AccessRecord<'_>,
) -> Result<(), Reason> {
    let mut peer = Http2Peer::new(client, body, chosen.terms.body_limit);
    forward(worker, chosen, &mut peer, scratch, record).await.map(drop)
}

/// Sends the request; whether all of the response was sent.
async fn forward(
    worker: &Rc<Worker>,
    chosen: &mut Chosen,
    peer: &mut impl Peer,
    scratch: &mut Scratch,
    record: &mut AccessRecord<'_>,
) -> Result<bool, Reason> {
    match chosen.grpc_web.then(|| grpc_web::translate(&mut scratch.out)).flatten() {
        Some(form) => run(worker, chosen, &mut WebPeer::new(peer, form), true, scratch, record).await,
        None => run(worker, chosen, peer, false, scratch, record).await,
    }
}

/// Makes one try after the other, as [`forward::run`](crate::forward::run) does. Heads for further backends are translated, too, if that
/// of a gRPC-Web call was.
async fn run(
    worker: &Rc<Worker>,
    chosen: &mut Chosen,
    peer: &mut impl Peer,
    is_translated: bool,
    scratch: &mut Scratch,
    record: &mut AccessRecord<'_>,
) -> Result<bool, Reason> {
    let terms = &chosen.terms;
    // Whatever its method: what a backend has not looked at may be sent again.
    let replay = Replay::new((!terms.body.is_empty()).then(|| worker.metrics.replays.reserve()));
    let mut body = Body::new(terms.body.is_empty(), replay);
    loop {
        record.tries_endpoint(chosen.tries.endpoint());
        let tried = attempt(worker, chosen, peer, scratch, &mut body, record).await;
        let Chosen { tries, terms, .. } = chosen;
        match tried {
            Ok(ended) if ended.is_tried_again => {}
            Ok(Ended { failure: None, .. }) => return Ok(true),
            Ok(Ended { failure: Some(reason), was_sent, is_unprocessed, code, .. }) => {
                if peer.has_begun() {
                    tries.failed(reason, worker.clock.now());
                    record.aborted(reason);
                    peer.settled().await;
                    peer.abort(code_of(reason, code));
                    return Ok(false);
                }
                let sent = Sent { any: was_sent && !is_unprocessed, is_whole: body.is_whole() };
                if !tries.retries_failure(worker, terms, reason, sent) {
                    return Err(reason);
                }
            }
            Err(reason) => {
                let sent = Sent { any: false, is_whole: body.is_whole() };
                if !tries.retries_failure(worker, terms, reason, sent) {
                    return Err(reason);
                }
            }
        }
        let pause = tries.pause();
        if !pause.is_zero() {
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = peer.gone(terms) => return Err(Reason::ClientGone),
            }
        }
        let is_new = tries.advance(worker, &mut scratch.request, &mut scratch.out, terms, record)?;
        if is_new && is_translated {
            grpc_web::translate(&mut scratch.out);
        }
        body.rewind();
    }
}

/// Makes one try, with the head that stands in `scratch.out`.
///
/// A request that the backend says it has not looked at (`REFUSED_STREAM`, or above the last stream that GOAWAY names) is sent
/// again on another connection, and so is, once, one that may be delivered twice whose connection ended under it without a response.
/// Neither counts against the backend, nor as a try. Both need the whole of its body so far.
///
/// # Errors
/// Why there was no connection.
async fn attempt(
    worker: &Rc<Worker>,
    chosen: &mut Chosen,
    peer: &mut impl Peer,
    scratch: &mut Scratch,
    body: &mut Body,
    record: &mut AccessRecord<'_>,
) -> Result<Ended, Reason> {
    let Chosen { tries, terms, .. } = chosen;
    let Scratch { out, response, appended, .. } = scratch;
    let mut sends = 0;
    let mut was_cut = false;
    loop {
        let patience = tries.patience(terms);
        let place = worker.links.place(worker, tries.endpoint(), terms.greeting.as_ref(), patience);
        let placed = tokio::select! {
            biased;
            placed = place => placed,
            () = peer.gone(terms) => Err(Reason::ClientGone),
        };
        let mut place = placed.map_err(|reason| match reason {
            Reason::ConnectTimeout => patience.blamed(reason),
            reason => reason,
        })?;
        sends += 1;
        let is_repeatable = tries.is_repeatable();
        let relay = Relay {
            worker,
            peer: &mut *peer,
            body: &mut *body,
            tries: &mut *tries,
            terms,
            response: &mut *response,
            bytes: Vec::new(),
            appended: &mut *appended,
        };
        let ended = relay.run(&mut place, out, |status| record.answered(status, worker.clock.now())).await;
        record.bytes_in = body.moved;
        record.bytes_out = ended.bytes_out;
        if !matches!(ended.failure, Some(Reason::ClientGone | Reason::ClientTooSlow)) {
            place.served();
        }
        let is_stale = ended.is_cut && place.is_reused && !was_cut && is_repeatable;
        let goes_again = (ended.is_unprocessed && sends < limits::SENDS) || is_stale;
        if ended.failure.is_none() || peer.has_begun() || !body.is_whole() || !goes_again {
            return Ok(ended);
        }
        place.retire();
        tries.sent();
        was_cut |= !ended.is_unprocessed;
        body.rewind();
    }
}

/// With which code a response that had begun ends for `reason`; `code` is what the backend ended its own with.
fn code_of(reason: Reason, code: Option<Code>) -> Code {
    match (reason, code) {
        (Reason::ClientGone | Reason::ClientTooSlow, _) => Code::CANCEL,
        // What the backend means by it is for the client; other codes are about the connection between us and the backend.
        (_, Some(code @ (Code::CANCEL | Code::ENHANCE_YOUR_CALM))) => code,
        _ => Code::INTERNAL_ERROR,
    }
}

/// Waits before the next try.
///
/// # Errors
/// The client went away.
pub(super) async fn pause(pause: Duration, is_gone: impl FnMut(&mut Context<'_>) -> bool) -> Result<(), Reason> {
    if pause.is_zero() {
        return Ok(());
    }
    unless(is_gone, tokio::time::sleep(pause).map(Ok)).await
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
