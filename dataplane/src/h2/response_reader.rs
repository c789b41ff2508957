//! A response from an HTTP/1.1 backend, as a head and stretches of its body without framing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http1::{
    Asked, ChunkLimits, ChunkedDecoder, Fault, HeadLimits, LengthDecoder, Part, Progress, ResponseBody, ResponseHead,
};
use tokio::io::{AsyncRead, ReadBuf};

use super::{arena::Arena, chunk::Chunk, trailers::Trailers};
use crate::{
    engine::{Buffer, Interim, MAX_DRAINED, Upstream},
    error::Reason,
    worker::Worker,
};

/// Limits of a response head, as for HTTP/1.1 clients, from a backend of whichever version.
pub(super) const HEAD: HeadLimits = HeadLimits { bytes: 64 << 10, fields: 256, target_bytes: 0 };

/// What was read of a response.
pub(super) struct ResponseReader {
    buffer: Option<Buffer>,
    /// What was read and not looked at.
    start: usize,
    end: usize,
    framing: Framing,
    has_begun: bool,
    /// Whether the backend sent more than the response.
    has_rest: bool,
    moved: u64,
    trailers: Option<Trailers>,
    awaits_continue: bool,
    /// Interim responses so far.
    interim: Interim,
}

enum Framing {
    Head,
    Length(LengthDecoder),
    Chunked(Box<ChunkedDecoder>),
    UntilClose,
    Ended,
}

/// What comes next.
pub(super) enum Step {
    /// A head is complete, final or interim.
    Head,
    /// A stretch of the body, never empty.
    Data(Chunk),
    /// Read more from the backend.
    Read,
    /// The whole response was handed out.
    Done,
}

impl ResponseReader {
    /// Before the first byte, of the response to a client that may wait for 100 before it sends its body.
    pub(super) fn new(awaits_continue: bool) -> Self {
        Self {
            buffer: None,
            start: 0,
            end: 0,
            framing: Framing::Head,
            has_begun: false,
            has_rest: false,
            moved: 0,
            trailers: None,
            awaits_continue,
            interim: Interim::default(),
        }
    }

    /// What comes next. After [`Step::Head`] the caller either [`begin`](Self::begin)s the body or [`skip`](Self::skip)s the
    /// interim response.
    ///
    /// # Errors
    /// The backend broke the protocol.
    pub(super) fn step(&mut self, head: &mut ResponseHead, asked: Asked, arena: &Arena) -> Result<Step, Reason> {
        let bad = |_: Fault| Reason::BadResponse;
        if matches!(self.framing, Framing::Head) {
            let read = self.buffer.as_ref().map_or(&[][..], |buffer| &buffer[self.start..self.end]);
            if !read.is_empty() && head.parse(read, asked, &HEAD).map_err(bad)? != Progress::Partial {
                return Ok(Step::Head);
            }
            return Ok(Step::Read);
        }
        if let Some(chunk) = self.scan(arena)? {
            return Ok(Step::Data(chunk));
        }
        Ok(if matches!(self.framing, Framing::Ended) { Step::Done } else { Step::Read })
    }

    /// All of the body that was read. Nothing is left in the buffer then but what follows the response.
    fn scan(&mut self, arena: &Arena) -> Result<Option<Chunk>, Reason> {
        let Some(buffer) = &mut self.buffer else { return Ok(None) };
        let from = self.start;
        let mut to = from;
        match &mut self.framing {
            Framing::Head | Framing::Ended => {}
            Framing::Length(decoder) => {
                to += decoder.take(self.end - from);
                self.start = to;
                if decoder.is_done() {
                    self.framing = Framing::Ended;
                }
            }
            Framing::Chunked(decoder) => loop {
                match decoder.data(&buffer[..self.end], &mut self.start).map_err(|_| Reason::BadResponse)? {
                    Part::Bytes(range) => {
                        // Chunks move together, so that a read makes one frame and not many.
                        let length = range.len();
                        buffer.copy_within(range, to);
                        to += length;
                    }
                    Part::More => break,
                    Part::End => {
                        self.trailers = Trailers::of_chunked(decoder);
                        self.framing = Framing::Ended;
                        break;
                    }
                }
            },
            Framing::UntilClose => {
                to = self.end;
                self.start = to;
            }
        }
        self.has_rest |= matches!(self.framing, Framing::Ended) && self.start < self.end;
        if to == from {
            return Ok(None);
        }
        self.moved += (to - from) as u64;
        let chunk = Chunk::of_buffer(&mut self.buffer, from, to, arena);
        (self.start, self.end) = (0, 0);
        Ok(Some(chunk))
    }

