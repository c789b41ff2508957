//! The client's side of one stream: the response on its way into frames.

use std::task::{Context, Poll};

use bytes::Buf;
use h2::{Reason as Code, SendStream, server::SendResponse};

use super::{arena::Arena, border, chunk::Chunk, outgoing::Outgoing, trailers::Trailers};
use crate::error::Reason;

/// Where the response goes.
pub(super) struct Downstream {
    respond: SendResponse<Chunk>,
    /// Once the response began.
    send: Option<SendStream<Chunk>>,
    /// What the peer has not opened its window for.
    pending: Option<(Chunk, bool)>,
    is_ended: bool,
}

impl Downstream {
    /// Before the response.
    pub(super) fn new(respond: SendResponse<Chunk>) -> Self {
        Self { respond, send: None, pending: None, is_ended: false }
    }

    /// Whether the client has reset the stream or is gone; else the task is woken when it does.
    pub(super) fn is_gone(&mut self, context: &mut Context<'_>) -> bool {
        match &mut self.send {
            Some(send) => send.poll_reset(context).is_ready(),
            None => self.respond.poll_reset(context).is_ready(),
        }
    }

    /// Sends an interim response.
    pub(super) fn interim(&mut self, response: &Outgoing<'_>, arena: &Arena) {
        if let Some(response) = border::response(response, arena) {
            // It fails only when the stream is gone, which is noticed elsewhere.
            let _ = self.respond.send_informational(response);
        }
    }

    /// Sends the head of the final response, and with `is_end` nothing more.
    ///
    /// # Errors
    /// The client is gone, or the head cannot stand in HTTP/2.
    pub(super) fn begin(&mut self, response: &Outgoing<'_>, is_end: bool, arena: &Arena) -> Result<(), Reason> {
        let response = border::response(response, arena).ok_or(Reason::BadResponse)?;
        let send = self.respond.send_response(response, is_end).map_err(|_| Reason::ClientGone)?;
        self.send = Some(send);
        self.is_ended = is_end;
        Ok(())
    }

    /// Whether the head of the final response was sent.
    pub(super) fn has_begun(&self) -> bool {
        self.send.is_some()
    }

    /// Whether all of the response was sent.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Takes a stretch of the body to send, the last with `is_end`. Only when [`poll_sent`](Self::poll_sent) said that the one
    /// before is on its way.
    pub(super) fn push(&mut self, chunk: Chunk, is_end: bool) {
        if let Some(send) = &mut self.send {
            // A claim of one byte: a larger one would take from streams that have their data (hyper #4003).
            send.reserve_capacity(1);
            self.pending = Some((chunk, is_end));
        }
    }

    /// Waits until what was pushed is taken, as the client's flow control allows.
    pub(super) fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        let (Some(send), Some((chunk, is_end))) = (&mut self.send, self.pending.take()) else {
            return Poll::Ready(Ok(()));
        };
        while chunk.has_remaining() && send.capacity() == 0 {
            match send.poll_capacity(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(Err(Reason::ClientGone)),
                Poll::Pending => {
                    self.pending = Some((chunk, is_end));
                    return Poll::Pending;
                }
            }
        }
        self.is_ended = is_end;
        Poll::Ready(send.send_data(chunk, is_end).map_err(|_| Reason::ClientGone))
    }

    /// Ends the response, with trailers if there are any. Only when [`poll_sent`](Self::poll_sent) said that all of the body is on
    /// its way.
    ///
    /// # Errors
    /// The client is gone, or the trailers cannot stand in HTTP/2.
    pub(super) fn end(&mut self, trailers: Option<&Trailers>, arena: &Arena) -> Result<(), Reason> {
        let Some(send) = &mut self.send else { return Ok(()) };
        self.is_ended = true;
        let ended = match trailers {
            Some(trailers) => send.send_trailers(border::trailers(trailers, arena).ok_or(Reason::BadResponse)?),
            None => send.send_data(Chunk::default(), true),
        };
        ended.map_err(|_| Reason::ClientGone)
    }

    /// Sends the whole body at once, whether the client takes it now or later. For small ones.
    pub(super) fn finish(&mut self, chunk: Chunk) {
        if let Some(send) = &mut self.send {
            self.is_ended = true;
            // It fails only when the stream is gone.
            let _ = send.send_data(chunk, true);
        }
    }

    /// Lets the connection write what was handed to it: a reset drops whatever still waits, and the client would lose what the
    /// backend has sent.
    pub(super) async fn settled(&self) {
        tokio::task::yield_now().await;
    }

    /// Ends the stream with an error.
    pub(super) fn reset(&mut self, code: Code) {
        self.is_ended = true;
        match &mut self.send {
            Some(send) => send.send_reset(code),
            None => self.respond.send_reset(code),
        }
    }
}
