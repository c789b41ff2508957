//! An HTTP/2 connection of either side: bytes from the peer, however cut, among what the driver and the tasks of streams do.
#![no_main]

use std::{
    collections::HashMap,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use http2::{Allowance, Allowances, Arrival, Code, Config, Connection, FRAME_HEAD, Indexing, PREFACE, Stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut script = Script(bytes);
    let mut run = Run::new(script.byte());
    while !script.0.is_empty() {
        run.step(&mut script);
        run.check();
    }
    run.end();
});

/// What is to happen. At its end there are zeros.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// As many bytes as the next one says.
    fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        self.0.split_off(..length).unwrap_or_default()
    }
}

struct Run {
    config: Config,
    connection: Connection<Vec<u8>>,
    streams: Vec<Stream<Vec<u8>>>,
    /// All that the socket took.
    sent: Vec<u8>,
    /// Bytes that streams and the driver wrote beside bodies, at most.
    said: usize,
    /// Bytes that came since the socket took something, of which each asks for two at most.
    asked: usize,
    /// What was sent and is to be when the connection failed.
    failed: Option<usize>,
}

/// Bytes of a head or trailers that are sent, at most; and of frames that are sent beside them.
const SAID: usize = 200;

/// The largest DATA frame that is sent.
const LARGEST: usize = 64 << 10;

impl Run {
    fn new(first: u8) -> Self {
        let is_server = first & 1 == 0;
        let allowance = Allowance { burst: 50, per_second: 0, per_frame_sent: 1 };
        let allowances = Allowances {
            ping: allowance,
            settings: allowance,
            window_update: allowance,
            empty_data: allowance,
            passed_over: allowance,
            rapid_reset: allowance,
            malformed: allowance,
            provoked: allowance,
        };
        let config = Config {
            is_server,
            streams: if is_server { 4 } else { 0 },
            header_list: 1000,
            stream_window: if first & 2 == 0 { 70_000 } else { 3000 },
            connection_window: 100_000,
            gathered: if first & 4 == 0 { 20_000 } else { 500 },
            remembered_resets: usize::from(first >> 6),
            allowances: (first & 8 == 0).then_some(allowances),
        };
        let mut run = Self {
            config,
            connection: Connection::new(config, &Rc::default()),
            streams: Vec::new(),
            sent: Vec::new(),
            said: SAID,
            asked: 0,
            failed: None,
        };
        if is_server {
            run.receive(PREFACE);
        }
        if first & 16 == 0 {
            run.receive(&frame(4, 0, 0, &[]));
        }
        if !is_server {
            (0..4).for_each(|number| run.open(number));
        }
        run
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 8 {
            0 => self.receive(script.piece()),
            1 => {
                let (kind, flags, stream) = (script.byte(), script.byte(), script.byte());
                self.receive(&frame(kind % 11, flags, stream, script.piece()));
            }
            2 => {
                let (length, flags, stream) = (script.byte(), script.byte(), script.byte());
                self.receive(&frame(0, flags & 1, stream, &vec![0; usize::from(length) * 64]));
            }
            3 => {
                let (flags, stream) = (script.byte(), script.byte());
                // GET http / with an authority, or 200, both behind what the script says.
                let block: &[u8] = if self.config.is_server { b"\x82\x86\x84\x41\x01h" } else { b"\x88" };
                self.receive(&frame(1, flags & 5, stream, &[block, script.piece()].concat()));
            }
            4 => self.take(script.byte()),
            5 => self.act(script),
            6 => {
                let count = usize::from(script.byte()) << (script.byte() % 12);
                self.write(count);
            }
            _ => self.drive(script.byte()),
        }
    }

    /// Takes bytes from the peer, as a driver does.
    fn receive(&mut self, bytes: &[u8]) {
        if !self.connection.wants_bytes() {
            self.write(usize::MAX);
        }
        self.asked += bytes.len();
        let has_failed = self.connection.receive(bytes).is_err();
        assert_eq!(has_failed, self.connection.failure().is_some());
    }

    fn write(&mut self, count: usize) {
        let Self { sent, connection, .. } = self;
        let count = connection.with_unwritten(|bytes| {
            let count = bytes.len().min(count);
            sent.extend_from_slice(&bytes[..count]);
            count
        });
        connection.written(count);
        if connection.with_unwritten(<[u8]>::is_empty) {
            (self.said, self.asked) = (0, 0);
        }
    }

    fn take(&mut self, what: u8) {
        match self.connection.next() {
            Some(Arrival::Request(head, stream)) => {
                assert!(head.ends_with(b"\r\n\r\n"));
                self.keep(what, stream);
            }
            Some(Arrival::Refused(_, _, Some(stream))) => self.keep(what, stream),
            Some(Arrival::Refused(_, _, None)) | None => {}
        }
    }

    fn keep(&mut self, what: u8, mut stream: Stream<Vec<u8>>) {
        match what % 8 {
            0 => drop(stream),
            1 => stream.refuse(),
            _ => self.streams.push(stream),
        }
        self.said += SAID;
    }

