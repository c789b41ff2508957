//! A response on its way from the backend to the client.

use std::{
    io,
    ops::Range,
    task::{Context, Poll},
};

use http1::{
    Asked, ChunkHead, ChunkLimits, ChunkedDecoder, Fault, HeadLimits, LAST_CHUNK, LengthDecoder, Part, Progress,
    ResponseBody, ResponseHead, write,
};

use super::{
    buffers::{Buffer, Buffers, HUGE},
    socket::Socket,
    splice,
    stream::Upstream,
};
use crate::request_id::Renamed;

/// Room in front of what is read, so that a head that grows can be written where it lies, right before its body.
const HEADROOM: usize = 512;

/// Room behind what is read, for the line break of a chunk that is made of it.
const TAILROOM: usize = 2;

/// Limits of a response head: what hyper and nginx allow, with room for large cookies.
const HEAD: HeadLimits = HeadLimits { bytes: 64 << 10, fields: 256, target_bytes: 0 };

/// What was read of a response and what of it waits to be written.
pub(crate) struct Download {
    buffer: Option<Buffer>,
    /// What was read and not looked at.
    start: usize,
    end: usize,
    /// A stretch of the buffer that may be written to the client as it is.
    out: Range<usize>,
    /// Bytes that go before `out` and are not in the buffer.
    before: Vec<u8>,
    before_written: usize,
    framing: Framing,
    /// Whether any byte came.
    has_begun: bool,
    /// Bytes of the body, without framing, that were made ready to write.
    moved: u64,
    /// Which trailers are left out, besides those that none may have.
    renamed: Renamed,
}

enum Framing {
    /// The head is not complete.
    Head,
    Length(LengthDecoder),
    /// Chunked, passed on as it is.
    Chunked(Box<ChunkedDecoder>),
    /// Chunked, passed on without its framing, to a client that knows none.
    Unchunked(Box<ChunkedDecoder>),
    /// Until the backend closes; for the client it is made chunked, if it knows that.
    UntilClose {
        chunk: bool,
    },
    Ended,
}

impl Framing {
    /// How `body` is passed on to a client that may know the chunked coding.
    fn of(body: ResponseBody, knows_chunks: bool) -> Self {
        match body {
            ResponseBody::None | ResponseBody::Length(0) => Self::Ended,
            ResponseBody::Length(length) => Self::Length(LengthDecoder::new(length)),
            ResponseBody::Chunked if knows_chunks => Self::Chunked(decoder()),
            ResponseBody::Chunked => Self::Unchunked(decoder()),
            ResponseBody::UntilClose => Self::UntilClose { chunk: knows_chunks },
        }
    }
}

/// What to do next for a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A head is complete, final or interim.
    Head,
    /// Write what [`Download::waiting`] gives.
    Write,
    /// Read more from the backend.
    Read,
    /// The whole response was written.
    Done,
}

impl Default for Download {
    /// Before the first byte.
    fn default() -> Self {
        Self {
            buffer: None,
            start: HEADROOM,
            end: HEADROOM,
            out: 0..0,
            before: Vec::new(),
            before_written: 0,
            framing: Framing::Head,
            has_begun: false,
            moved: 0,
            renamed: Renamed::default(),
        }
    }
}

impl Download {
    /// What comes next. After [`Step::Head`] the caller either [`begin`](Self::begin)s the response or
    /// [`pass_interim`](Self::pass_interim)s or [`skip_head`](Self::skip_head)s it.
    ///
    /// # Errors
    /// The head or the framing of the body is broken.
    pub(crate) fn step(&mut self, head: &mut ResponseHead, asked: Asked) -> Result<Step, Fault> {
        if self.has_waiting() {
            return Ok(Step::Write);
        }
        if matches!(self.framing, Framing::Head) {
            let read = self.buffer.as_ref().map_or(&[][..], |buffer| &buffer[self.start..self.end]);
            if !read.is_empty() && head.parse(read, asked, &HEAD)? != Progress::Partial {
                return Ok(Step::Head);
            }
            return Ok(Step::Read);
        }
        self.scan()?;
        Ok(match self.framing {
            _ if self.has_waiting() => Step::Write,
            Framing::Ended => Step::Done,
            _ => Step::Read,
        })
    }

