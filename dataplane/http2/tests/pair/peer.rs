//! A peer that sends frames made by hand.

use std::task::{Context, Poll, Waker};

use http2::{Arrival, Config, Connection, FRAME_HEAD, Failure, Indexing, PREFACE, Stream};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The block of a request: `POST /` to the authority `h`.
pub(crate) const POST: &[u8] = b"\x83\x86\x84\x41\x01h";

/// The block of a response: 200.
pub(crate) const OK: &[u8] = b"\x88";

/// The block of trailers: `x: y`.
pub(crate) const TRAILERS: &[u8] = b"\x00\x01x\x01y";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        Self { kind, flags, stream, payload: payload.to_vec() }
    }

    /// One whose payload is a number.
    pub(crate) fn number(kind: u8, stream: u32, number: u32) -> Self {
        Self::new(kind, 0, stream, &number.to_be_bytes())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let [_, length @ ..] = (self.payload.len() as u32).to_be_bytes();
        [&length[..], &[self.kind, self.flags], &self.stream.to_be_bytes(), &self.payload].concat()
    }

    /// The frames that `bytes` begin with; what is left is not whole.
    pub(crate) fn read(bytes: &mut Vec<u8>) -> Vec<Self> {
        let (mut frames, mut rest) = (Vec::new(), &bytes[..]);
        while let Some((head, behind)) = rest.split_first_chunk::<FRAME_HEAD>() {
            let [a, b, c, kind, flags, d, e, f, g] = *head;
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let Some((payload, behind)) = behind.split_at_checked(length) else { break };
            frames.push(Self::new(kind, flags, u32::from_be_bytes([d, e, f, g]), payload));
            rest = behind;
        }
        *bytes = rest.to_vec();
        frames
    }

    /// The number that the payload begins with.
    pub(crate) fn value(&self) -> u32 {
        u32::from_be_bytes(*self.payload.first_chunk().unwrap())
    }
}

/// One setting.
pub(crate) fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// A connection whose peer is the test.
pub(crate) struct Peer {
    pub(crate) connection: Connection<Vec<u8>>,
}

impl Peer {
    /// After the prefaces; what the connection said in its own is taken.
    pub(crate) fn new(config: Config) -> Self {
        let peer = Self { connection: Connection::new(config, &std::rc::Rc::default()) };
        if config.is_server {
            peer.connection.receive(PREFACE).unwrap();
        }
        peer.send(SETTINGS, 0, 0, &[]).unwrap();
        let length = peer.connection.with_unwritten(<[u8]>::len);
        peer.connection.written(length);
        peer
    }

    pub(crate) fn send(&self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<(), Failure> {
        self.connection.receive(&Frame::new(kind, flags, stream, payload).bytes())
    }

    /// What the connection has to say.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let mut bytes = self.connection.with_unwritten(<[u8]>::to_vec);
        self.connection.written(bytes.len());
        let frames = Frame::read(&mut bytes);
        assert!(bytes.is_empty());
        frames
    }

    /// Sends a request to the server, which takes it.
    pub(crate) fn request(&self, id: u32, is_end: bool) -> Stream<Vec<u8>> {
        self.send(HEADERS, END_HEADERS | u8::from(is_end), id, POST).unwrap();
        let Some(Arrival::Request(_, stream)) = self.connection.next() else { panic!("no request came") };
        stream
    }

    /// Has the client send a request.
    pub(crate) fn ask(&self, is_end: bool) -> Stream<Vec<u8>> {
        let stream = self.connection.request(false, is_end, |fields| {
            fields.field(b":method", b"POST", Indexing::Yes);
            fields.field(b":scheme", b"http", Indexing::Yes);
            fields.field(b":authority", b"h", Indexing::Yes);
            fields.field(b":path", b"/", Indexing::Yes);
        });
        stream.unwrap()
    }
}

/// What a poll yields without waiting.
pub(crate) fn now<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
