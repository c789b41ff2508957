//! One request on a shared connection to an HTTP/2 backend.
//!
//! Both directions are driven by one poll, so that an early response passes a request that is still coming, and a stream of
//! messages goes both ways at once.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use bytes::Bytes;
use http1::{Asked, Progress, ResponseHead};
use http2::{Code, Stream, StreamError};

use super::{
    backend_head::BackendHead,
    chunk::Chunk,
    link::Place,
    outgoing::Outgoing,
    pacer::Pacer,
    peer::{Peer, Piece},
    response_reader::HEAD,
    trailers::Trailers,
};
use crate::{
    attempt::Said,
    engine::{Interim, Replay, Standing, Terms, Waits},
    error::Reason,
    grpc,
    protocol::Protocol,
    retry_after,
    tries::{Sent, Tries},
    worker::Worker,
};

/// The body of a request, as far as it came.
pub(super) struct Body {
    /// What came, unless that was too much. A copy: a few bytes must not hold the buffer that they were read into.
    replay: Replay,
    /// What of it is to be sent (again) before more is taken from the client.
    again: VecDeque<Bytes>,
    trailers: Option<Trailers>,
    is_ended: bool,
    /// Bytes that came.
    pub(super) moved: u64,
}

impl Body {
    /// A body that has `is_ended` before its first byte; what comes is kept in `replay`.
    pub(super) fn new(is_ended: bool, replay: Replay) -> Self {
        Self { replay, again: VecDeque::new(), trailers: None, is_ended, moved: 0 }
    }

    /// Whether all that came is still there.
    pub(super) fn is_whole(&self) -> bool {
        self.replay.is_whole()
    }

    /// Starts over on another connection; only while [`is_whole`](Self::is_whole).
    pub(super) fn rewind(&mut self) {
        self.again.clear();
        if !self.replay.bytes().is_empty() {
            self.again.push_back(Bytes::copy_from_slice(self.replay.bytes()));
        }
    }

    fn take(&mut self, data: &Bytes) {
        self.moved += data.len() as u64;
        self.replay.keep(data);
    }

    fn is_sent(&self) -> bool {
        self.is_ended && self.again.is_empty()
    }
}

/// How a relay ended.
pub(super) struct Ended {
    /// What went wrong.
    pub(super) failure: Option<Reason>,
    /// Whether there was a response that is not passed on, for the request is tried again.
    pub(super) is_tried_again: bool,
    /// Whether the request's head was sent.
    pub(super) was_sent: bool,
    /// Whether the backend has not looked at the request.
    pub(super) is_unprocessed: bool,
    /// Whether the connection ended under it.
    pub(super) is_cut: bool,
    /// The code with which the backend reset the stream.
    pub(super) code: Option<Code>,
    /// Bytes of the response's body.
    pub(super) bytes_out: u64,
}

/// Why there is nothing more from the backend.
struct Lost {
    reason: Reason,
    is_unprocessed: bool,
    is_cut: bool,
    code: Option<Code>,
}

impl From<Reason> for Lost {
    fn from(reason: Reason) -> Self {
        Self { reason, is_unprocessed: false, is_cut: false, code: None }
    }
}

impl From<StreamError> for Lost {
    fn from(error: StreamError) -> Self {
        let code = match error {
            StreamError::Reset(code) => Some(code),
            _ => None,
        };
        Self {
            reason: match error {
                StreamError::Broken(_) | StreamError::ConnectionBroken(_) => Reason::BadResponse,
                _ => Reason::UpstreamReset,
            },
            is_unprocessed: error == StreamError::Unprocessed || code == Some(Code::REFUSED_STREAM),
            is_cut: matches!(
                error,
                StreamError::Unprocessed | StreamError::ConnectionBroken(_) | StreamError::ConnectionLost
            ),
            code,
        }
    }
}

/// A request under way.
pub(super) struct Relay<'a, P> {
    pub(super) worker: &'a Worker,
    pub(super) peer: &'a mut P,
    pub(super) body: &'a mut Body,
    pub(super) tries: &'a mut Tries,
    pub(super) terms: &'a Terms,
    pub(super) response: &'a mut ResponseHead,
    /// What it is parsed from.
    pub(super) bytes: Vec<u8>,
    /// Lines for the response's head.
    pub(super) appended: &'a mut Vec<u8>,
}

/// The backend's side of a request under way.
struct Upstream {
    stream: Stream<Chunk>,
    /// Whether what was sent last is the end.
    is_ending: bool,
    is_uploaded: bool,
    /// Interim responses so far.
    interim: Interim,
    /// Whether the response has begun.
    is_answered: bool,
    is_tried_again: bool,
    moved: u64,
}

