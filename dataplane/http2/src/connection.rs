//! A connection in the hand of who drives it.

use std::{cell::RefCell, rc::Rc, task::Waker};

use crate::{
    Allowances, Asked, Code, Fields, Guard, Memory, Refusal, Stream, StreamError,
    core::{Came, Core},
    frame::{self, flag, kind},
};

/// What a connection allows its peer.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Whether the peer is a client.
    pub is_server: bool,
    /// Streams that a client may have open at a time; more are answered `REFUSED_STREAM`.
    pub streams: u32,
    /// Bytes of a header list, with 32 more for each field. A connection that sends four times as much is ended.
    pub header_list: u32,
    /// Bytes that the peer may send on a stream before they are taken. If they are fewer than 65,535, a peer that has not read our SETTINGS
    /// yet may send too many, and its stream is reset.
    pub stream_window: u32,
    /// Bytes that the peer may send on all streams before they are taken, at least 65,535.
    pub connection_window: u32,
    /// Bytes that are gathered for the socket; past that nothing more is taken from the streams.
    pub gathered: usize,
    /// Streams that we reset whose late frames are passed over, and not taken for a breach of the protocol.
    pub remembered_resets: usize,
    /// What the peer may do how often; anything if there is none.
    pub allowances: Option<Allowances>,
}

/// Why a connection was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The peer broke the protocol.
    Code(Code),
    /// The peer did too often what it may do.
    Guard(Guard),
}

impl Failure {
    /// What the peer is told.
    pub const fn code(self) -> Code {
        match self {
            Self::Code(code) => code,
            Self::Guard(_) => Code::ENHANCE_YOUR_CALM,
        }
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::Code(code)
    }
}

/// What happened on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `RST_STREAM` frames that came.
    pub resets: u64,
    /// Streams beyond those that are allowed.
    pub refused: u64,
    /// GOAWAY frames that came.
    pub goaways_received: u64,
    /// GOAWAY frames that were sent.
    pub goaways_sent: u64,
}

/// A request that came.
pub enum Arrival<B: AsRef<[u8]>> {
    /// One that is to be served: its head as the bytes of an HTTP/1.1 head, whose framing tells what of it there is: a declared length, or
    /// the chunked coding for a body of unknown length.
    Request(Vec<u8>, Stream<B>),
    /// One that is not. A malformed one was reset already.
    Refused(Asked, Refusal, Option<Stream<B>>),
}

/// A connection; clones are the same one.
///
/// Wakers are called, and chunks of type `B` dropped, while it is borrowed: neither may come back into it at once.
pub struct Connection<B: AsRef<[u8]>> {
    core: Rc<RefCell<Core<B>>>,
}

impl<B: AsRef<[u8]>> Clone for Connection<B> {
    fn clone(&self) -> Self {
        Self { core: Rc::clone(&self.core) }
    }
}

impl<B: AsRef<[u8]>> Connection<B> {
    /// A connection that begins now. Our preface is among what is unwritten.
    pub fn new(config: Config, memory: &Rc<Memory>) -> Self {
        Self { core: Rc::new(RefCell::new(Core::new(config, Rc::clone(memory)))) }
    }

    /// The driver begins a turn: until it [`rests`](Self::rests) it needs not be woken.
    pub fn drives(&self) {
        self.core.borrow_mut().drives();
    }

    /// The driver ends a turn: its task is to be woken when there is something to write.
    pub fn rests(&self, waker: &Waker) {
        self.core.borrow_mut().rests(waker);
    }

    /// Whether bytes are to be read: not while much more waits for the peer than is to be gathered.
    pub fn wants_bytes(&self) -> bool {
        let core = self.core.borrow();
        core.failure.is_none() && !core.is_unread()
    }

    /// Takes bytes from the peer, however they are cut.
    ///
    /// # Errors
    /// The connection was ended, and GOAWAY is among what is unwritten.
    pub fn receive(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.core.borrow_mut().receive(bytes)
    }

    /// The next request that came; those that their client has reset since are left out.
    pub fn next(&self) -> Option<Arrival<B>> {
        loop {
            let came = self.core.borrow_mut().came.pop_front()?;
            match came {
                Came::Request(key, head) => {
                    let stream = Stream::new(&self.core, key);
                    let is_there = self.core.borrow_mut().streams.get(key).is_some_and(|state| state.error.is_none());
                    if is_there {
                        return Some(Arrival::Request(head, stream));
                    }
                }
                Came::Refused(key, asked, refusal) => {
                    let stream = key.map(|key| Stream::new(&self.core, key));
                    return Some(Arrival::Refused(asked, refusal, stream));
                }
            }
        }
    }

    /// Gathers what streams have to send, as far as windows and memory allow, and gives all that waits for the socket to `look`.
    pub fn with_unwritten<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        let mut core = self.core.borrow_mut();
        core.fill();
        look(core.unwritten())
    }

    /// The socket took so many bytes.
    pub fn written(&self, count: usize) {
        self.core.borrow_mut().written(count);
    }

    /// Sends a request, and with `is_end` nothing more; `is_head` says whether its method is HEAD.
    ///
    /// # Errors
    /// The connection takes no more requests.
    pub fn request(
        &self,
        is_head: bool,
        is_end: bool,
        write: impl FnOnce(&mut Fields<'_>),
    ) -> Result<Stream<B>, StreamError> {
        let key = self.core.borrow_mut().open(is_head, is_end, write)?;
        Ok(Stream::new(&self.core, key))
    }

    /// Resets the streams that were let go of behind all that they have to send, if the peer has taken nothing of it since the last call:
    /// no task waits for it.
    pub fn give_up_stalled(&self) {
        self.core.borrow_mut().give_up_stalled();
    }

    /// Sends a PING, so that a peer that is there says something.
    pub fn ping(&self) {
        let mut core = self.core.borrow_mut();
        if core.failure.is_none() {
            frame::write(core.out(), kind::PING, flag::NONE, 0, b"are you?");
            core.wake();
        }
    }

    /// Asks the peer to begin no more streams; those that it begins until it has read that are served.
    pub fn shut_down(&self) {
        self.core.borrow_mut().shut_down();
    }

    /// Takes no more streams, and says so. When those that are open are over, it [is done](Self::is_done).
    pub fn close(&self) {
        self.core.borrow_mut().close();
    }

    /// Wakes the driver.
    pub fn wake(&self) {
        self.core.borrow_mut().wake();
    }

    /// Notes that the connection is gone: all streams end.
    pub fn lost(&self) {
        self.core.borrow_mut().lost();
    }

    /// Whether nothing more is to come or to go, besides what is unwritten.
    pub fn is_done(&self) -> bool {
        self.core.borrow().is_done()
    }

    /// Why it was ended, if it was.
    pub fn failure(&self) -> Option<Failure> {
        self.core.borrow().failure
    }

    /// Whether the peer has said what it takes.
    pub fn has_settings(&self) -> bool {
        self.core.borrow().has_settings
    }

    /// Whether the peer takes no more streams.
    pub fn has_goaway(&self) -> bool {
        self.core.borrow().has_goaway
    }

    /// Streams that may be open at a time, as the peer says.
    pub fn peer_streams(&self) -> u32 {
        self.core.borrow().remote.streams
    }

    /// Streams that are open.
    pub fn active(&self) -> u32 {
        self.core.borrow().active
    }

    /// What happened since the last call.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.core.borrow_mut().counts)
    }
}
