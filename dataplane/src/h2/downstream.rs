//! The client's side of one stream: the response on its way into frames.

use std::task::{Context, Poll, ready};

use http2::{Code, Stream, StreamError};

use super::{chunk::Chunk, outgoing::Outgoing, trailers::Trailers};
use crate::error::Reason;

/// Where the response goes.
pub(super) struct Downstream {
    stream: Stream<Chunk>,
    has_begun: bool,
    /// Whether what was pushed last is the end.
    is_ending: bool,
    is_ended: bool,
}

impl Downstream {
    /// Before the response.
    pub(super) fn new(stream: Stream<Chunk>) -> Self {
        Self { stream, has_begun: false, is_ending: false, is_ended: false }
    }

    /// Whether the client has reset the stream or is gone; else the task is woken when it does.
    pub(super) fn is_gone(&mut self, context: &mut Context<'_>) -> bool {
        self.stream.poll_reset(context).is_ready()
    }

    /// Sends an interim response.
    pub(super) fn interim(&mut self, response: &Outgoing<'_>) {
        // It fails only when the stream is gone, which is noticed elsewhere.
        let _ = self.stream.send_head(false, |fields| response.write(fields));
    }

    /// Sends the head of the final response, and with `is_end` nothing more.
    ///
    /// # Errors
    /// The client is gone.
    pub(super) fn begin(&mut self, response: &Outgoing<'_>, is_end: bool) -> Result<(), Reason> {
        self.stream.send_head(is_end, |fields| response.write(fields)).map_err(gone)?;
        (self.has_begun, self.is_ended) = (true, is_end);
        Ok(())
    }

    /// Whether the head of the final response was sent.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether all of the response was sent.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Takes a stretch of the body to send, the last with `is_end`. Only when [`poll_sent`](Self::poll_sent) said that the one
    /// before is on its way.
    pub(super) fn push(&mut self, chunk: Chunk, is_end: bool) {
        self.is_ending = is_end;
        // It fails only when the stream is gone, which the next look tells.
        let _ = self.stream.send_data(chunk, is_end);
    }

    /// Waits until what was pushed is taken, as the client's flow control allows.
    pub(super) fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        if self.is_ended {
            return Poll::Ready(Ok(()));
        }
        ready!(self.stream.poll_sent(context)).map_err(gone)?;
        self.is_ended = self.is_ending;
        Poll::Ready(Ok(()))
    }

    /// Ends the response, with trailers if there are any. Only when [`poll_sent`](Self::poll_sent) said that all of the body is on
    /// its way.
    ///
    /// # Errors
    /// The client is gone.
    pub(super) fn end(&mut self, trailers: Option<Trailers>) -> Result<(), Reason> {
        self.is_ended = true;
        let ended = match trailers {
            Some(trailers) => self.stream.send_trailers(trailers.into_bytes()),
            None => self.stream.send_data(Chunk::default(), true),
        };
        ended.map_err(gone)
    }

    /// Sends the whole body at once, whether the client takes it now or later. For small ones.
    pub(super) fn finish(&mut self, chunk: Chunk) {
        self.is_ended = true;
        // It fails only when the stream is gone.
        let _ = self.stream.send_data(chunk, true);
    }

    /// Lets the connection write what was handed to it: a reset drops whatever still waits, and the client would lose what the
    /// backend has sent.
    pub(super) async fn settled(&self) {
        tokio::task::yield_now().await;
    }

    /// Ends the stream with an error.
    pub(super) fn reset(&mut self, code: Code) {
        self.is_ended = true;
        self.stream.reset(code);
    }

    /// Refuses the request, whose head is malformed.
    pub(super) fn refuse(&mut self) {
        self.is_ended = true;
        self.stream.refuse();
    }
}

fn gone(_: StreamError) -> Reason {
    Reason::ClientGone
}
