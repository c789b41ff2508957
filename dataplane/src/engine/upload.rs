//! The body of a request on its way from the client to the backend.

use std::ops::Range;

use http1::{ChunkLimits, ChunkedDecoder, Fault, LengthDecoder, Part, RequestBody, write};

use super::replay::Replay;
use crate::request_id::Renamed;

/// What of the request's body is still to come, and what of it waits to be written.
#[derive(Default)]
pub(crate) struct Upload {
    framing: Framing,
    /// A stretch of the input that may be written to the backend as it is.
    pending: Range<usize>,
    /// How much of the input is read, behind `pending`.
    scanned: usize,
    /// Trailers that wait to be written behind the last chunk. In a box, since few requests have any.
    tail: Option<Box<Tail>>,
    /// Bytes of the body, without framing, that were read.
    moved: u64,
    /// What was written, in case that the request is sent again.
    replay: Replay,
    /// How much of that was written to the backend that the request is sent to now.
    replayed: usize,
    stopped: bool,
    /// Which trailers are left out, besides those that none may have.
    renamed: Renamed,
}

#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
    written: usize,
}

#[derive(Default)]
enum Framing {
    #[default]
    Ended,
    Length(LengthDecoder),
    Chunked(Box<ChunkedDecoder>),
}

/// What to do next for an upload.
pub(crate) enum Step {
    /// Write what [`Upload::again`] gives, which an earlier backend got.
    WriteAgain,
    /// Write this stretch of the input.
    Write(Range<usize>),
    /// Write these bytes, which are not in the input.
    WriteTail,
    /// Read more from the client.
    Read,
    /// The body is written, or given up.
    Done,
}

impl Upload {
    /// The upload of a body that is framed like `body`; what is written is kept in `replay`, and no trailer is the field `renamed`.
    pub(crate) fn new(body: RequestBody, limits: ChunkLimits, replay: Replay, renamed: &Renamed) -> Self {
        let framing = match body {
            RequestBody::None | RequestBody::Length(0) => Framing::Ended,
            RequestBody::Length(length) => Framing::Length(LengthDecoder::new(length)),
            RequestBody::Chunked => Framing::Chunked(Box::new(ChunkedDecoder::new(limits))),
        };
        Self { framing, replay, renamed: renamed.clone(), ..Self::default() }
    }

    /// Starts over on another connection; only while [`is_whole`](Self::is_whole).
    pub(crate) fn rewind(&mut self) {
        (self.replayed, self.stopped) = (0, false);
        if let Some(tail) = &mut self.tail {
            tail.written = 0;
        }
    }

    /// Whether all that was written can be written again.
    pub(crate) fn is_whole(&self) -> bool {
        self.replay.is_whole()
    }

    /// The request is not sent again: nothing is kept any more.
    pub(crate) fn settle(&mut self) {
        if self.again().is_empty() {
            self.replay.lose();
            self.replayed = 0;
        }
    }

    /// What an earlier backend got and this one is to get.
    pub(crate) fn again(&self) -> &[u8] {
        &self.replay.bytes()[self.replayed..]
    }

    /// What comes next, given all of the input.
    ///
    /// # Errors
    /// The chunked coding is broken.
    pub(crate) fn step(&mut self, input: &[u8]) -> Result<Step, Fault> {
        if self.stopped {
            return Ok(Step::Done);
        }
        if !self.again().is_empty() {
            return Ok(Step::WriteAgain);
        }
        if self.pending.is_empty() {
            self.scan(input)?;
        }
        Ok(match &self.framing {
            _ if !self.pending.is_empty() => Step::Write(self.pending.clone()),
            _ if !self.tail().is_empty() => Step::WriteTail,
            Framing::Ended => Step::Done,
            _ => Step::Read,
        })
    }

