//! Frames from the peer (RFC 9113 §4 to §6, §8.1).

use crate::{
    Code, Failure, StreamError,
    core::{Closing, Core, SHUTDOWN},
    frame::{self, FRAME_HEAD, FRAME_SIZE, FrameHead, flag, kind, number},
    guard::Guard,
    stream::Key,
};

impl<B: AsRef<[u8]>> Core<B> {
    /// Takes bytes from the peer, however they are cut.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let received = self.receive_all(bytes);
        if let Err(failure) = received {
            self.fail(failure);
        }
        received
    }

    fn receive_all(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        let count = self.preface.len().min(bytes.len());
        let (preface, rest) = bytes.split_at(count);
        let (expected, left) = self.preface.split_at(count);
        if preface != expected {
            return Err(Code::PROTOCOL_ERROR.into());
        }
        (self.preface, bytes) = (left, rest);
        while !self.partial.is_empty() {
            let Some(length) = frame_length(&self.partial)? else {
                let taken = bytes.len().min(FRAME_HEAD - self.partial.len());
                let piece;
                (piece, bytes) = bytes.split_at(taken);
                self.partial.extend_from_slice(piece);
                if taken == 0 {
                    return Ok(());
                }
                continue;
            };
            let taken = bytes.len().min(length - self.partial.len());
            let piece;
            (piece, bytes) = bytes.split_at(taken);
            self.partial.extend_from_slice(piece);
            if self.partial.len() < length {
                return Ok(());
            }
            let whole = std::mem::take(&mut self.partial);
            self.frame(&whole)?;
        }
        while let Some(length) = frame_length(bytes)?
            && let Some((whole, rest)) = bytes.split_at_checked(length)
        {
            self.frame(whole)?;
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn frame(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some((head, payload)) = bytes.split_first_chunk() else { return Ok(()) };
        let head = FrameHead::parse(*head);
        head.check()?;
        // Nothing comes between the frames of a block (RFC 9113 §6.10).
        let is_continued = head.kind == kind::CONTINUATION;
        if self.block.as_ref().map_or(is_continued, |block| !is_continued || block.stream != head.stream) {
            return Err(Code::PROTOCOL_ERROR.into());
        }
        // SETTINGS are part of the preface (RFC 9113 §3.4).
        if !self.has_settings && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(Code::PROTOCOL_ERROR.into());
        }
        match head.kind {
            kind::DATA => self.data(head, payload),
            kind::HEADERS => self.headers(head, payload),
            kind::CONTINUATION => self.continuation(head, payload),
            kind::PRIORITY => self.priority(head, payload),
            kind::RST_STREAM => self.rst_stream(head, Code(number(payload))),
            kind::SETTINGS => self.settings(head, payload),
            kind::PUSH_PROMISE => Err(Code::PROTOCOL_ERROR.into()),
            kind::PING => self.ping(head, payload),
            kind::GOAWAY => self.goaway_came(payload),
            kind::WINDOW_UPDATE => self.window_update(head, number(payload) & frame::MOST),
            _ => self.spend(Guard::PassedOver),
        }
    }

    /// Whether no stream with this number has begun.
    pub(crate) fn is_idle(&self, id: u32) -> bool {
        let is_odd = id % 2 == 1;
        match self.config.is_server {
            true => !is_odd || id > self.last_remote,
            false => !is_odd || id >= self.next_local,
        }
    }

    /// Whether frames of a stream that is not there any more are passed over.
    pub(crate) fn is_passed_over(&self, id: u32) -> bool {
        // What backends send late must not end the requests of others.
        !self.config.is_server
            || matches!(self.closing, Closing::Above(last) if id > last)
            || self.streams.is_forgotten(id)
    }

    /// Resets a stream on which the peer broke the protocol.
    pub(crate) fn broken(&mut self, key: Key, code: Code) -> Result<(), Failure> {
        self.reset(key, code, StreamError::Broken(code));
        self.spend(Guard::Provoked)
    }

    /// Resets a stream whose head was found malformed elsewhere.
    pub(crate) fn refuse_malformed(&mut self, key: Key) {
        let code = Code::PROTOCOL_ERROR;
        self.reset(key, code, StreamError::Broken(code));
        if let Err(failure) = self.spend(Guard::Malformed) {
            self.fail(failure);
        }
    }

    /// Resets a stream that is not there.
    pub(crate) fn refuse(&mut self, id: u32, code: Code) -> Result<(), Failure> {
        frame::write_number(self.out(), kind::RST_STREAM, id, code.0);
        self.spend(Guard::Provoked)
    }

    fn data(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Failure> {
        let is_end = head.has(flag::END_STREAM);
        let data = head.unpadded(payload)?;
        if data.is_empty() && !is_end {
            self.spend(Guard::EmptyData)?;
        }
        if self.is_idle(head.stream) {
            return Err(Code::PROTOCOL_ERROR.into());
        }
        // Padding counts (RFC 9113 §6.9.1).
        let length = head.length as u32;
        if !self.inbound.receive(length) {
            return Err(Code::FLOW_CONTROL_ERROR.into());
        }
        let Some(key) = self.streams.find(head.stream) else {
            self.give_back(head.length);
            return match self.is_passed_over(head.stream) {
                true => self.late(head.stream, length),
                false => self.refuse(head.stream, Code::STREAM_CLOSED),
            };
        };
        let Some(state) = self.streams.get(key) else { return Ok(()) };
        if state.error.is_some() {
            let is_closed = state.was_reset && self.config.is_server;
            self.give_back(head.length);
            return match is_closed {
                true => self.refuse(head.stream, Code::STREAM_CLOSED),
                false => self.late(head.stream, length),
            };
        }
        if state.is_received {
            return Err(Code::STREAM_CLOSED.into());
        }
        let is_in_window = state.inbound.receive(length);
        let is_expected = state.expects(data.len() as u64, is_end);
        if !is_in_window || !is_expected || !state.has_head {
            self.give_back(head.length);
            return self.broken(key, if is_in_window { Code::PROTOCOL_ERROR } else { Code::FLOW_CONTROL_ERROR });
        }
        state.is_received = is_end;
        let is_wanted = state.hands > 0;
        if is_wanted {
            if state.data.is_empty() {
                state.data.reserve_exact(data.len());
            }
            state.data.extend_from_slice(data);
        }
        state.wake();
        let unwanted = if is_wanted { head.length - data.len() } else { head.length };
        self.consumed(key, unwanted);
        if is_end {
            self.settle(key);
        }
        Ok(())
    }

    /// Passes over DATA of a stream that we reset: no more of it than the peer may have sent before it knew.
    fn late(&mut self, id: u32, count: u32) -> Result<(), Failure> {
        match self.config.is_server && !self.streams.comes_late(id, count) {
            true => Err(Code::FLOW_CONTROL_ERROR.into()),
            false => Ok(()),
        }
    }

    /// Notes that bytes of a stream were taken, or are padding.
    pub(crate) fn consumed(&mut self, key: Key, count: usize) {
        if count == 0 {
            return;
        }
        if let Some(state) = self.streams.get(key)
            && !state.is_received
            && state.error.is_none()
            && let Some(increment) = state.inbound.take(count as u32)
        {
            frame::write_number(self.out(), kind::WINDOW_UPDATE, key.id, increment);
            self.wake();
        }
        self.give_back(count);
    }

    fn priority(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Failure> {
        self.spend(Guard::PassedOver)?;
        // The rest is obsolete (RFC 9113 §5.3.2).
        let depends_on_itself = number(payload) & frame::MOST == head.stream;
        match self.streams.find(head.stream) {
            Some(key) if depends_on_itself => self.broken(key, Code::PROTOCOL_ERROR),
            _ => Ok(()),
        }
    }

    fn rst_stream(&mut self, head: FrameHead, code: Code) -> Result<(), Failure> {
        if self.is_idle(head.stream) {
            return Err(Code::PROTOCOL_ERROR.into());
        }
        self.counts.resets += 1;
        if let Some(key) = self.streams.find(head.stream)
            && let Some(state) = self.streams.get(key)
        {
            state.was_reset = true;
            if code == Code::NO_ERROR && state.is_received && !self.config.is_server {
                // All of the response is there, and the rest of the request not wanted (RFC 9113 §8.1).
                state.is_sent = true;
                state.wake();
                self.drop_waiting(key);
                self.settle(key);
            } else {
                self.end_stream(key, StreamError::Reset(code));
            }
        }
        self.spend(Guard::RapidReset)
    }

    fn settings(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Failure> {
        if head.has(flag::ACK) {
            return self.spend(Guard::PassedOver);
        }
        self.has_settings = true;
        self.spend(Guard::Settings)?;
        let before = self.remote.window;
        self.remote.take(payload, !self.config.is_server, &mut self.encoder)?;
        let by = i64::from(self.remote.window) - i64::from(before);
        if by != 0 {
            // One that is too large ends the connection, whatever the others are.
            if !self.streams.all().all(|state| state.is_over() || state.outbound.grow(by)) {
                return Err(Code::FLOW_CONTROL_ERROR.into());
            }
            let keys: Vec<Key> = self.streams.keys().collect();
            keys.into_iter().for_each(|key| self.queue_stream(key));
        }
        frame::write(self.out(), kind::SETTINGS, flag::ACK, 0, &[]);
        Ok(())
    }

    fn ping(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Failure> {
        // An answer that nobody asked for costs as much.
        self.spend(Guard::Ping)?;
        if !head.has(flag::ACK) {
            frame::write(self.out(), kind::PING, flag::ACK, 0, payload);
        } else if payload == SHUTDOWN && self.closing == Closing::Asked {
            self.close();
        }
        Ok(())
    }

    fn goaway_came(&mut self, payload: &[u8]) -> Result<(), Failure> {
        self.has_goaway = true;
        self.counts.goaways_received += 1;
        if !self.config.is_server {
            let last = number(payload) & frame::MOST;
            let unprocessed: Vec<Key> = self.streams.keys().filter(|key| key.id > last).collect();
            unprocessed.into_iter().for_each(|key| self.end_stream(key, StreamError::Unprocessed));
        }
        self.spend(Guard::PassedOver)
    }

    fn window_update(&mut self, head: FrameHead, increment: u32) -> Result<(), Failure> {
        if increment == 0 || (head.stream != 0 && self.is_idle(head.stream)) {
            return Err(Code::PROTOCOL_ERROR.into());
        }
        self.spend(Guard::WindowUpdate)?;
        if head.stream == 0 {
            return match self.outbound.grow(i64::from(increment)) {
                true => Ok(()),
                false => Err(Code::FLOW_CONTROL_ERROR.into()),
            };
        }
        let Some(key) = self.streams.find(head.stream) else { return Ok(()) };
        let Some(state) = self.streams.get(key) else { return Ok(()) };
        if state.is_over() {
            return Ok(());
        }
        if !state.outbound.grow(i64::from(increment)) {
            return self.broken(key, Code::FLOW_CONTROL_ERROR);
        }
        self.queue_stream(key);
        Ok(())
    }
}

/// The length of the frame at the beginning of `bytes`, with its head, once that is there.
fn frame_length(bytes: &[u8]) -> Result<Option<usize>, Code> {
    let Some([a, b, c, ..]) = bytes.first_chunk::<FRAME_HEAD>() else { return Ok(None) };
    let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
    if length > FRAME_SIZE { Err(Code::FRAME_SIZE_ERROR) } else { Ok(Some(FRAME_HEAD + length)) }
}