    /// Starts the response whose head is complete: its head gets the lines `appended`, its body is chunked only if the client
    /// `knows_chunks`, and no trailer is the field `renamed`.
    ///
    /// # Errors
    /// The chunked coding of what was read already is broken. Nothing was written yet.
    pub(crate) fn begin(
        &mut self,
        head: &ResponseHead,
        knows_chunks: bool,
        appended: &[u8],
        renamed: &Renamed,
    ) -> Result<(), Fault> {
        self.framing = Framing::of(head.body, knows_chunks);
        if matches!(self.framing, Framing::Chunked(_)) {
            self.renamed = renamed.clone();
        }
        self.pass_head(head, appended);
        if matches!(self.framing, Framing::Length(_) | Framing::Chunked(_)) {
            // Head and the first of the body lie side by side, so one write takes both.
            let head = std::mem::take(&mut self.out);
            if let Err(fault) = self.scan() {
                self.framing = Framing::Head;
                self.before.clear();
                return Err(fault);
            }
            self.out = match head {
                head if head.is_empty() => self.out.clone(),
                head if self.out.is_empty() => head,
                head => head.start..self.out.end,
            };
        }
        Ok(())
    }

    /// Starts the response whose head is complete without passing its head on: what [`waiting`](Self::waiting) gives is its body.
    pub(crate) fn begin_without_head(&mut self, head: &ResponseHead) {
        self.framing = Framing::of(head.body, false);
        self.start += head.len as usize;
    }

