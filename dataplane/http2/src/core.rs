//! One connection: its state, and how it begins and ends. [`receive`](mod@crate::receive) takes frames, [`send`](mod@crate::send) writes
//! them.

use std::{collections::VecDeque, rc::Rc, task::Waker};

use crate::{
    Code, Config, Counts, Failure, Memory, StreamError,
    frame::{self, MOST, flag, kind},
    guard::{Guard, Guards},
    head::{Asked, Reader, Refusal},
    hpack::{Decoder, Encoder},
    send,
    settings::{self, Remote},
    stream::{Key, State, Streams, Tail},
    window::{self, Inbound, Outbound},
};

/// With what a client begins (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The table for the peer's fields, as without SETTINGS.
const TABLE: u32 = 4096;

/// Of the PING whose answer says that the peer has read the first GOAWAY of two.
pub(crate) const SHUTDOWN: [u8; 8] = *b"goodbye?";

/// A header block of which more is to come.
pub(crate) struct Block {
    pub(crate) stream: u32,
    pub(crate) is_end: bool,
    pub(crate) depends_on_itself: bool,
    pub(crate) bytes: Vec<u8>,
    /// CONTINUATION frames so far.
    pub(crate) frames: usize,
}

/// A request that came.
pub(crate) enum Came {
    Request(Key, Vec<u8>),
    Refused(Option<Key>, Asked, Refusal),
}

/// How far the end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    No,
    /// The peer was told to begin no more streams; those that it begins until it has read that are served.
    Asked,
    /// Streams above this one are passed over.
    Above(u32),
}

pub(crate) struct Core<B> {
    pub(crate) config: Config,
    memory: Rc<Memory>,

    // What comes.
    pub(crate) preface: &'static [u8],
    pub(crate) partial: Vec<u8>,
    pub(crate) has_settings: bool,
    pub(crate) decoder: Decoder,
    pub(crate) reader: Reader,
    pub(crate) block: Option<Block>,
    pub(crate) inbound: Inbound,
    pub(crate) guards: Option<Guards>,
    pub(crate) came: VecDeque<Came>,

    // What goes.
    pub(crate) out: Vec<u8>,
    /// Bytes of `out` that are on their way.
    written: usize,
    pub(crate) encoder: Encoder,
    pub(crate) remote: Remote,
    pub(crate) outbound: Outbound,
    /// Bytes of bodies that were sent, and how many those were at the last look for what has stalled.
    pub(crate) data_sent: u64,
    seen: u64,
    /// Streams that could send if the connection could.
    pub(crate) queue: VecDeque<Key>,

    pub(crate) streams: Streams<B>,
    /// Streams that are not over.
    pub(crate) active: u32,
    /// The highest stream of the peer's.
    pub(crate) last_remote: u32,
    /// The next stream of ours.
    pub(crate) next_local: u32,

    pub(crate) closing: Closing,
    pub(crate) has_goaway: bool,
    pub(crate) failure: Option<Failure>,
    pub(crate) counts: Counts,
    /// The task that reads and writes.
    driver: Option<Waker>,
    /// Whether it does so just now, and sees for itself what there is to write.
    is_driven: bool,
}

impl<B: AsRef<[u8]>> Core<B> {
    pub(crate) fn new(config: Config, memory: Rc<Memory>) -> Self {
        let mut out = memory.take();
        if !config.is_server {
            out.extend_from_slice(PREFACE);
        }
        let Config { is_server, streams, header_list, stream_window, connection_window, .. } = config;
        settings::write_local(&mut out, is_server, streams, stream_window, header_list);
        if connection_window > window::INITIAL {
            frame::write_number(&mut out, kind::WINDOW_UPDATE, 0, connection_window - window::INITIAL);
        }
        Self {
            memory,
            preface: if is_server { PREFACE } else { &[] },
            partial: Vec::new(),
            has_settings: false,
            decoder: Decoder::new(TABLE),
            reader: Reader::new(header_list as usize),
            block: None,
            inbound: Inbound::new(connection_window.max(window::INITIAL)),
            guards: config.allowances.as_ref().map(Guards::new),
            came: VecDeque::new(),
            out,
            written: 0,
            encoder: Encoder::new(),
            remote: Remote::default(),
            outbound: Outbound::new(window::INITIAL),
            data_sent: 0,
            seen: 0,
            queue: VecDeque::new(),
            streams: Streams::new(config.remembered_resets),
            active: 0,
            last_remote: 0,
            next_local: 1,
            closing: Closing::No,
            has_goaway: false,
            failure: None,
            counts: Counts::default(),
            driver: None,
            is_driven: false,
            config,
        }
    }

