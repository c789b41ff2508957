//! One end of an HTTP/2 connection.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
};

use super::{
    Field,
    frame::{Frame, flag, kind},
    hpack::{self, Decoder},
};
use crate::DEADLINE;

/// What a client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection on which frames are sent and read. Every step has a deadline.
pub struct H2Link {
    reader: BufReader<TcpStream>,
    decoder: Decoder,
    /// Whether SETTINGS and PING are acknowledged as they come; so they are unless a test says otherwise.
    pub acknowledges: bool,
    /// Whether the windows are opened again as DATA comes; so they are unless a test says otherwise.
    pub opens_windows: bool,
    /// What the peer takes on the connection, on each stream, and on a new one.
    window: i64,
    windows: HashMap<u32, i64>,
    initial_window: i64,
}

/// The payload of a frame that every peer takes, and the windows that connections begin with.
const FRAME: usize = 16_384;
const WINDOW: i64 = 65_535;

impl H2Link {
    /// A link over a socket.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self {
            reader: BufReader::new(stream),
            decoder: Decoder::default(),
            acknowledges: true,
            opens_windows: true,
            window: WINDOW,
            windows: HashMap::new(),
            initial_window: WINDOW,
        })
    }

    /// A second handle to send by, for a thread of its own.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn sender(&self) -> io::Result<TcpStream> {
        self.reader.get_ref().try_clone()
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection does not take them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// The connection does not take it.
    pub fn send_frame(&mut self, frame: &Frame) -> io::Result<()> {
        self.send(frame.bytes())
    }

    /// Sends a whole header block, in frames of the size that every peer takes.
    ///
    /// # Errors
    /// The connection does not take it.
    pub fn send_headers(&mut self, stream: u32, fields: &[(&str, &str)], is_end: bool) -> io::Result<()> {
        let end = if is_end { flag::END_STREAM } else { flag::NONE };
        let block = hpack::encode(fields);
        let last = block.len().div_ceil(FRAME).max(1) - 1;
        for index in 0..=last {
            let piece = &block[index * FRAME..block.len().min((index + 1) * FRAME)];
            let (kind, end) = if index == 0 { (kind::HEADERS, end) } else { (kind::CONTINUATION, flag::NONE) };
            let whole = if index == last { flag::END_HEADERS } else { flag::NONE };
            self.send_frame(&Frame::new(kind, whole | end, stream, piece))?;
        }
        Ok(())
    }

    /// Sends DATA, in one frame, whether the peer's windows allow it or not.
    ///
    /// # Errors
    /// The connection does not take it.
    pub fn send_data(&mut self, stream: u32, data: impl Into<Vec<u8>>, is_end: bool) -> io::Result<()> {
        let end = if is_end { flag::END_STREAM } else { flag::NONE };
        let data = data.into();
        let length = data.len() as i64;
        self.window -= length;
        *self.windows.entry(stream).or_insert(self.initial_window) -= length;
        self.send_frame(&Frame::new(kind::DATA, end, stream, data))
    }

    /// How much DATA the peer takes on `stream` now, as far as it was read.
    pub fn window(&self, stream: u32) -> usize {
        let own = self.windows.get(&stream).copied().unwrap_or(self.initial_window);
        usize::try_from(self.window.min(own)).unwrap_or(0)
    }

    fn note_windows(&mut self, frame: &Frame) {
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_be_bytes);
        match frame.kind {
            kind::SETTINGS if !frame.has(flag::ACK) => {
                for setting in frame.payload.chunks_exact(6).filter(|setting| setting[..2] == [0, 4]) {
                    let initial = i64::from(number(&setting[2..]));
                    self.windows.values_mut().for_each(|window| *window += initial - self.initial_window);
                    self.initial_window = initial;
                }
            }
            kind::WINDOW_UPDATE if frame.stream == 0 => self.window += i64::from(number(&frame.payload)),
            kind::WINDOW_UPDATE => {
                *self.windows.entry(frame.stream).or_insert(self.initial_window) += i64::from(number(&frame.payload));
            }
            _ => {}
        }
    }

    /// Reads exactly `count` bytes.
    pub(super) fn read_exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The next frame; none if the peer has ended the connection. What [`acknowledges`](Self::acknowledges) and
    /// [`opens_windows`](Self::opens_windows) say is done with it.
    ///
    /// # Errors
    /// The connection ends inside a frame or is reset, or nothing comes in time.
    pub fn read_frame(&mut self) -> io::Result<Option<Frame>> {
        if self.reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let header = self.read_exactly(9)?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]) & (u32::MAX >> 1);
        let frame = Frame::new(header[3], header[4], stream, self.read_exactly(length as usize)?);
        self.note_windows(&frame);
        let answer = match frame.kind {
            kind::SETTINGS if self.acknowledges && !frame.has(flag::ACK) => {
                Frame::new(kind::SETTINGS, flag::ACK, 0, []).bytes()
            }
            kind::PING if self.acknowledges && !frame.has(flag::ACK) => {
                Frame::new(kind::PING, flag::ACK, 0, &frame.payload[..]).bytes()
            }
            kind::DATA if self.opens_windows && length > 0 => {
                let update = |stream| Frame::window_update(stream, length).bytes();
                [update(0), if frame.has(flag::END_STREAM) { Vec::new() } else { update(stream) }].concat()
            }
            _ => return Ok(Some(frame)),
        };
        // The peer may have ended its side already.
        let _ = self.send(answer);
        Ok(Some(frame))
    }

    /// The next frame that is neither SETTINGS, PING nor `WINDOW_UPDATE`; none at the end.
    ///
    /// # Errors
    /// As of [`read_frame`](Self::read_frame).
    pub fn read_message_frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            match self.read_frame()? {
                Some(frame) if matches!(frame.kind, kind::SETTINGS | kind::PING | kind::WINDOW_UPDATE) => {}
                frame => return Ok(frame),
            }
        }
    }

    /// The fields of a HEADERS frame, with those of the CONTINUATION frames that are read behind it.
    ///
    /// # Errors
    /// As of [`read_frame`](Self::read_frame), or the block is broken.
    pub fn fields(&mut self, headers: &Frame) -> io::Result<Vec<Field>> {
        let mut block = headers.payload.clone();
        let mut is_whole = headers.has(flag::END_HEADERS);
        while !is_whole {
            let more = self.read_frame()?.ok_or_else(|| io::Error::other("no CONTINUATION"))?;
            is_whole = more.has(flag::END_HEADERS);
            block.extend(more.payload);
        }
        self.decoder.decode(&block).ok_or_else(|| io::Error::other("a header block that cannot be read"))
    }

    /// Reads on until the peer ends the connection; the GOAWAY frame that came last, if any did. A reset counts as an end.
    ///
    /// # Errors
    /// Nothing comes in time.
    pub fn read_to_end(&mut self) -> io::Result<Option<Frame>> {
        let mut goaway = None;
        loop {
            match self.read_frame() {
                Ok(Some(frame)) if frame.kind == kind::GOAWAY => goaway = Some(frame),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(goaway),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(goaway),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(goaway),
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends the connection in both directions.
    pub fn end(&self) {
        // It fails when the peer ended it.
        let _ = self.reader.get_ref().shutdown(Shutdown::Both);
    }
}
