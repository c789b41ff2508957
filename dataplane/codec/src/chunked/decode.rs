//! Reading chunks.

use std::ops::Range;

use super::{extension::Extension, trailers::Trailers};
use crate::{
    fault::Fault,
    limits::{ChunkLimits, MAX_LENGTH},
};

/// What comes next in a chunked body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These bytes of the buffer, never none.
    Bytes(Range<usize>),
    /// All of the buffer is read and the body goes on.
    More,
    /// The body ended. What stands in the buffer behind it belongs to the next message.
    End,
}

/// Reads one chunked body, given in slices that are cut anywhere.
///
/// Use either [`data`](Self::data) or [`verbatim`](Self::verbatim), over and over on each slice until it says `More` or
/// `End`. If the peer closes before `End`, the body is truncated. After a fault the decoder must not be used again.
#[derive(Clone, Debug)]
pub struct ChunkedDecoder {
    state: State,
    /// The size of the chunk as far as it is read, then how much of its data is to come.
    size: u64,
    /// Data read so far, and what is to come of the chunk that is being read.
    body: u64,
    extension_bytes: u32,
    limits: ChunkLimits,
    trailers: Trailers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the size, behind so many digits.
    Size(u8),
    Extension(Extension),
    /// Behind the CR of the line with the size.
    SizeLf,
    Data,
    /// Behind the data.
    DataCr,
    DataLf,
    /// Behind the line of the last chunk.
    Trailers,
    /// In the trailer section.
    Trailer,
    /// Behind the CR that follows the last chunk.
    FinalLf,
    Done,
}

/// The digits of the largest `u64`.
const MAX_DIGITS: u8 = 16;

/// What kind of bytes were read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    /// Sizes and line breaks.
    Framing,
    /// Extensions, and the trailer section with the empty line behind it.
    Aside,
}

impl ChunkedDecoder {
    /// A decoder at the start of a body.
    #[must_use]
    pub fn new(limits: ChunkLimits) -> Self {
        Self { state: State::Size(0), size: 0, body: 0, extension_bytes: 0, limits, trailers: Trailers::default() }
    }

    /// Starts over with another body; the memory for trailers is used again.
    pub fn reset(&mut self, limits: ChunkLimits) {
        self.trailers.clear();
        let trailers = std::mem::take(&mut self.trailers);
        *self = Self { trailers, ..Self::new(limits) };
    }

    /// The next stretch of data in `buffer` from `at` on; `at` moves behind what was read.
    ///
    /// # Errors
    /// The first fault. Data in front of it was handed out before.
    #[inline]
    pub fn data(&mut self, buffer: &[u8], at: &mut usize) -> Result<Part, Fault> {
        while self.state != State::Done {
            if *at >= buffer.len() {
                return Ok(Part::More);
            }
            let start = *at;
            if self.step(buffer, at)? == Kind::Data {
                return Ok(Part::Bytes(start..*at));
            }
        }
        Ok(Part::End)
    }

    /// The next stretch of `buffer` that can be sent on as it is, chunk heads and line breaks included: everything but
    /// extensions and trailers. `at` moves behind what was read.
    ///
    /// At the end, if there are [`trailers`](Self::trailers), those that are kept and an empty line are still to be written;
    /// if there are none, that line was among the bytes.
    ///
    /// # Errors
    /// The first fault; nothing of `buffer` since the last stretch may be sent on then.
    #[inline]
    pub fn verbatim(&mut self, buffer: &[u8], at: &mut usize) -> Result<Part, Fault> {
        let mut start = *at;
        while self.state != State::Done && *at < buffer.len() {
            let end = *at;
            if self.step(buffer, at)? == Kind::Aside {
                if end > start {
                    return Ok(Part::Bytes(start..end));
                }
                start = *at;
            }
        }
        Ok(match *at {
            end if end > start => Part::Bytes(start..end),
            _ if self.state == State::Done => Part::End,
            _ => Part::More,
        })
    }

