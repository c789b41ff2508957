//! The way of an HTTP/1 client's request to a backend, of whichever version, and of the response back: one try after the other.

use std::rc::Rc;

use http1::{ChunkLimits, RequestBody, ResponseHead};
use shared::config::UpstreamProtocol;
use tokio::time::sleep;

use crate::{
    engine::{self, Client, Ended, Exchange, Replay, Scratch, Terms, Upload, Upstream, Wanted},
    error::Reason,
    h2::{self, Finished},
    live::EndpointLive,
    proxy::Chosen,
    record::AccessRecord,
    tries::{Sent, Tries},
    worker::Worker,
};

/// What becomes of a client's connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It takes another request.
    Keep,
    /// It is closed once the client has read what was sent, though it may still be sending.
    Linger,
    /// It is closed at once.
    Close,
}

/// Sends the request, whose head for the backend stands in `scratch.out`, to the chosen endpoint and its response to the client. A try
/// that fails, or whose response says so, may be followed by another one as long as nothing was sent to the client.
///
/// # Errors
/// Why there was no response; nothing was sent to the client then.
pub(crate) async fn run(
    worker: &Rc<Worker>,
    chosen: &mut Chosen,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &mut AccessRecord<'_>,
) -> Result<Next, Reason> {
    if chosen.protocol == UpstreamProtocol::H2c {
        // Boxed: other requests must not carry its memory along.
        let finished = Box::pin(h2::from_http1(worker, chosen, client, scratch, record)).await?;
        client.sent = client.sent.saturating_add(record.bytes_out);
        if finished.is_whole {
            client.ends_whole();
        }
        return Ok(match finished {
            Finished { keeps: true, .. } => Next::Keep,
            // Closing with unread bytes would reset the connection under the response.
            Finished { is_whole: true, was_read, .. } if !was_read || client.has_unread() => Next::Linger,
            _ => Next::Close,
        });
    }
    scratch.upload = upload(worker, &chosen.tries, &chosen.terms);
    let (ended, upstream) = loop {
        record.tries_endpoint(chosen.tries.endpoint());
        match attempt(worker, chosen, client, scratch, record).await {
            Ok((ended, upstream)) if ended.is_tried_again => {
                let response = ended.keeps_upstream.then(|| Box::new(std::mem::take(&mut scratch.response)));
                chosen.tries.discard(worker, upstream, response.map(|response| (response, ended.rest)));
            }
            Ok((ended, upstream)) => {
                record.bytes_in = ended.bytes_in;
                let Some(reason) = ended.failure else { break (ended, upstream) };
                if ended.answered.is_some() || ended.is_inside_interim {
                    chosen.tries.failed(reason, worker.clock.now());
                    break (ended, upstream);
                }
                if !chosen.tries.retries_failure(worker, &chosen.terms, reason, ended.sent) {
                    break (ended, upstream);
                }
            }
            Err(reason) => {
                record.bytes_in = scratch.upload.moved();
                let sent = Sent { any: false, is_whole: scratch.upload.is_whole() };
                if !chosen.tries.retries_failure(worker, &chosen.terms, reason, sent) {
                    return Err(reason);
                }
            }
        }
        // Apart from the rest of the future: few requests need the memory for it.
        Box::pin(again(worker, chosen, client, scratch, record)).await?;
    };
    let Chosen { tries, terms, .. } = chosen;
    record.bytes_out = ended.bytes_out;
    record.detail = ended.detail;
    match (ended.answered, ended.failure) {
        (None, Some(reason)) if ended.is_inside_interim => {
            record.refused(reason.status(), reason);
            Ok(Next::Close)
        }
        (None, failure) => {
            let reason = failure.unwrap_or(Reason::UpstreamReset);
            // A request that was found broken before any of it was sent says nothing about the connection.
            if ended.is_untouched && reason.is_of_client() {
                worker.pool.put(tries.endpoint(), upstream, &ResponseHead::default(), worker.clock.recent());
            } else if ended.keeps_upstream {
                worker.pool.put(tries.endpoint(), upstream, &scratch.response, worker.clock.recent());
            }
            if reason == Reason::BackendError {
                record.answered(scratch.response.status, worker.clock.now());
                if ended.was_read {
                    scratch.request.body = RequestBody::None;
                }
            }
            Err(reason)
        }
        (Some((status, at)), Some(reason)) => {
            record.answered(status, at);
            record.aborted(reason);
            Ok(Next::Close)
        }
        (Some((status, at)), None) => {
            record.answered(status, at);
            if ended.is_upgraded {
                let idle = terms.timeouts.tunnel_idle.duration();
                let (up, down) = Box::pin(engine::tunnel(client, upstream, ended.rest, idle)).await;
                record.bytes_in += up;
                record.bytes_out += down;
                return Ok(Next::Close);
            }
            if ended.is_prompt {
                record.ended(at);
            }
            Ok(finish(worker, tries, client, upstream, &ended, &scratch.response))
        }
    }
}

