//! Field sections from the peer: heads of requests and responses, and trailers (RFC 9113 §4.3, §6.2, §6.10, §8.1).

use crate::{
    Code, Failure,
    core::{Block, Came, Closing, Core},
    frame::{self, FRAME_SIZE, FrameHead, flag, kind, number},
    guard::Guard,
    head::{Read, Refusal, Section},
    stream::Key,
};

/// Interim responses to one request that nobody has taken.
const INTERIM: usize = 32;

/// CONTINUATION frames that a block may have, besides those that its size needs.
const CONTINUATIONS: usize = 8;

impl<B: AsRef<[u8]>> Core<B> {
    pub(crate) fn headers(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Failure> {
        let mut fragment = head.unpadded(payload)?;
        let mut depends_on_itself = false;
        if head.has(flag::PRIORITY) {
            let (priority, rest) = fragment.split_at_checked(5).ok_or(Code::PROTOCOL_ERROR)?;
            depends_on_itself = number(priority) & frame::MOST == head.stream;
            fragment = rest;
        }
        let is_end = head.has(flag::END_STREAM);
        if head.has(flag::END_HEADERS) {
            return self.section(head.stream, is_end, depends_on_itself, fragment);
        }
        self.block =
            Some(Block { stream: head.stream, is_end, depends_on_itself, bytes: fragment.to_vec(), frames: 0 });
        Ok(())
    }

    pub(crate) fn continuation(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Failure> {
        let Some(mut block) = self.block.take() else { return Err(Code::PROTOCOL_ERROR.into()) };
        block.frames += 1;
        block.bytes.extend_from_slice(payload);
        let list = self.config.header_list as usize;
        if block.frames > CONTINUATIONS + 4 * list / FRAME_SIZE || block.bytes.len() > 4 * list {
            return Err(Failure::Guard(Guard::Continuation));
        }
        if head.has(flag::END_HEADERS) {
            return self.section(block.stream, block.is_end, block.depends_on_itself, &block.bytes);
        }
        self.block = Some(block);
        Ok(())
    }

    /// Takes a whole field section.
    fn section(&mut self, id: u32, is_end: bool, depends_on_itself: bool, block: &[u8]) -> Result<(), Failure> {
        let taken = self.take_section(id, is_end, depends_on_itself, block);
        self.reader.rest();
        taken
    }

    fn take_section(&mut self, id: u32, is_end: bool, depends_on_itself: bool, block: &[u8]) -> Result<(), Failure> {
        let known = self.streams.find(id);
        let Some(key) = known else {
            if self.config.is_server && id % 2 == 1 && id > self.last_remote {
                return self.request(id, is_end, depends_on_itself, block);
            }
            if self.is_idle(id) {
                return Err(Code::PROTOCOL_ERROR.into());
            }
            if !self.is_passed_over(id) {
                return Err(Code::STREAM_CLOSED.into());
            }
            return self.pass_over(block);
        };
        let Some(state) = self.streams.get(key) else { return Ok(()) };
        let (has_head, error) = (state.has_head, state.error);
        if state.is_received || (self.config.is_server && state.was_reset) {
            return Err(Code::STREAM_CLOSED.into());
        }
        if error.is_some() {
            return self.pass_over(block);
        }
        let section = if has_head { Section::Trailers } else { Section::Response };
        let read = self.read(section, block)?;
        let is_sound = match read {
            Err(_) => false,
            Ok(_) if depends_on_itself => false,
            Ok(read) if has_head => self.trailers(key, is_end, read),
            Ok(read) => self.response(key, is_end, read),
        };
        match is_sound {
            true => Ok(()),
            false => self.broken(key, Code::PROTOCOL_ERROR),
        }
    }

    /// Decodes a section: whatever becomes of it, the table is that of the connection.
    fn read(&mut self, section: Section, block: &[u8]) -> Result<Result<Read, Refusal>, Failure> {
        let Self { reader, decoder, .. } = self;
        reader.begin(section, Vec::with_capacity(2 * block.len() + 256));
        decoder.decode(block, |name, value| reader.field(name, value)).map_err(|_| Code::COMPRESSION_ERROR)?;
        if reader.is_hopeless() {
            return Err(Failure::Guard(Guard::HeaderList));
        }
        Ok(reader.finish())
    }

    /// Decodes a section that is of no use any more, for its table alone. A few bytes may stand for many fields, so there is an end to how
    /// many come.
    fn pass_over(&mut self, block: &[u8]) -> Result<(), Failure> {
        self.decoder.decode(block, |_, _| {}).map_err(|_| Code::COMPRESSION_ERROR)?;
        self.spend(Guard::PassedOver)
    }

    fn request(&mut self, id: u32, is_end: bool, depends_on_itself: bool, block: &[u8]) -> Result<(), Failure> {
        if matches!(self.closing, Closing::Above(_)) {
            // It has begun, so that what belongs to it is no breach.
            self.last_remote = id;
            self.forget(id);
            return self.pass_over(block);
        }
        let read = self.read(Section::Request { has_body: !is_end }, block)?;
        self.last_remote = id;
        if self.active >= self.config.streams {
            self.counts.refused += 1;
            self.forget(id);
            return self.refuse(id, Code::REFUSED_STREAM);
        }
        if read == Err(Refusal::Malformed) || depends_on_itself {
            self.came.push_back(Came::Refused(None, self.reader.asked(), Refusal::Malformed));
            frame::write_number(self.out(), kind::RST_STREAM, id, Code::PROTOCOL_ERROR.0);
            self.forget(id);
            return self.spend(Guard::Malformed);
        }
        let key = self.begin_stream(id);
        let Some(state) = self.streams.get(key) else { return Ok(()) };
        (state.has_head, state.is_received, state.hands) = (true, is_end, 1);
        self.came.push_back(match read {
            Ok(read) => {
                state.expected = read.length.filter(|_| !is_end);
                Came::Request(key, read.bytes)
            }
            Err(refusal) => Came::Refused(Some(key), self.reader.asked(), refusal),
        });
        Ok(())
    }

    /// False if there must not be such trailers.
    fn trailers(&mut self, key: Key, is_end: bool, read: Read) -> bool {
        let Some(state) = self.streams.get(key) else { return true };
        if !is_end || !state.expects(0, true) {
            return false;
        }
        state.trailers = Some(read.bytes);
        state.is_received = true;
        state.wake();
        self.settle(key);
        true
    }

    /// False if there must not be such a head.
    fn response(&mut self, key: Key, is_end: bool, read: Read) -> bool {
        let Some(state) = self.streams.get(key) else { return true };
        if read.status < 200 {
            if is_end || state.heads.len() == INTERIM {
                return false;
            }
            state.heads.push_back(read.bytes);
            state.wake();
            return true;
        }
        let has_body = !state.is_head_request && !matches!(read.status, 204 | 304);
        state.has_head = true;
        state.expected = if has_body { read.length } else { Some(0) };
        if is_end && !state.expects(0, true) {
            return false;
        }
        state.is_received = is_end;
        state.heads.push_back(read.bytes);
        state.wake();
        if is_end {
            self.settle(key);
        }
        true
    }
}
