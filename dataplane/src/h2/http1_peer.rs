//! A client that speaks HTTP/1 and is answered by an HTTP/2 backend.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http1::{
    ChunkHead, ChunkLimits, ChunkedDecoder, Field, LAST_CHUNK, LengthDecoder, Method, Part, RequestBody, Version, write,
};
use http2::Code;
use tokio::io::AsyncWrite;

use super::{
    outgoing::Outgoing,
    peer::{Peer, Piece},
    trailers::Trailers,
};
use crate::{
    answer::phrase,
    engine::{Client, Terms},
    error::Reason,
    worker::Worker,
};

/// The client of one request.
pub(super) struct Http1Peer<'a> {
    worker: &'a Worker,
    client: &'a mut Client,
    body: Body,
    method: Method,
    /// What is to be written.
    out: Vec<u8>,
    written: usize,
    framing: Framing,
    /// Whether the connection takes another request after this one.
    keeps: bool,
    has_begun: bool,
    is_ended: bool,
}

/// What of the request's body is still to come.
enum Body {
    Ended,
    Length(LengthDecoder),
    Chunked(Box<ChunkedDecoder>),
}

/// How the response's body is delimited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// There is none.
    None,
    /// By its length, or by the end of the connection.
    Plain,
    Chunked,
}

impl<'a> Http1Peer<'a> {
    /// The client of a request for which `terms` hold.
    pub(super) fn new(worker: &'a Worker, client: &'a mut Client, terms: &Terms) -> Self {
        let limits = ChunkLimits { body_bytes: terms.body_limit, ..ChunkLimits::default() };
        let body = match terms.body {
            RequestBody::None | RequestBody::Length(0) => Body::Ended,
            RequestBody::Length(length) => Body::Length(LengthDecoder::new(length)),
            RequestBody::Chunked => Body::Chunked(Box::new(ChunkedDecoder::new(limits))),
        };
        Self {
            worker,
            client,
            body,
            method: terms.asked.method,
            out: Vec::new(),
            written: 0,
            framing: Framing::None,
            keeps: terms.keeps,
            has_begun: false,
            is_ended: false,
        }
    }

    /// Whether the client's connection can take another request, after a response that reached its end.
    pub(super) fn keeps(&self) -> bool {
        self.keeps && self.was_read() && !self.client.is_over()
    }

    /// Whether nothing of the request is left to read.
    pub(super) fn was_read(&self) -> bool {
        matches!(self.body, Body::Ended)
    }

    /// The next part of what was read; none if more must be read.
    fn piece(&mut self) -> Result<Option<Piece>, Reason> {
        let input = self.client.input.bytes();
        match &mut self.body {
            Body::Ended => Ok(Some(Piece::End(None))),
            Body::Length(decoder) => {
                let count = decoder.take(input.len());
                let data = Bytes::copy_from_slice(&input[..count]);
                self.client.input.consume(count);
                let is_done = decoder.is_done();
                if is_done {
                    self.body = Body::Ended;
                }
                Ok((count > 0).then_some(Piece::Data(data, is_done)))
            }
            Body::Chunked(decoder) => {
                let mut at = 0;
                let part = decoder.data(input, &mut at).map_err(Reason::of_request)?;
                let piece = match part {
                    Part::Bytes(range) => Some(Piece::Data(Bytes::copy_from_slice(&input[range]), false)),
                    Part::More => None,
                    Part::End => {
                        let trailers = Trailers::of_chunked(decoder);
                        self.body = Body::Ended;
                        Some(Piece::End(trailers))
                    }
                };
                self.client.input.consume(at);
                Ok(piece)
            }
        }
    }

    /// Writes the status and the lines of a head, without those that frame the body.
    fn head(&mut self, response: &Outgoing<'_>) {
        write::status_line(&mut self.out, response.status, phrase(response.status).as_bytes());
        for (name, value) in response.lines().filter(|(name, _)| Field::of(name) != Field::ContentLength) {
            write::line(&mut self.out, name, value);
        }
    }