    /// The bytes of the complete head.
    pub(super) fn head(&self, head: &ResponseHead) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[self.start..self.start + head.len as usize])
    }

    /// Starts the body of the response whose head is complete.
    pub(super) fn begin(&mut self, head: &ResponseHead) {
        self.start += head.len as usize;
        self.framing = match head.body {
            ResponseBody::None | ResponseBody::Length(0) => Framing::Ended,
            ResponseBody::Length(length) => Framing::Length(LengthDecoder::new(length)),
            ResponseBody::Chunked => Framing::Chunked(Box::new(ChunkedDecoder::new(ChunkLimits::default()))),
            ResponseBody::UntilClose => Framing::UntilClose,
        };
        self.has_rest |= self.is_done() && self.start < self.end;
    }

    /// Leaves out the final response whose head is complete. What of it is there is read, so that the connection can be kept if that
    /// is all.
    pub(super) fn drain(
        &mut self,
        head: &mut ResponseHead,
        asked: Asked,
        upstream: &mut Upstream,
        worker: &Worker,
        context: &mut Context<'_>,
    ) {
        self.begin(head);
        loop {
            match self.step(head, asked, &worker.arena) {
                Ok(Step::Data(_)) => {}
                Ok(Step::Read) if self.moved < MAX_DRAINED => {
                    match self.poll_read(upstream, || worker.buffers.large(), context) {
                        Poll::Ready(Ok(1..)) => {}
                        _ => return,
                    }
                }
                _ => return,
            }
        }
    }

    /// Leaves out the head that is complete, of an interim response.
    ///
    /// # Errors
    /// They are too many: each keeps the request from its time-out.
    pub(super) fn pass_interim(&mut self, head: &ResponseHead) -> Result<(), Reason> {
        self.skip(head);
        if self.interim.admits(head.len as usize) { Ok(()) } else { Err(Reason::BadResponse) }
    }

    /// Leaves out the head that is complete.
    pub(super) fn skip(&mut self, head: &ResponseHead) {
        self.start += head.len as usize;
        self.awaits_continue = false;
    }

    /// What was read and not looked at.
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[self.start..self.end])
    }

    /// Whether the client may wait for an interim response.
    pub(super) fn awaits_continue(&self) -> bool {
        self.awaits_continue
    }

    /// Reads once. `Ok(0)` is the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        upstream: &mut Upstream,
        fresh: impl FnOnce() -> Buffer,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let buffer = self.buffer.get_or_insert_with(fresh);
        if self.start > 0 {
            // Part of a head or of a chunk's line.
            buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let mut room = ReadBuf::new(&mut buffer[self.end..]);
        let size = room.remaining();
        let read = Pin::new(&mut upstream.stream).poll_read(context, &mut room);
        let count = room.filled().len();
        self.end += count;
        if self.end == 0 {
            // A response that is waited for owns no buffer.
            self.buffer = None;
        }
        ready!(read)?;
        upstream.read_all_room = count == size;
        self.has_begun |= count > 0;
        Poll::Ready(Ok(count))
    }

    /// The backend closed. Answers whether that is how the response ends.
    pub(super) fn closed(&mut self) -> bool {
        let is_end = matches!(self.framing, Framing::UntilClose);
        if is_end {
            self.framing = Framing::Ended;
        }
        is_end
    }

    /// Whether any byte of a response came.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the body was handed out.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.framing, Framing::Ended)
    }

    /// Whether nothing came behind the response.
    pub(super) fn is_clean(&self) -> bool {
        self.is_done() && !self.has_rest
    }

    /// Whether nothing follows what was handed out, no trailers either.
    pub(super) fn is_last(&self) -> bool {
        self.is_done() && self.trailers.is_none()
    }

    /// Bytes of the body so far.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// The trailers, once the body was handed out.
    pub(super) fn take_trailers(&mut self) -> Option<Trailers> {
        self.trailers.take()
    }
}