    /// How much data of the body was read: a chunk that is announced is not there yet.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        match self.state {
            State::Data => self.body - self.size,
            _ => self.body,
        }
    }

    /// Whether the body ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The trailer section, if one came. It is whole when the body has ended.
    #[must_use]
    pub fn trailers(&self) -> Option<&Trailers> {
        (!self.trailers.bytes().is_empty()).then_some(&self.trailers)
    }

    /// Reads bytes of one kind from `buffer[*at..]`, which is not empty, and moves `at` behind them.
    #[inline]
    fn step(&mut self, buffer: &[u8], at: &mut usize) -> Result<Kind, Fault> {
        let rest = &buffer[*at..];
        if self.state == State::Data {
            let length = usize::try_from(self.size).map_or(rest.len(), |size| size.min(rest.len()));
            self.size -= length as u64;
            *at += length;
            if self.size == 0 {
                self.state = State::DataCr;
            }
            return Ok(Kind::Data);
        }
        match self.state {
            State::Size(digits) => self.size(digits, rest, at)?,
            State::Extension(_) if rest[0] != b'\r' => return self.extension(rest, at),
            State::Trailer => return self.trailer(rest, at),
            // No CR: the section is no empty line. It is read from its first byte on.
            State::Trailers if rest[0] != b'\r' => self.state = State::Trailer,
            _ => {
                self.line_break(rest[0])?;
                *at += 1;
            }
        }
        Ok(Kind::Framing)
    }

    /// Digits, and the CR behind them.
    #[inline]
    fn size(&mut self, mut digits: u8, rest: &[u8], at: &mut usize) -> Result<(), Fault> {
        for byte in rest {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                b'\r' if digits > 0 => {
                    self.state = State::SizeLf;
                    *at += 1;
                    return Ok(());
                }
                // The extension is read from this byte on.
                b';' | b' ' | b'\t' if digits > 0 => {
                    self.state = State::Extension(Extension::BeforeSemicolon);
                    return Ok(());
                }
                b'\n' if digits > 0 => return Err(Fault::BareLf),
                _ => return Err(Fault::BadChunkSize),
            };
            if digits == MAX_DIGITS || self.size > MAX_LENGTH >> 4 {
                return Err(Fault::BadChunkSize);
            }
            self.size = self.size << 4 | u64::from(digit);
            digits += 1;
            *at += 1;
        }
        self.state = State::Size(digits);
        Ok(())
    }

    /// An extension up to, and without, the CR.
    fn extension(&mut self, rest: &[u8], at: &mut usize) -> Result<Kind, Fault> {
        for byte in rest.iter().take_while(|byte| **byte != b'\r') {
            let State::Extension(extension) = self.state else { break };
            if *byte == b'\n' {
                return Err(Fault::BareLf);
            }
            self.state = State::Extension(extension.next(*byte)?);
            self.extension_bytes += 1;
            if self.extension_bytes > self.limits.extension_bytes {
                return Err(Fault::ChunkExtensionsTooLong);
            }
            *at += 1;
        }
        Ok(Kind::Aside)
    }

    fn trailer(&mut self, rest: &[u8], at: &mut usize) -> Result<Kind, Fault> {
        for byte in rest {
            *at += 1;
            if self.trailers.push(*byte, &self.limits)? {
                self.trailers.read(&self.limits)?;
                self.state = State::Done;
                break;
            }
        }
        Ok(Kind::Aside)
    }

    /// One byte of a line break.
    #[inline]
    fn line_break(&mut self, byte: u8) -> Result<(), Fault> {
        self.state = match (self.state, byte) {
            (State::Extension(extension), b'\r') if extension.may_end() => State::SizeLf,
            (State::SizeLf, b'\n') if self.size == 0 => State::Trailers,
            (State::SizeLf, b'\n') => {
                // Neither is more than a signed number holds.
                self.body += self.size;
                if self.body > self.limits.body_bytes.min(MAX_LENGTH) {
                    return Err(Fault::BodyTooLarge);
                }
                State::Data
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(0),
            (State::Trailers, b'\r') => State::FinalLf,
            (State::FinalLf, b'\n') => State::Done,
            (State::Extension(_), _) => return Err(Fault::BadChunkExtension),
            (State::DataCr | State::DataLf, _) => return Err(Fault::BadChunkEnd),
            _ => return Err(Fault::BareCr),
        };
        Ok(())
    }
}