    /// Until [`rests`](Self::rests) the driver needs not be woken.
    pub(crate) fn drives(&mut self) {
        self.is_driven = true;
    }

    /// Has the driver be woken when there is something to write.
    pub(crate) fn rests(&mut self, waker: &Waker) {
        self.is_driven = false;
        if !self.driver.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.driver = Some(waker.clone());
        }
    }

    /// Wakes the driver.
    pub(crate) fn wake(&mut self) {
        if !self.is_driven
            && let Some(driver) = self.driver.take()
        {
            driver.wake();
        }
    }

    /// Bytes that wait for the socket.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.out[self.written..]
    }

    /// The socket took so many bytes.
    pub(crate) fn written(&mut self, count: usize) {
        self.written += count;
        if self.written == self.out.len() {
            self.written = 0;
            self.memory.give_back(std::mem::take(&mut self.out));
        }
    }

    /// Where frames are written to.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = self.memory.take();
        } else if self.written > self.config.gathered {
            self.out.drain(..self.written);
            self.written = 0;
        }
        &mut self.out
    }

    /// Whether so much waits for the socket that no more of bodies is to be gathered.
    pub(crate) fn is_full(&self) -> bool {
        self.unwritten().len() >= self.config.gathered
    }

    /// Whether so much waits for the socket that nothing more is to be read.
    ///
    /// Bodies alone do not come to that, only with them the answers to a peer that does not read. Of two peers that each read nothing until
    /// the other has taken a body, both would wait forever.
    pub(crate) fn is_unread(&self) -> bool {
        // Heads wait too. A server must bound those of what it answers, a client knows how much it has asked for.
        let answers = if self.config.is_server { 64 << 10 } else { 1 << 20 };
        self.unwritten().len() >= self.config.gathered + send::LARGEST as usize + answers
    }

    /// Adds a stream.
    pub(crate) fn begin_stream(&mut self, id: u32) -> Key {
        self.active += 1;
        self.streams.insert(State::new(id, self.config.stream_window, self.remote.window))
    }

    /// Notes what follows when a stream is over, or out of everybody's hand.
    pub(crate) fn settle(&mut self, key: Key) {
        let Some(state) = self.streams.get(key).filter(|state| state.is_over()) else { return };
        self.active -= u32::from(std::mem::take(&mut state.is_counted));
        if state.hands == 0 {
            let unread = state.data.len();
            self.streams.remove(key);
            self.give_back(unread);
        }
    }

    /// Ends a stream for `error`; what it has to send is dropped.
    pub(crate) fn end_stream(&mut self, key: Key, error: StreamError) {
        let Some(state) = self.streams.get(key) else { return };
        if !state.is_over() {
            state.error = Some(error);
        }
        state.wake();
        self.drop_waiting(key);
        self.settle(key);
    }

    /// Drops what a stream has to send.
    pub(crate) fn drop_waiting(&mut self, key: Key) {
        let Some(state) = self.streams.get(key) else { return };
        (state.waiting, state.tail) = (None, Tail::Open);
        if std::mem::take(&mut state.is_queued) {
            // Where it stands it would stay as long as the connection's window is closed.
            self.queue.retain(|queued| *queued != key);
        }
    }

    /// Resets the streams of which nobody waits for the end and the peer has taken nothing since the last look, unless others had their turn.
    pub(crate) fn give_up_stalled(&mut self) {
        let is_still = std::mem::replace(&mut self.seen, self.data_sent) == self.data_sent;
        let mut stalled = Vec::new();
        for state in self.streams.all().filter(|state| state.hands == 0 && !state.is_over()) {
            let sent = state.waiting.as_ref().map(|waiting| waiting.sent);
            let is_seen = std::mem::replace(&mut state.seen, sent) == sent && sent.is_some();
            if is_seen && (is_still || !state.is_queued) {
                stalled.push(state.id);
            }
        }
        for id in stalled {
            let Some(key) = self.streams.find(id) else { continue };
            self.reset(key, Code::CANCEL, StreamError::GivenUp);
        }
    }

    /// Resets a stream.
    pub(crate) fn reset(&mut self, key: Key, code: Code, error: StreamError) {
        if self.failure.is_none() && self.streams.get(key).is_some_and(|state| state.error.is_none()) {
            frame::write_number(self.out(), kind::RST_STREAM, key.id, code.0);
            self.forget(key.id);
            self.wake();
        }
        self.end_stream(key, error);
    }

    /// Keeps in mind that we reset a stream. Its window is not opened again.
    pub(crate) fn forget(&mut self, id: u32) {
        // The peer may not have read yet that it is smaller.
        self.streams.forget(id, self.config.stream_window.max(window::INITIAL));
    }

    /// Gives bytes of the connection's window back to the peer.
    pub(crate) fn give_back(&mut self, count: usize) {
        if count > 0
            && let Some(increment) = self.inbound.take(count as u32)
            && self.failure.is_none()
        {
            frame::write_number(self.out(), kind::WINDOW_UPDATE, 0, increment);
            self.wake();
        }
    }

    /// Takes of an allowance.
    pub(crate) fn spend(&mut self, guard: Guard) -> Result<(), Failure> {
        match &mut self.guards {
            Some(guards) => guards.take(guard).map_err(Failure::Guard),
            None => Ok(()),
        }
    }

    /// Asks the peer to begin no more streams. Those that are under way go on.
    pub(crate) fn shut_down(&mut self) {
        if self.closing == Closing::No && self.failure.is_none() {
            self.closing = Closing::Asked;
            self.goaway(MOST, Code::NO_ERROR);
            frame::write(self.out(), kind::PING, flag::NONE, 0, &SHUTDOWN);
            self.wake();
        }
    }

    /// Takes no more streams.
    pub(crate) fn close(&mut self) {
        if self.failure.is_some() || matches!(self.closing, Closing::Above(_)) {
            return;
        }
        self.closing = Closing::Above(self.last_remote);
        self.goaway(self.last_remote, Code::NO_ERROR);
        self.wake();
    }

    fn goaway(&mut self, last: u32, code: Code) {
        let [a, b, c, d] = last.to_be_bytes();
        let [e, f, g, h] = code.0.to_be_bytes();
        frame::write(self.out(), kind::GOAWAY, flag::NONE, 0, &[a, b, c, d, e, f, g, h]);
        self.counts.goaways_sent += 1;
    }

    /// Whether nothing more is to come or to go.
    pub(crate) fn is_done(&self) -> bool {
        let is_closing = self.has_goaway || matches!(self.closing, Closing::Above(_));
        self.failure.is_some() || (is_closing && self.active == 0)
    }

    /// Ends the connection for what the peer did, and says so.
    pub(crate) fn fail(&mut self, failure: Failure) {
        if self.failure.is_some() {
            return;
        }
        let code = failure.code();
        // It is never above the one that was told (RFC 9113 §6.8).
        let last = if let Closing::Above(last) = self.closing { last } else { self.last_remote };
        self.goaway(last, code);
        self.end_all(failure, StreamError::ConnectionBroken(code));
    }

    /// Notes that the connection is gone.
    pub(crate) fn lost(&mut self) {
        if self.failure.is_none() {
            self.end_all(Failure::Code(Code::NO_ERROR), StreamError::ConnectionLost);
        }
    }

    fn end_all(&mut self, failure: Failure, error: StreamError) {
        self.failure = Some(failure);
        self.queue.clear();
        // What was refused is still to be told to whom it concerns, but nobody is to be answered any more.
        self.came.retain_mut(|came| match came {
            Came::Request(..) => false,
            Came::Refused(key, ..) => {
                *key = None;
                true
            }
        });
        let keys: Vec<Key> = self.streams.keys().collect();
        for key in keys {
            self.end_stream(key, error);
        }
        self.wake();
    }
}