impl<P: Peer> Relay<'_, P> {
    /// Carries the request out in `place`, whose head for HTTP/1.1 is `head`; `on_head` is called when the response has begun.
    pub(super) async fn run(mut self, place: &mut Place, head: &[u8], mut on_head: impl FnMut(u16)) -> Ended {
        let (mut moved, mut was_sent, mut is_tried_again) = (0, false, false);
        let ended = async {
            let mut upstream = self.start(place, head)?;
            was_sent = true;
            let mut pacer = Pacer::new(self.worker, self.terms, self.tries.until());
            let ended =
                std::future::poll_fn(|context| self.poll(&mut upstream, &mut pacer, &mut on_head, context)).await;
            (moved, is_tried_again) = (upstream.moved, upstream.is_tried_again);
            ended
        };
        let lost = ended.await.err();
        Ended {
            is_tried_again,
            was_sent,
            is_unprocessed: lost.as_ref().is_some_and(|lost| lost.is_unprocessed),
            is_cut: lost.as_ref().is_some_and(|lost| lost.is_cut),
            code: lost.as_ref().and_then(|lost| lost.code),
            failure: lost.map(|lost| lost.reason),
            bytes_out: moved,
        }
    }

    /// Sends the head.
    fn start(&self, place: &Place, head: &[u8]) -> Result<Upstream, Lost> {
        let is_end = self.body.is_sent() && self.body.trailers.is_none();
        let head = BackendHead::of(head)?;
        let renamed = self.terms.returned.renamed();
        let begun = place.frames.request(head.is_head(), is_end, |fields| head.write(fields, renamed));
        // Nothing was sent: the connection ended before.
        let stream = begun.map_err(|error| Lost { is_unprocessed: true, ..Lost::from(error) })?;
        Ok(Upstream {
            stream,
            is_ending: is_end,
            is_uploaded: is_end,
            interim: Interim::default(),
            is_answered: false,
            is_tried_again: false,
            moved: 0,
        })
    }

    fn poll(
        &mut self,
        upstream: &mut Upstream,
        pacer: &mut Pacer,
        on_head: &mut impl FnMut(u16),
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Lost>> {
        pacer.wakes(context.waker());
        let (mut has_moved, mut has_uploaded) = (false, false);
        let (upload, download) = loop {
            let (up, upload) = self.advance_upload(upstream, context)?;
            if self.peer.is_gone(context) {
                return Poll::Ready(Err(Reason::ClientGone.into()));
            }
            let (down, download) = self.advance_download(upstream, on_head, context)?;
            if download == Waits::Nobody {
                return Poll::Ready(Ok(()));
            }
            has_moved |= up || down;
            has_uploaded |= up;
            if !up && !down {
                break (upload, download);
            }
        };
        let standing = Standing {
            upload,
            download,
            is_answered: self.peer.has_begun(),
            is_half_closed: self.peer.is_half_closed(),
            expects_continue: self.terms.expects_continue && self.body.moved == 0,
            received: self.body.moved,
        };
        match pacer.settle(has_moved, has_uploaded, &standing, self.tries) {
            Some(reason) => Poll::Ready(Err(reason.into())),
            None => Poll::Pending,
        }
    }

    fn advance_upload(&mut self, upstream: &mut Upstream, context: &mut Context<'_>) -> Result<(bool, Waits), Lost> {
        let mut has_moved = false;
        while !upstream.is_uploaded {
            match upstream.stream.poll_sent(context) {
                Poll::Ready(Ok(())) => upstream.is_uploaded = upstream.is_ending,
                // The backend takes no more. It may have answered all the same.
                Poll::Ready(Err(_)) => upstream.is_uploaded = true,
                Poll::Pending => return Ok((has_moved, Waits::Upstream)),
            }
            if upstream.is_uploaded {
                has_moved = true;
            } else if let Some(data) = self.body.again.pop_front() {
                upstream.is_ending = self.body.is_sent() && self.body.trailers.is_none();
                // It fails only when the stream is gone, of which the response tells more.
                upstream.is_uploaded = upstream.stream.send_data(Chunk::Bytes(data), upstream.is_ending).is_err();
                has_moved = true;
            } else if self.body.is_ended {
                upstream.is_uploaded = true;
                let _ = match self.body.trailers.clone() {
                    Some(trailers) => upstream.stream.send_trailers(trailers.into_bytes()),
                    None => upstream.stream.send_data(Chunk::default(), true),
                };
                has_moved = true;
            } else {
                match self.peer.poll_piece(context) {
                    Poll::Ready(piece) => match piece? {
                        Piece::Data(data, is_last) => {
                            self.body.take(&data);
                            self.body.is_ended = is_last;
                            if !data.is_empty() || is_last {
                                self.body.again.push_back(data);
                            }
                        }
                        Piece::End(trailers) => {
                            self.body.is_ended = true;
                            self.body.trailers = self.passable(trailers);
                        }
                    },
                    Poll::Pending => return Ok((has_moved, Waits::Client)),
                }
                has_moved = true;
            }
        }
        Ok((has_moved, Waits::Nobody))
    }

    fn advance_download(
        &mut self,
        upstream: &mut Upstream,
        on_head: &mut impl FnMut(u16),
        context: &mut Context<'_>,
    ) -> Result<(bool, Waits), Lost> {
        let mut has_moved = false;
        loop {
            match self.peer.poll_sent(context) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => return Ok((has_moved, Waits::Client)),
            }
            if self.peer.is_ended() {
                return Ok((true, Waits::Nobody));
            }
            let polled = match upstream.is_answered {
                false => self.poll_head(upstream, on_head, context),
                true => self.poll_body(upstream, context),
            };
            match polled {
                Poll::Ready(moved) => moved?,
                Poll::Pending => return Ok((has_moved, Waits::Upstream)),
            }
            if upstream.is_tried_again {
                return Ok((true, Waits::Nobody));
            }
            has_moved = true;
        }
    }

    fn poll_head(
        &mut self,
        upstream: &mut Upstream,
        on_head: &mut impl FnMut(u16),
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Lost>> {
        self.bytes = std::task::ready!(upstream.stream.poll_head(context))?;
        self.read()?;
        if self.response.is_interim() {
            if !upstream.interim.admits(self.bytes.len()) {
                return Poll::Ready(Err(Reason::BadResponse.into()));
            }
            self.peer.interim(&Outgoing::interim(self.response, &self.bytes, self.terms));
            return Poll::Ready(Ok(()));
        }
        let clock = &self.worker.clock;
        let (status, is_end) = (self.response.status, upstream.stream.is_end_stream());
        let said = Said::new(status, is_end, || grpc::status(&self.response.fields, &self.bytes));
        self.tries.answered(said, clock.now());
        let retry_after = || retry_after::of(&self.response.fields, &self.bytes);
        let sent = Sent { any: true, is_whole: self.body.is_whole() };
        if self.tries.retries_answer(self.worker, self.terms, said, retry_after, sent) {
            upstream.is_tried_again = true;
            return Poll::Ready(Ok(()));
        }
        self.body.replay.lose();
        if self.terms.replaces_errors && status >= 500 {
            on_head(status);
            // The rest of it is not wanted: dropped, the stream is reset.
            return Poll::Ready(Err(Reason::BackendError.into()));
        }
        let outgoing = Outgoing::new(self.response, &self.bytes, self.appended, Protocol::Http2, self.terms, clock);
        self.peer.begin(&outgoing, is_end)?;
        upstream.is_answered = true;
        on_head(status);
        Poll::Ready(Ok(()))
    }

    /// Reads the head of a response as one of HTTP/1.1, so that it is judged as such. How its body is framed is none of its business:
    /// that ends with its stream.
    ///
    /// # Errors
    /// There is something wrong with it.
    fn read(&mut self) -> Result<(), Reason> {
        self.response.forget();
        // HTTP/2 has no upgrade, whatever the client asked for.
        let asked = Asked { upgrade: false, ..self.terms.asked };
        match self.response.parse(&self.bytes, asked, &HEAD) {
            Ok(Progress::Complete(_)) => Ok(()),
            Ok(Progress::Partial) | Err(_) => Err(Reason::BadResponse),
        }
    }

    /// Moves the next part of the response's body to the client.
    fn poll_body(&mut self, upstream: &mut Upstream, context: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        let stream = &mut upstream.stream;
        // Only this part is held until the client takes it: the backend is told to send on as it would be by the client.
        match std::task::ready!(stream.poll_data(context))? {
            Some(data) => {
                upstream.moved += data.len() as u64;
                self.peer.push(data.into(), stream.is_end_stream());
            }
            None => self.peer.end(self.passable(stream.take_trailers().map(Trailers::of_bytes)))?,
        }
        Poll::Ready(Ok(()))
    }

    /// The trailers that may be passed on.
    fn passable(&self, trailers: Option<Trailers>) -> Option<Trailers> {
        trailers?.passable(self.terms.returned.renamed())
    }
}