    fn scan(&mut self, input: &[u8]) -> Result<(), Fault> {
        let available = input.len() - self.scanned;
        match &mut self.framing {
            Framing::Ended => {}
            Framing::Length(decoder) => {
                let taken = decoder.take(available);
                self.pending = self.scanned..self.scanned + taken;
                self.moved += taken as u64;
                self.scanned += taken;
                if decoder.is_done() {
                    self.framing = Framing::Ended;
                }
            }
            Framing::Chunked(decoder) => {
                let part = decoder.verbatim(input, &mut self.scanned)?;
                self.moved = decoder.body_len();
                match part {
                    Part::Bytes(range) => self.pending = range,
                    Part::More => {}
                    Part::End => {
                        if let Some(trailers) = decoder.trailers() {
                            let mut tail = Tail::default();
                            self.renamed.kept_trailers(&mut tail.bytes, trailers);
                            write::end(&mut tail.bytes);
                            self.tail = Some(Box::new(tail));
                        }
                        self.framing = Framing::Ended;
                    }
                }
            }
        }
        Ok(())
    }

    /// `count` bytes of what was to be written of `input`, or again, were written. Answers how many bytes of the input are of no
    /// more use.
    pub(crate) fn written(&mut self, count: usize, input: &[u8]) -> usize {
        if !self.again().is_empty() {
            self.replayed += count;
            return 0;
        }
        self.replay.keep(&input[self.pending.start..self.pending.start + count]);
        self.replayed = self.replay.bytes().len();
        self.pending.start += count;
        self.used()
    }

    /// How many bytes at the start of the input are of no more use; the caller consumes them.
    pub(crate) fn used(&mut self) -> usize {
        let used = if self.pending.is_empty() { self.scanned } else { self.pending.start };
        self.pending = self.pending.start.saturating_sub(used)..self.pending.end.saturating_sub(used);
        self.scanned -= used;
        used
    }

    /// How much of the body is still to be read, as far as that is known: how large a buffer should be.
    pub(crate) fn expects(&self) -> u64 {
        match &self.framing {
            Framing::Ended => 0,
            Framing::Length(decoder) => decoder.remaining(),
            // It goes on as it began.
            Framing::Chunked(_) => self.moved,
        }
    }

    /// How much of the body may be moved from socket to socket, once all that was read of it is written.
    pub(crate) fn spliceable(&self) -> u64 {
        match &self.framing {
            Framing::Length(decoder)
                if self.pending.is_empty() && self.scanned == 0 && self.again().is_empty() && !self.stopped =>
            {
                decoder.remaining()
            }
            _ => 0,
        }
    }

    /// `count` bytes of the body came by splicing.
    pub(crate) fn spliced(&mut self, count: usize) {
        let Framing::Length(decoder) = &mut self.framing else { return };
        self.moved += decoder.take(count) as u64;
        self.replay.lose();
        self.replayed = 0;
        if decoder.is_done() {
            self.framing = Framing::Ended;
        }
    }

    /// What of the trailers waits.
    pub(crate) fn tail(&self) -> &[u8] {
        self.tail.as_ref().map_or(&[], |tail| &tail.bytes[tail.written..])
    }

    /// `count` bytes of the trailers were written.
    pub(crate) fn tail_written(&mut self, count: usize) {
        if let Some(tail) = &mut self.tail {
            tail.written += count;
        }
    }

    /// Bytes of the body so far.
    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    /// Gives the rest up: the backend does not take it.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether the whole body was read and written.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.framing, Framing::Ended)
            && self.pending.is_empty()
            && self.again().is_empty()
            && self.tail().is_empty()
            && !self.stopped
    }
}

#[cfg(test)]
mod tests {
    use super::{super::replay::ReplayMemory, *};