    /// The bytes of the complete head, of which there are `len`.
    pub(crate) fn head(&self, len: u32) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[self.start..self.start + len as usize])
    }

    /// Passes on the interim response whose head is complete; another head follows.
    pub(crate) fn pass_interim(&mut self, head: &ResponseHead) {
        self.pass_head(head, b"");
    }

    /// Leaves out the head that is complete.
    pub(crate) fn skip_head(&mut self, head: &ResponseHead) {
        self.start += head.len as usize;
    }

    fn pass_head(&mut self, head: &ResponseHead, appended: &[u8]) {
        let Some(buffer) = &mut self.buffer else { return };
        let end = self.start + head.len as usize;
        match write::response_in_place(&mut buffer[..], self.start, head, appended) {
            Some(start) => self.out = start..end,
            None => {
                let bytes = &buffer[self.start..end];
                self.before.clear();
                self.before_written = 0;
                write::status_line(&mut self.before, head.status, head.reason.of(bytes));
                write::kept_lines(&mut self.before, &head.fields, bytes);
                self.before.extend_from_slice(appended);
                write::end(&mut self.before);
            }
        }
        self.start = end;
    }

    /// Looks for the next stretch of the body in what was read.
    fn scan(&mut self) -> Result<(), Fault> {
        let Some(buffer) = &mut self.buffer else { return Ok(()) };
        let available = self.end - self.start;
        match &mut self.framing {
            Framing::Head | Framing::Ended => {}
            Framing::Length(decoder) => {
                let taken = decoder.take(available);
                self.out = self.start..self.start + taken;
                self.start += taken;
                self.moved += taken as u64;
                if decoder.is_done() {
                    self.framing = Framing::Ended;
                }
            }
            Framing::Chunked(decoder) => {
                let part = decoder.verbatim(&buffer[..self.end], &mut self.start)?;
                self.moved = decoder.body_len();
                match part {
                    Part::Bytes(range) => self.out = range,
                    Part::More => {}
                    Part::End => {
                        if let Some(trailers) = decoder.trailers() {
                            self.before.clear();
                            self.before_written = 0;
                            self.renamed.kept_trailers(&mut self.before, trailers);
                            write::end(&mut self.before);
                        }
                        self.framing = Framing::Ended;
                    }
                }
            }
            Framing::Unchunked(decoder) => match decoder.data(&buffer[..self.end], &mut self.start)? {
                Part::Bytes(range) => {
                    self.moved += range.len() as u64;
                    self.out = range;
                }
                Part::More => {}
                Part::End => self.framing = Framing::Ended,
            },
            Framing::UntilClose { chunk } => {
                self.moved += available as u64;
                self.out = self.start..self.end;
                self.start = self.end;
                if *chunk && available > 0 {
                    let head = ChunkHead::new(available as u64);
                    let head = head.as_bytes();
                    // What was read stands behind the headroom, and the buffer keeps room behind it.
                    buffer[self.out.start - head.len()..self.out.start].copy_from_slice(head);
                    buffer[self.end..self.end + TAILROOM].copy_from_slice(b"\r\n");
                    self.out = self.out.start - head.len()..self.end + TAILROOM;
                }
            }
        }
        Ok(())
    }

    /// Whether anything waits to be written.
    pub(crate) fn has_waiting(&self) -> bool {
        self.before_written < self.before.len() || !self.out.is_empty()
    }

    /// Whether nothing of the response follows what is to be written next.
    pub(crate) fn is_waiting_last(&self) -> bool {
        matches!(self.framing, Framing::Ended) && (self.before_written == self.before.len() || self.out.is_empty())
    }

    /// What is to be written next.
    pub(crate) fn waiting(&self) -> &[u8] {
        if self.before_written < self.before.len() {
            return &self.before[self.before_written..];
        }
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[self.out.clone()])
    }

    /// `count` bytes of what waited were written.
    pub(crate) fn written(&mut self, count: usize) {
        if self.before_written < self.before.len() {
            self.before_written += count;
        } else {
            self.out.start += count;
        }
    }

    /// Reads once. `Ok(0)` is the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        upstream: &mut Upstream,
        buffers: &Buffers,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut size = 0;
        let read = upstream.stream.poll_receive(context, || {
            let room = self.room(buffers);
            size = room.len();
            room
        });
        if let Poll::Ready(Ok(count)) = read {
            upstream.read_all_room = count == size;
            self.has_begun |= count > 0;
            self.end += count;
        }
        if self.start == self.end {
            // A response that is waited for owns no buffer.
            self.buffer = None;
        }
        read
    }

    /// Where the next bytes are read to.
    fn room(&mut self, buffers: &Buffers) -> &mut [u8] {
        let is_large = self.moved >= splice::LEAST;
        if self.start == self.end {
            (self.start, self.end) = (HEADROOM, HEADROOM);
            if is_large && self.buffer.as_ref().is_some_and(|buffer| buffer.len() < HUGE) {
                self.buffer = None;
            }
        }
        let fresh = || if is_large { buffers.huge() } else { buffers.large() };
        let buffer = self.buffer.get_or_insert_with(fresh);
        let last = buffer.len() - TAILROOM;
        if self.end == last {
            // Part of a head or of a chunk's line, far smaller than the buffer.
            buffer.copy_within(self.start..self.end, HEADROOM);
            (self.start, self.end) = (HEADROOM, HEADROOM + self.end - self.start);
        }
        &mut buffer[self.end..last]
    }

    /// The backend closed. Answers whether that is how the response ends.
    pub(crate) fn closed(&mut self) -> bool {
        let Framing::UntilClose { chunk } = self.framing else { return false };
        if chunk {
            self.before.clear();
            self.before_written = 0;
            self.before.extend_from_slice(LAST_CHUNK);
        }
        self.framing = Framing::Ended;
        true
    }

    /// How much of the body may be moved from socket to socket, once all that was read of it is written.
    pub(crate) fn spliceable(&self) -> u64 {
        match &self.framing {
            Framing::Length(decoder) if !self.has_waiting() && self.start == self.end => decoder.remaining(),
            _ => 0,
        }
    }

    /// Lets go of the buffer, in which nothing is left: the rest of the body is spliced.
    pub(crate) fn release(&mut self) {
        (self.buffer, self.start, self.end) = (None, HEADROOM, HEADROOM);
    }

    /// `count` bytes of the body came by splicing.
    pub(crate) fn spliced(&mut self, count: usize) {
        let Framing::Length(decoder) = &mut self.framing else { return };
        self.moved += decoder.take(count) as u64;
        if decoder.is_done() {
            self.framing = Framing::Ended;
        }
    }

    /// Whether any byte of a response came.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the head of the final response was read.
    pub(crate) fn is_answered(&self) -> bool {
        !matches!(self.framing, Framing::Head)
    }

    /// Bytes of the body so far.
    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    /// What was read behind the response, or behind the head of an upgrade.
    pub(crate) fn rest(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[self.start..self.end])
    }
}

fn decoder() -> Box<ChunkedDecoder> {
    Box::new(ChunkedDecoder::new(ChunkLimits::default()))
}