/// The upload of a request's body, which is kept if the request may reach backends more than once.
fn upload(worker: &Worker, tries: &Tries, terms: &Terms) -> Upload {
    let limits = ChunkLimits { body_bytes: terms.body_limit, ..ChunkLimits::default() };
    let is_kept = tries.is_repeatable() && !terms.body.is_empty();
    let replay = Replay::new(is_kept.then(|| worker.metrics.replays.reserve()));
    Upload::new(terms.body, limits, replay, terms.returned.renamed())
}

/// How much of a request's body is still to come from its client, at least.
fn unread(terms: &Terms, upload: &Upload) -> u64 {
    match terms.body {
        RequestBody::Length(length) => length.saturating_sub(upload.moved()),
        _ => 0,
    }
}

/// Makes one try.
///
/// A pooled connection may have been closed by the backend meanwhile: then the request is replayed once on a fresh one, if it may be
/// ([`Tries::is_stale`]).
///
/// # Errors
/// Why there was no connection.
async fn attempt(
    worker: &Worker,
    chosen: &mut Chosen,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &AccessRecord<'_>,
) -> Result<(Ended, Box<Upstream>), Reason> {
    let Chosen { tries, terms, .. } = chosen;
    let is_repeatable = tries.is_repeatable() && terms.body == RequestBody::None;
    let mut wanted = Wanted { is_fresh: false, greeting: terms.greeting.as_ref(), is_repeatable };
    loop {
        let mut upstream = match pooled(worker, tries.endpoint(), wanted) {
            Some(upstream) => upstream,
            None => {
                let patience = tries.patience(terms);
                patience.left()?;
                // Apart from the rest of the future: few requests need the memory for it.
                let unread = unread(terms, &scratch.upload);
                let acquired = engine::acquire(worker, tries.endpoint(), client, terms, unread, wanted, patience);
                let upstream = Box::pin(acquired).await?;
                // The request's own moment may be long past.
                worker.clock.now();
                upstream
            }
        };
        let is_pooled = upstream.requests > 0;
        let ended = Exchange::new(worker, client, &mut upstream, tries, terms, scratch, record).run().await;
        if is_pooled && tries.is_stale(ended.failure, ended.response_began, ended.sent) {
            wanted.is_fresh = true;
            scratch.upload.rewind();
            continue;
        }
        return Ok((ended, upstream));
    }
}

/// Waits before the next try, and begins it.
///
/// # Errors
/// The client went away, or there is no head for the backend.
async fn again(
    worker: &Worker,
    chosen: &mut Chosen,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &mut AccessRecord<'_>,
) -> Result<(), Reason> {
    let Chosen { tries, terms, .. } = chosen;
    let pause = tries.pause();
    if !pause.is_zero() {
        tokio::select! {
            biased;
            () = sleep(pause) => {}
            () = client.gone(&worker.buffers, terms.timeouts.half_close_grace.duration(), unread(terms, &scratch.upload)) => return Err(Reason::ClientGone),
        }
    }
    tries.advance(worker, &mut scratch.request, &mut scratch.out, terms, record)?;
    scratch.upload.rewind();
    Ok(())
}

/// What follows a whole response: both connections are kept, if they can be.
fn finish(
    worker: &Worker,
    tries: &Tries,
    client: &mut Client,
    upstream: Box<Upstream>,
    ended: &Ended,
    response: &ResponseHead,
) -> Next {
    client.ends_whole();
    client.sent = client.sent.saturating_add(ended.bytes_out);
    if ended.keeps_upstream {
        worker.pool.put(tries.endpoint(), upstream, response, worker.clock.recent());
    } else {
        engine::retire(tries.endpoint(), upstream);
    }
    match ended.keeps_client {
        true => Next::Keep,
        // Closing with unread bytes would reset the connection under the response.
        false if !ended.was_read || client.has_unread() => Next::Linger,
        false => Next::Close,
    }
}

/// An idle connection, if one will do and there is one.
pub(crate) fn pooled(worker: &Worker, endpoint: &EndpointLive, wanted: Wanted<'_>) -> Option<Box<Upstream>> {
    let upstream = worker.pool.take(endpoint, wanted, worker.clock.recent())?;
    endpoint.metrics.reused.inc();
    Some(upstream)
}