    /// Feeds `pieces` and writes at most `most` bytes at a time; what was written, and what was left in the input.
    fn uploaded(body: RequestBody, pieces: &[&str], most: usize) -> Result<(String, String), Fault> {
        let mut upload = Upload::new(body, ChunkLimits::default(), Replay::new(None), &Renamed::default());
        let (mut input, mut written) = (Vec::new(), Vec::new());
        let mut pieces = pieces.iter();
        loop {
            match upload.step(&input)? {
                Step::Write(range) => {
                    let count = range.len().min(most);
                    written.extend_from_slice(&input[range.start..range.start + count]);
                    let used = upload.written(count, &input);
                    input.drain(..used);
                }
                Step::WriteAgain => panic!("nothing was sent before"),
                Step::WriteTail => {
                    let tail = upload.tail().to_vec();
                    written.extend_from_slice(&tail);
                    upload.tail_written(tail.len());
                }
                Step::Read => {
                    input.drain(..upload.used());
                    input.extend_from_slice(pieces.next().expect("the body ends").as_bytes());
                }
                Step::Done => {
                    input.drain(..upload.used());
                    assert!(upload.is_complete());
                    return Ok((String::from_utf8(written).unwrap(), String::from_utf8(input).unwrap()));
                }
            }
        }
    }

    #[test]
    fn a_body_is_passed_on_as_it_is_and_no_byte_more() {
        let chunked = "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nGET";
        for most in [1, 2, 100] {
            let length = uploaded(RequestBody::Length(5), &["ab", "cdeGET"], most);
            assert_eq!(length, Ok(("abcde".into(), "GET".into())));
            for cut in 0..chunked.len() {
                let (a, b) = chunked.split_at(cut);
                let whole = uploaded(RequestBody::Chunked, &[a, b], most);
                let (written, _) = whole.unwrap();
                assert_eq!(written, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "cut at {cut}");
            }
            assert_eq!(uploaded(RequestBody::None, &[], most), Ok((String::new(), String::new())));
        }
    }

    #[test]
    fn trailers_are_passed_on_and_forbidden_ones_are_not() {
        let body = "1\r\na\r\n0\r\nX-Sum: 1\r\nCookie: c\r\n\r\n";
        assert_eq!(uploaded(RequestBody::Chunked, &[body], 100).unwrap().0, "1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n");
    }

    #[test]
    fn a_body_is_sent_again_from_its_start_wherever_it_broke_off() {
        let (body, sent) =
            ("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n", "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n");
        for (body, framing, sent) in
            [(body, RequestBody::Chunked, sent), ("abcdefgh", RequestBody::Length(8), "abcdefgh")]
        {
            for breaks_at in 0..=sent.len() {
                let memory = ReplayMemory::default();
                let mut upload = Upload::new(
                    framing,
                    ChunkLimits::default(),
                    Replay::new(Some(memory.reserve())),
                    &Renamed::default(),
                );
                let (mut input, mut written) = (Vec::new(), Vec::new());
                let mut pieces = body.as_bytes().chunks(3);
                let mut has_broken = false;
                loop {
                    if written.len() >= breaks_at && !std::mem::replace(&mut has_broken, true) {
                        upload.stop();
                        assert!(upload.is_whole());
                        upload.rewind();
                        written.clear();
                    }
                    match upload.step(&input).unwrap() {
                        Step::Write(range) => {
                            written.push(input[range.start]);
                            let used = upload.written(1, &input);
                            input.drain(..used);
                        }
                        Step::WriteAgain => {
                            written.push(upload.again()[0]);
                            assert_eq!(upload.written(1, &input), 0);
                        }
                        Step::WriteTail => {
                            written.push(upload.tail()[0]);
                            upload.tail_written(1);
                        }
                        Step::Read => {
                            input.drain(..upload.used());
                            input.extend_from_slice(pieces.next().expect("the body ends"));
                        }
                        Step::Done if !has_broken => unreachable!("it breaks before"),
                        Step::Done => break,
                    }
                }
                assert_eq!(String::from_utf8(written).unwrap(), sent, "broken at {breaks_at}");
                assert!(upload.is_complete());
                upload.settle();
                assert_eq!(memory.0.get(), 0);
            }
        }
    }

    #[test]
    fn a_broken_chunk_is_a_fault() {
        assert!(uploaded(RequestBody::Chunked, &["zz\r\n"], 100).is_err());
    }
}