    /// Decides how the body is framed, and says so.
    fn frame(&mut self, response: &Outgoing<'_>, is_end: bool) {
        let length = response.value(Field::ContentLength);
        let is_bodyless = matches!(response.status, 204 | 304) || self.method == Method::Head;
        // A length leaves no place for the trailers that are announced.
        let length = length.filter(|_| is_bodyless || is_end || response.value(Field::Trailer).is_none());
        let is_http11 = self.client.version == Version::Http11;
        if let Some(length) = length {
            write::line(&mut self.out, b"content-length", length);
        }
        self.framing = match length {
            _ if is_bodyless => Framing::None,
            Some(_) => Framing::Plain,
            None if is_end => {
                self.out.extend_from_slice(b"content-length: 0\r\n");
                Framing::None
            }
            None if is_http11 => {
                self.out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                Framing::Chunked
            }
            None => {
                self.keeps = false;
                self.client.ends_with_reset();
                Framing::Plain
            }
        };
    }
}

impl Peer for Http1Peer<'_> {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Reason>> {
        loop {
            if let Some(piece) = self.piece()? {
                return Poll::Ready(Ok(piece));
            }
            match ready!(self.client.poll_read(&self.worker.buffers, context)) {
                Ok(0) | Err(_) => return Poll::Ready(Err(Reason::ClientGone)),
                Ok(_) => {}
            }
        }
    }

    fn is_gone(&mut self, context: &mut Context<'_>) -> bool {
        if !self.was_read() || self.client.has_ended || !self.client.input.is_empty() {
            return false;
        }
        match self.client.poll_read(&self.worker.buffers, context) {
            Poll::Ready(Ok(0)) => {
                self.client.has_ended = true;
                false
            }
            Poll::Ready(Err(_)) => true,
            Poll::Ready(Ok(_)) | Poll::Pending => false,
        }
    }

    async fn gone(&mut self, terms: &Terms) {
        let unread = match &self.body {
            Body::Length(decoder) => decoder.remaining(),
            Body::Ended | Body::Chunked(_) => 0,
        };
        self.client.gone(&self.worker.buffers, terms.timeouts.half_close_grace.duration(), unread).await;
    }

    fn is_half_closed(&self) -> bool {
        self.client.has_ended
    }

    fn interim(&mut self, response: &Outgoing<'_>) {
        if self.client.version == Version::Http11 {
            self.head(response);
            write::end(&mut self.out);
        }
    }

    fn begin(&mut self, response: &Outgoing<'_>, is_end: bool) -> Result<(), Reason> {
        self.has_begun = true;
        self.is_ended = is_end;
        self.head(response);
        // What follows a request that is still coming could not be told from it.
        self.keeps &= self.was_read() && !self.client.stop.is_set();
        self.frame(response, is_end);
        match (self.keeps, self.client.version) {
            (true, Version::Http11) => {}
            (true, Version::Http10) => self.out.extend_from_slice(b"connection: keep-alive\r\n"),
            (false, _) => self.out.extend_from_slice(b"connection: close\r\n"),
        }
        write::end(&mut self.out);
        Ok(())
    }

    fn push(&mut self, data: Bytes, is_end: bool) {
        match self.framing {
            Framing::None => {}
            Framing::Plain => self.out.extend_from_slice(&data),
            Framing::Chunked => {
                if !data.is_empty() {
                    self.out.extend_from_slice(ChunkHead::new(data.len() as u64).as_bytes());
                    self.out.extend_from_slice(&data);
                    self.out.extend_from_slice(b"\r\n");
                }
                if is_end {
                    self.out.extend_from_slice(LAST_CHUNK);
                }
            }
        }
        self.is_ended = is_end;
    }

    fn end(&mut self, trailers: Option<Trailers>) -> Result<(), Reason> {
        self.is_ended = true;
        if self.framing != Framing::Chunked {
            return Ok(());
        }
        trailers.unwrap_or_default().write_chunked(&mut self.out).map_err(|_| Reason::BadResponse)
    }

    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        while self.written < self.out.len() {
            match ready!(Pin::new(&mut self.client.stream).poll_write(context, &self.out[self.written..])) {
                Ok(count) if count > 0 => self.written += count,
                _ => return Poll::Ready(Err(Reason::ClientGone)),
            }
        }
        self.out.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    fn has_begun(&self) -> bool {
        self.has_begun
    }

    fn is_ended(&self) -> bool {
        self.is_ended
    }

    async fn settled(&self) {}

    fn abort(&mut self, _: Code) {
        // The connection is closed, and the framing shows that something is missing, or a reset does.
        self.keeps = false;
    }
}
