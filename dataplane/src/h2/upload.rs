//! The body of a request on its way from an HTTP/2 client to an HTTP/1.1 backend.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use http1::{ChunkHead, RequestBody};
use http2::{Stream, StreamError};
use tokio::io::AsyncWrite;

use super::{chunk::Chunk, trailers::Trailers};
use crate::{
    engine::{KEPT_REPLAY as STAGED, Reserved, Terms, Upstream, Waits},
    error::Reason,
    request_id::Renamed,
    tries::Sent,
};

/// A request on its way to the backend: its head and what of the body is staged behind it.
pub(super) struct Upload<'a> {
    /// The head, then the body as it is framed.
    staged: &'a mut Vec<u8>,
    head: usize,
    written: usize,
    /// Whether all that was staged is still there.
    is_whole: bool,
    /// For keeping what was written, if that is to be kept.
    reserved: Option<Reserved>,
    /// Which trailers are left out, besides those that none may have.
    renamed: Renamed,
    body: &'a mut Stream<Chunk>,
    framing: RequestBody,
    /// Bytes that the body may have.
    limit: u64,
    is_ended: bool,
    is_stopped: bool,
    was_reset: bool,
    moved: u64,
}

impl<'a> Upload<'a> {
    /// The upload of the request whose head is `staged` and whose body is as `terms` say. What was written is kept within
    /// `reserved`.
    pub(super) fn new(
        staged: &'a mut Vec<u8>,
        body: &'a mut Stream<Chunk>,
        terms: &Terms,
        reserved: Option<Reserved>,
    ) -> Self {
        let framing = terms.body;
        Self {
            head: staged.len(),
            staged,
            written: 0,
            is_whole: true,
            reserved,
            is_ended: framing.is_empty() && body.is_end_stream(),
            body,
            framing,
            limit: terms.body_limit,
            renamed: terms.returned.renamed().clone(),
            is_stopped: false,
            was_reset: false,
            moved: 0,
        }
    }

    /// Starts over on another connection; only while all of it is there. The head may be another one, which is `head` then.
    pub(super) fn rewind(&mut self, head: Option<&Vec<u8>>) {
        if let Some(head) = head {
            self.staged.splice(..self.head, head.iter().copied());
            self.head = head.len();
        }
        self.written = 0;
        (self.is_stopped, self.was_reset) = (false, false);
    }

    /// Moves what can be moved; whether anything did, and what it waits for now.
    ///
    /// # Errors
    /// The request ends here: its client is gone or broke the protocol, or the backend did not take its head.
    pub(super) fn advance(
        &mut self,
        upstream: &mut Upstream,
        context: &mut Context<'_>,
    ) -> Result<(bool, Waits), Reason> {
        let mut has_moved = false;
        while !self.is_stopped {
            has_moved |= self.stage(context)?;
            if self.framing.is_empty() && !self.is_ended {
                // Whether its body is as empty as declared only its end tells, and without one the head is a whole request.
                return Ok((has_moved, Waits::Client));
            }
            if self.written == self.staged.len() {
                return Ok((has_moved, if self.is_ended { Waits::Nobody } else { Waits::Client }));
            }
            match Pin::new(&mut upstream.stream).poll_write(context, &self.staged[self.written..]) {
                Poll::Ready(Ok(count)) => self.written += count,
                // A head that was never written whole has no answer that could be read.
                Poll::Ready(Err(_)) if self.is_whole && self.written < self.head => return Err(Reason::UpstreamReset),
                Poll::Ready(Err(error)) => {
                    self.is_stopped = true;
                    // Told once: what is read from now on ends as if the backend had ended it.
                    self.was_reset = error.kind() == io::ErrorKind::ConnectionReset;
                }
                Poll::Pending => return Ok((has_moved, Waits::Upstream)),
            }
            has_moved = true;
        }
        Ok((has_moved, Waits::Nobody))
    }

    /// Takes what has come from the client.
    fn stage(&mut self, context: &mut Context<'_>) -> Result<bool, Reason> {
        let mut has_staged = false;
        while !self.is_ended && self.staged.len() - self.written < STAGED {
            match self.body.poll_data(context) {
                Poll::Ready(Ok(Some(data))) => {
                    self.make_room();
                    self.moved += data.len() as u64;
                    if self.moved > self.limit {
                        return Err(Reason::BodyTooLarge);
                    }
                    match self.framing {
                        RequestBody::Chunked if data.is_empty() => {}
                        RequestBody::Chunked => {
                            self.staged.extend_from_slice(ChunkHead::new(data.len() as u64).as_bytes());
                            self.staged.extend_from_slice(&data);
                            self.staged.extend_from_slice(b"\r\n");
                        }
                        _ => self.staged.extend_from_slice(&data),
                    }
                }
                Poll::Ready(Ok(None)) => self.end()?,
                Poll::Ready(Err(error)) => return Err(ended_by(error)),
                Poll::Pending => break,
            }
            has_staged = true;
        }
        Ok(has_staged)
    }

    fn end(&mut self) -> Result<(), Reason> {
        self.is_ended = true;
        let trailers = self.body.take_trailers().map(Trailers::of_bytes);
        match self.framing {
            RequestBody::Chunked => {
                self.make_room();
                let trailers = trailers.and_then(|trailers| trailers.without_id(&self.renamed));
                trailers.unwrap_or_default().write_chunked(self.staged)
            }
            // What came is checked by the engine; less must never look like the whole.
            RequestBody::Length(length) if length != self.moved => Err(Reason::BadRequest),
            _ => Ok(()),
        }
    }

    /// The request is not sent again: nothing is kept any more.
    pub(super) fn settle(&mut self) {
        self.reserved = None;
    }

    /// Forgets what was written, once that is much or there is no memory to keep it.
    fn make_room(&mut self) {
        let is_kept = self.is_whole
            && self.written < STAGED
            && self
                .reserved
                .as_mut()
                .and_then(|reserved| reserved.grow(self.staged.len().saturating_sub(self.head)))
                .is_some();
        // Before a backend that is slower than the client there is always something left, which moves up.
        if !is_kept && (self.written == self.staged.len() || self.written >= STAGED) {
            self.staged.drain(..self.written);
            self.written = 0;
            self.is_whole = false;
            self.reserved = None;
        }
    }

    /// Whether the backend reset the connection while it was written to.
    pub(super) fn was_reset(&self) -> bool {
        self.was_reset
    }

    /// How far the request got.
    pub(super) fn sent(&self) -> Sent {
        Sent { any: self.written > 0 || !self.is_whole, is_whole: self.is_whole }
    }

    /// Whether all of the request was written.
    pub(super) fn is_complete(&self) -> bool {
        self.is_ended && self.written == self.staged.len() && !self.is_stopped
    }

    /// Bytes of the body that came.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }
}

/// Why the body ended before its end.
pub(super) fn ended_by(error: StreamError) -> Reason {
    match error {
        // Such as by a body of another length than declared.
        StreamError::Broken(_) | StreamError::ConnectionBroken(_) => Reason::BadRequest,
        _ => Reason::ClientGone,
    }
}