    fn open(&mut self, what: u8) {
        let opened = self.connection.request(what & 2 != 0, what & 1 != 0, |fields| {
            fields.field(b":method", b"POST", Indexing::No);
            fields.field(b":path", &[what], Indexing::Yes);
        });
        self.streams.extend(opened);
        self.said += SAID;
    }

    /// What the task of a stream does.
    fn act(&mut self, script: &mut Script<'_>) {
        let (index, what) = (script.byte(), script.byte());
        if self.streams.is_empty() {
            return;
        }
        let index = usize::from(index) % self.streams.len();
        let stream = &mut self.streams[index];
        let context = &mut Context::from_waker(Waker::noop());
        let is_end = what & 16 != 0;
        match what % 16 {
            0 => drop(self.streams.swap_remove(index)),
            1 => {
                let clone = stream.clone();
                self.streams.push(clone);
            }
            2 => stream.reset(Code::INTERNAL_ERROR),
            3 => stream.refuse(),
            4 => {
                if let Poll::Ready(Ok(())) = stream.poll_sent(context) {
                    let _ = stream.send_head(is_end, |fields| fields.field(b"x-y", &[what], Indexing::Yes));
                }
            }
            5 => drop(stream.send_trailers(b"grpc-status: 0\r\nx: y\r\n".to_vec())),
            6 => {
                let _ = stream.poll_head(context);
                let _ = stream.poll_reset(context);
                let _ = stream.take_trailers();
            }
            7..=9 => {
                if let Poll::Ready(Ok(Some(data))) = stream.poll_data(context) {
                    assert!(!data.is_empty() && data.len() <= self.config.stream_window as usize);
                }
            }
            _ => {
                let length = usize::from(script.byte()) << (what >> 5);
                if let Poll::Ready(Ok(())) = stream.poll_sent(context) {
                    let _ = stream.send_data(vec![what; length], is_end);
                }
            }
        }
        self.said += SAID;
    }

    /// What a driver does beside reading and writing.
    fn drive(&mut self, what: u8) {
        self.said += SAID;
        match what % 16 {
            0 => self.connection.shut_down(),
            1 => self.connection.close(),
            2 => self.connection.ping(),
            3 if what == 3 => self.connection.lost(),
            4..=7 if !self.config.is_server => self.open(what >> 4),
            8 => self.connection.drives(),
            9 => self.connection.rests(Waker::noop()),
            10 => self.connection.give_up_stalled(),
            _ => {}
        }
    }

    fn check(&mut self) {
        let unwritten = self.connection.with_unwritten(<[u8]>::len);
        assert!(unwritten <= 2 * self.config.gathered + LARGEST + self.said + 2 * self.asked, "{unwritten} wait");
        assert!(self.connection.active() as usize <= 4 + self.streams.len());
        if self.connection.failure().is_some() {
            // Nothing follows GOAWAY.
            let said = self.sent.len() + unwritten;
            assert_eq!(*self.failed.get_or_insert(said), said);
        }
    }

    /// Ends everything, and looks at all that was written.
    fn end(mut self) {
        let context = &mut Context::from_waker(Waker::noop());
        let mut buffered = HashMap::new();
        for stream in &mut self.streams {
            while let Poll::Ready(Ok(Some(data))) = stream.poll_data(context) {
                *buffered.entry(stream.id()).or_insert(0) += data.len();
            }
        }
        assert!(buffered.values().sum::<usize>() <= self.config.connection_window as usize);
        self.streams.clear();
        self.write(usize::MAX);
        let is_broken = self.connection.failure().is_some_and(|failure| failure.code() != Code::NO_ERROR);
        let last = read(&self.sent[if self.config.is_server { 0 } else { PREFACE.len() }..]);
        assert!(!is_broken || last == Some(7));
        self.connection.lost();
        assert_eq!(self.connection.active(), 0);
        while let Some(arrival) = self.connection.next() {
            assert!(matches!(arrival, Arrival::Refused(_, _, None)), "nobody is there to be answered");
        }
    }
}

/// The type of the last frame of `bytes`, which are whole frames; none of a body or a head is behind the end of its stream.
fn read(mut bytes: &[u8]) -> Option<u8> {
    let mut ended = HashMap::<u32, bool>::new();
    let mut last = None;
    while let Some((head, rest)) = bytes.split_first_chunk::<FRAME_HEAD>() {
        let [a, b, c, kind, flags, d, e, f, g] = *head;
        let stream = u32::from_be_bytes([d, e, f, g]);
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        assert!(length <= LARGEST);
        let is_ended = ended.entry(stream).or_default();
        match kind {
            0 | 1 => {
                assert!(!*is_ended, "a frame behind the end of stream {stream}");
                *is_ended = flags & 1 != 0;
            }
            3 => *is_ended = true,
            _ => {}
        }
        last = Some(kind);
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty());
    last
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    [&length[..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}
