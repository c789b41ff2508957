//! The client of a request that goes to an HTTP/2 backend, whichever version it speaks.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use bytes::Bytes;
use http2::{Code, Stream};

use super::{chunk::Chunk, downstream::Downstream, outgoing::Outgoing, trailers::Trailers, upload};
use crate::{engine::Terms, error::Reason};

/// A part of a request's body.
pub(super) enum Piece {
    /// A stretch, and whether it is the last and no trailers follow.
    Data(Bytes, bool),
    /// The end, with trailers if there are any.
    End(Option<Trailers>),
}

/// Where a request comes from and its response goes.
pub(super) trait Peer {
    /// The next part of the body; not to be called behind the end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Reason>>;

    /// Whether the client is gone; else the task is woken when it goes.
    fn is_gone(&mut self, context: &mut Context<'_>) -> bool;

    /// Returns when the client has gone away while nothing can be sent to it yet. Cancel-safe.
    async fn gone(&mut self, terms: &Terms);

    /// Whether the client ended its side and only waits for its answer.
    fn is_half_closed(&self) -> bool;

    /// Sends an interim response.
    fn interim(&mut self, response: &Outgoing<'_>);

    /// Sends the head of the final response, and with `is_end` nothing more.
    fn begin(&mut self, response: &Outgoing<'_>, is_end: bool) -> Result<(), Reason>;

    /// Takes a stretch of the body, the last with `is_end`. Only when `poll_sent` was ready.
    fn push(&mut self, data: Bytes, is_end: bool);

    /// Ends the response behind what was pushed. Only when `poll_sent` was ready.
    fn end(&mut self, trailers: Option<Trailers>) -> Result<(), Reason>;

    /// Waits until what was pushed is on its way.
    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Reason>>;

    /// Whether a response began.
    fn has_begun(&self) -> bool;

    /// Whether the response was ended; all of it is on its way when `poll_sent` is ready.
    fn is_ended(&self) -> bool;

    /// Lets what was pushed get on its way before the end.
    async fn settled(&self);

    /// Ends a response that cannot be finished so that it does not look complete.
    fn abort(&mut self, code: Code);
}

/// A client that speaks HTTP/2.
pub(super) struct Http2Peer<'a> {
    client: &'a mut Downstream,
    body: &'a mut Stream<Chunk>,
    limit: u64,
    moved: u64,
}

impl<'a> Http2Peer<'a> {
    /// The peer of a request whose body may have `limit` bytes.
    pub(super) fn new(client: &'a mut Downstream, body: &'a mut Stream<Chunk>, limit: u64) -> Self {
        Self { client, body, limit, moved: 0 }
    }
}

impl Peer for Http2Peer<'_> {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Reason>> {
        let Some(data) = std::task::ready!(self.body.poll_data(context)).map_err(upload::ended_by)? else {
            return Poll::Ready(Ok(Piece::End(self.body.take_trailers().map(Trailers::of_bytes))));
        };
        self.moved += data.len() as u64;
        if self.moved > self.limit {
            return Poll::Ready(Err(Reason::BodyTooLarge));
        }
        Poll::Ready(Ok(Piece::Data(data.into(), self.body.is_end_stream())))
    }

    fn is_gone(&mut self, context: &mut Context<'_>) -> bool {
        self.client.is_gone(context)
    }

    async fn gone(&mut self, _terms: &Terms) {
        poll_fn(|context| if self.is_gone(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn is_half_closed(&self) -> bool {
        false
    }

    fn interim(&mut self, response: &Outgoing<'_>) {
        self.client.interim(response);
    }

    fn begin(&mut self, response: &Outgoing<'_>, is_end: bool) -> Result<(), Reason> {
        self.client.begin(response, is_end)
    }

    fn push(&mut self, data: Bytes, is_end: bool) {
        self.client.push(Chunk::Bytes(data), is_end);
    }

    fn end(&mut self, trailers: Option<Trailers>) -> Result<(), Reason> {
        self.client.end(trailers)
    }

    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        self.client.poll_sent(context)
    }

    fn has_begun(&self) -> bool {
        self.client.has_begun()
    }

    fn is_ended(&self) -> bool {
        self.client.is_ended()
    }

    async fn settled(&self) {
        self.client.settled().await;
    }

    fn abort(&mut self, code: Code) {
        self.client.reset(code);
    }
}
