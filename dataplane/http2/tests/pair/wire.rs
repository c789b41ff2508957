//! Two connections back to back: the bytes of one go into the other, through pipes that take only so much, cut anywhere.

use std::collections::VecDeque;

use http2::{Config, Connection, FRAME_HEAD, PREFACE};

use crate::{
    peer::{DATA, Frame, HEADERS, SETTINGS, WINDOW_UPDATE, setting},
    tasks::{Dice, Flag},
};

/// One end of the wire.
pub(crate) struct End {
    pub(crate) connection: Connection<Vec<u8>>,
    config: Config,
    /// What was sent to the other end and not yet received.
    pipe: VecDeque<u8>,
    sent: Sent,
    flag: Flag,
    /// Whether the pipe was full at the last turn.
    is_blocked: bool,
}

/// What an end has sent.
#[derive(Default)]
struct Sent {
    /// Of the frame that is not whole.
    partial: Vec<u8>,
    /// Whether a header block is not whole.
    is_in_block: bool,
    data: u64,
    /// By how much the window of the connection was opened.
    opened: u64,
}

impl Sent {
    fn note(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        if self.partial.starts_with(b"PRI") {
            if self.partial.len() < PREFACE.len() {
                return;
            }
            self.partial.drain(..PREFACE.len());
        }
        for frame in Frame::read(&mut self.partial) {
            match frame.kind {
                DATA => self.data += frame.payload.len() as u64,
                HEADERS | 9 => self.is_in_block = frame.flags & 4 == 0,
                WINDOW_UPDATE if frame.stream == 0 => self.opened += u64::from(frame.value()),
                _ => {}
            }
        }
    }

    /// Bytes that are missing until another frame may be put in.
    fn missing(&self) -> usize {
        let is_between = self.partial.is_empty() && !self.is_in_block;
        let Some([a, b, c]) = self.partial.first_chunk() else { return usize::from(!is_between) };
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if self.partial.len() < FRAME_HEAD { 1 } else { FRAME_HEAD + length - self.partial.len() }
    }
}

impl End {
    fn new(config: Config) -> Self {
        let connection = Connection::new(config, &std::rc::Rc::default());
        Self { connection, config, pipe: VecDeque::new(), sent: Sent::default(), flag: Flag::new(), is_blocked: false }
    }

    /// Reads what `other` has sent and writes what there is, as a driver does: only when it was woken, or can read, or can write on.
    fn turn(&mut self, other: &mut Self, room: usize, dice: &mut Dice, is_cut: bool) -> bool {
        let is_readable = self.connection.wants_bytes() && !other.pipe.is_empty();
        let is_writable = self.is_blocked && self.pipe.len() < room;
        if !self.flag.take() && !is_readable && !is_writable {
            return false;
        }
        let mut has_moved = false;
        self.connection.drives();
        while self.connection.wants_bytes() && !other.pipe.is_empty() {
            let count = other.pipe.len().min(1 + dice.below(20_000));
            let bytes: Vec<u8> = other.pipe.drain(..count).collect();
            self.connection.receive(&bytes).unwrap();
            has_moved = true;
            if dice.below(3) == 0 {
                break;
            }
        }
        has_moved |= self.write(room, dice, is_cut);
        self.connection.rests(&self.flag.waker());
        has_moved
    }

    /// Writes what the pipe takes; of the frame that is cut only the rest, if another is to be put in.
    fn write(&mut self, room: usize, dice: &mut Dice, is_cut: bool) -> bool {
        let Self { connection, pipe, sent, .. } = self;
        let mut has_moved = false;
        loop {
            let missing = if is_cut { sent.missing() } else { usize::MAX };
            let count = connection.with_unwritten(|bytes| {
                let count = bytes.len().min(room.saturating_sub(pipe.len())).min(1 + dice.below(20_000)).min(missing);
                pipe.extend(&bytes[..count]);
                sent.note(&bytes[..count]);
                count
            });
            connection.written(count);
            has_moved |= count > 0;
            if count == 0 || is_cut {
                break;
            }
        }
        self.is_blocked = !connection.with_unwritten(<[u8]>::is_empty);
        has_moved
    }
}

pub(crate) struct Wire {
    pub(crate) client: End,
    pub(crate) server: End,
    /// Bytes that a pipe takes.
    room: usize,
    /// What is to be put among the client's frames.
    extra: Option<Frame>,
}

impl Wire {
    /// A wire whose ends know each other's SETTINGS.
    pub(crate) fn new(client: Config, server: Config, room: usize, dice: &mut Dice) -> Self {
        let mut wire = Self { client: End::new(client), server: End::new(server), room, extra: None };
        while wire.turn(dice) {}
        assert!(wire.client.connection.has_settings() && wire.server.connection.has_settings());
        wire
    }

    /// Has the server believe that the client's windows have this size.
    pub(crate) fn set_window(&mut self, size: u32) {
        self.extra = Some(Frame::new(SETTINGS, 0, 0, &setting(4, size)));
    }

    /// Has each end read and write; whether anything moved.
    pub(crate) fn turn(&mut self, dice: &mut Dice) -> bool {
        let Self { client, server, room, extra } = self;
        let mut has_moved = false;
        if client.sent.missing() == 0
            && let Some(frame) = extra.take()
        {
            client.pipe.extend(frame.bytes());
            has_moved = true;
        }
        let is_cut = extra.is_some();
        has_moved | client.turn(server, *room, dice, is_cut) | server.turn(client, *room, dice, false)
    }

    /// Asserts that nothing is left when all streams are over.
    pub(crate) fn assert_settled(&self) {
        for (end, other) in [(&self.client, &self.server), (&self.server, &self.client)] {
            assert_eq!((end.connection.active(), end.connection.failure()), (0, None));
            assert!(end.pipe.is_empty() && end.connection.with_unwritten(<[u8]>::is_empty));
            // What came was given back, but for what is not worth a frame.
            let window = u64::from(end.config.connection_window);
            let given = end.sent.opened - (window - 65_535);
            assert!((given..given + window / 4).contains(&other.sent.data), "{given} of {}", other.sent.data);
        }
    }

    /// Notes at both ends that the other is gone.
    pub(crate) fn cut(&mut self) {
        for end in [&mut self.client, &mut self.server] {
            end.connection.lost();
            end.pipe.clear();
        }
    }
}
