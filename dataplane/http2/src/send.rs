//! Frames for the peer (RFC 9113 §5.2, §6.1, §6.2).

use crate::{
    Code, StreamError,
    core::{Closing, Core},
    frame::{self, FRAME_HEAD, FrameHead, MOST, flag, kind},
    hpack::{Encoder, Indexing},
    stream::{Key, Tail, Waiting},
};

/// The largest frame that is sent, whatever the peer takes: others wait as long for their turn.
pub(crate) const LARGEST: u32 = 64 << 10;

/// Writes the fields of a section.
pub struct Fields<'a> {
    encoder: &'a mut Encoder,
    out: &'a mut Vec<u8>,
}

impl Fields<'_> {
    /// `:status`.
    pub fn status(&mut self, status: u16) {
        self.encoder.status(status, self.out);
    }

    /// The next field; its name is written in lower case.
    pub fn field(&mut self, name: &[u8], value: &[u8], indexing: Indexing) {
        self.encoder.field(name, value, indexing, self.out);
    }
}

impl<B: AsRef<[u8]>> Core<B> {
    /// Sends a section, and with `is_end` nothing more.
    pub(crate) fn send_section(&mut self, id: u32, is_end: bool, write: impl FnOnce(&mut Fields<'_>)) {
        let start = self.out().len();
        let Self { out, encoder, .. } = self;
        out.extend_from_slice(&[0; FRAME_HEAD]);
        encoder.begin(out);
        write(&mut Fields { encoder, out });
        let length = out.len() - start - FRAME_HEAD;
        let flags = if is_end { flag::END_STREAM } else { flag::NONE };
        let most = self.remote.frame_size as usize;
        let head = FrameHead { length: length.min(most), kind: kind::HEADERS, flags, stream: id };
        if length <= most {
            let head = FrameHead { flags: flags | flag::END_HEADERS, ..head };
            out[start..start + FRAME_HEAD].copy_from_slice(&head.bytes());
        } else {
            // Rare: the rest is moved to make room for the heads of its frames.
            out[start..start + FRAME_HEAD].copy_from_slice(&head.bytes());
            let rest = out.split_off(start + FRAME_HEAD + most);
            let count = rest.len().div_ceil(most);
            for (index, piece) in rest.chunks(most).enumerate() {
                let flags = if index + 1 == count { flag::END_HEADERS } else { flag::NONE };
                frame::write(out, kind::CONTINUATION, flags, id, piece);
            }
        }
        if let Some(guards) = &mut self.guards {
            guards.sent(is_end);
        }
        self.wake();
    }

    /// Opens a stream with a request; `is_head` says whether its method is HEAD.
    ///
    /// # Errors
    /// The connection takes no more requests.
    pub(crate) fn open(
        &mut self,
        is_head: bool,
        is_end: bool,
        write: impl FnOnce(&mut Fields<'_>),
    ) -> Result<Key, StreamError> {
        if self.failure.is_some() || self.has_goaway || self.closing != Closing::No || self.next_local > MOST {
            return Err(StreamError::Unprocessed);
        }
        let id = self.next_local;
        self.next_local += 2;
        let key = self.begin_stream(id);
        if let Some(state) = self.streams.get(key) {
            (state.hands, state.is_head_request, state.is_sent) = (1, is_head, is_end);
        }
        self.send_section(id, is_end, write);
        Ok(key)
    }

    /// Whether something can be sent on a stream: it has an open side.
    fn sends(&mut self, key: Key) -> Result<(), StreamError> {
        let state = self.streams.get(key).ok_or(StreamError::ConnectionLost)?;
        match state.error {
            Some(error) => Err(error),
            None if state.is_sent => Err(StreamError::Reset(Code::NO_ERROR)),
            None => Ok(()),
        }
    }

    /// Sends a head, or trailers; nothing is waiting.
    pub(crate) fn send_head(
        &mut self,
        key: Key,
        is_end: bool,
        write: impl FnOnce(&mut Fields<'_>),
    ) -> Result<(), StreamError> {
        self.sends(key)?;
        self.send_section(key.id, is_end, write);
        if is_end {
            self.sent_all(key);
        }
        Ok(())
    }

    /// Sends trailers, which are lines, behind all that waits.
    pub(crate) fn send_trailers(&mut self, key: Key, lines: Vec<u8>) -> Result<(), StreamError> {
        self.sends(key)?;
        let Some(state) = self.streams.get(key) else { return Ok(()) };
        if state.waiting.is_some() {
            state.tail = Tail::Trailers(lines);
            return Ok(());
        }
        self.send_head(key, true, |fields| write_trailers(fields, &lines))
    }

    /// Sends a stretch of a body, and with `is_end` nothing more. What the windows do not allow waits; nothing else must be waiting.
    pub(crate) fn send_data(&mut self, key: Key, chunk: B, is_end: bool) -> Result<(), StreamError> {
        self.sends(key)?;
        let is_empty = chunk.as_ref().is_empty();
        let Some(state) = self.streams.get(key) else { return Ok(()) };
        state.waiting = Some(Waiting { chunk, sent: 0 });
        state.tail = if is_end { Tail::End } else { Tail::Open };
        if is_empty {
            // It needs no window, so nothing would tell that its turn has come.
            self.send_waiting(key);
        } else if self.queue.is_empty() {
            while !self.is_full() && self.send_waiting(key) {}
        }
        self.queue_stream(key);
        self.wake();
        Ok(())
    }

    /// Puts a stream into the queue if it has something to send and its own window allows it.
    pub(crate) fn queue_stream(&mut self, key: Key) {
        let Some(state) = self.streams.get(key) else { return };
        if state.waiting.is_some() && !state.is_queued && state.outbound.left() > 0 {
            state.is_queued = true;
            self.queue.push_back(key);
        }
    }

    /// Sends what waits, a frame of each stream at a time, as far as the windows allow and there is room.
    pub(crate) fn fill(&mut self) {
        while self.outbound.left() > 0
            && !self.is_full()
            && let Some(key) = self.queue.pop_front()
        {
            let Some(state) = self.streams.get(key) else { continue };
            state.is_queued = false;
            if self.send_waiting(key) {
                self.queue_stream(key);
            }
        }
    }

    /// Sends one frame of what waits on a stream; whether more of it may be sent now.
    fn send_waiting(&mut self, key: Key) -> bool {
        let window = self.outbound.left();
        let most = self.remote.frame_size.min(LARGEST) as usize;
        // Memory for the frame, before the stream is looked at.
        self.out();
        let Self { streams, out, outbound, .. } = self;
        let Some(state) = streams.get(key) else { return false };
        let Some(waiting) = &mut state.waiting else { return false };
        let rest = &waiting.chunk.as_ref()[waiting.sent..];
        let length = rest.len().min(most).min(window).min(state.outbound.left());
        let is_all = length == rest.len();
        let is_end = is_all && matches!(state.tail, Tail::End);
        if length == 0 && !is_all {
            return false;
        }
        if length > 0 || is_end {
            let flags = if is_end { flag::END_STREAM } else { flag::NONE };
            frame::write(out, kind::DATA, flags, key.id, &rest[..length]);
            state.outbound.sent(length);
            outbound.sent(length);
            self.data_sent += length as u64;
            waiting.sent += length;
            if let Some(guards) = &mut self.guards {
                guards.sent(is_end);
            }
        }
        if is_all {
            state.waiting = None;
            let tail = std::mem::take(&mut state.tail);
            state.wake();
            match tail {
                Tail::Open => {}
                Tail::End => self.sent_all(key),
                // It is known to take them, or the stream is over.
                Tail::Trailers(lines) => drop(self.send_trailers(key, lines)),
            }
        }
        !is_all
    }

    /// Our side of a stream has ended.
    fn sent_all(&mut self, key: Key) {
        let Some(state) = self.streams.get(key) else { return };
        state.is_sent = true;
        let is_dropped = state.hands == 0 && !state.is_received;
        self.settle(key);
        if is_dropped {
            self.reset(key, Code::NO_ERROR, StreamError::GivenUp);
        }
    }

    /// One hand less. If it was the last, what was to be sent to its end still is; else the stream is reset.
    pub(crate) fn let_go(&mut self, key: Key) {
        let Some(state) = self.streams.get(key) else { return };
        state.hands -= 1;
        if state.hands > 0 {
            return;
        }
        state.waker = None;
        let unread = std::mem::take(&mut state.data).len();
        let is_ending = state.is_sent || !matches!(state.tail, Tail::Open);
        let is_over = state.is_over();
        self.give_back(unread);
        if is_over {
            self.settle(key);
        } else if !is_ending || !self.config.is_server {
            self.reset(key, Code::CANCEL, StreamError::GivenUp);
        } else if self.streams.get(key).is_some_and(|state| state.is_sent) {
            // Nothing is wrong, but the rest of the request is not wanted (RFC 9113 §8.1).
            self.reset(key, Code::NO_ERROR, StreamError::GivenUp);
        }
    }
}

fn write_trailers(fields: &mut Fields<'_>, lines: &[u8]) {
    for (name, value) in crate::lines(lines) {
        // Those of gRPC come again and again, as long as all is well.
        let indexing = if name.eq_ignore_ascii_case(b"grpc-status") { Indexing::Yes } else { Indexing::No };
        fields.field(name, value, indexing);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::Config;

    /// What a stream says that is reset while the connection's window is closed was kept in the queue until it opened.
    #[test]
    fn streams_that_are_over_are_not_queued() {
        let config = Config {
            is_server: true,
            streams: 10,
            header_list: 1000,
            stream_window: 65_535,
            connection_window: 65_535,
            gathered: 100_000,
            remembered_resets: 1,
            allowances: None,
        };
        let mut core: Core<Vec<u8>> = Core::new(config, Rc::default());
        for (id, length) in [(1, 65_535), (3, 10), (5, 10)] {
            let key = core.begin_stream(id);
            core.streams.get(key).unwrap().hands = 1;
            core.send_data(key, vec![1; length], false).unwrap();
        }
        assert_eq!(core.queue.iter().map(|key| key.id).collect::<Vec<_>>(), [3, 5]);
        let key = core.streams.find(3).unwrap();
        core.reset(key, Code::CANCEL, StreamError::Reset(Code::CANCEL));
        assert_eq!(core.queue.iter().map(|key| key.id).collect::<Vec<_>>(), [5]);
    }
}
