//! Frames (RFC 9113 §4.1, §6).

use crate::Code;

/// Bytes of a frame's head.
pub const FRAME_HEAD: usize = 9;

/// Payload that every peer takes, and the most that we announce.
pub const FRAME_SIZE: usize = 16 << 10;

/// The most that an identifier or a window can be.
pub(crate) const MOST: u32 = u32::MAX >> 1;

/// Types of frames.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub(crate) mod flag {
    pub(crate) const NONE: u8 = 0;
    /// Of SETTINGS and PING.
    pub(crate) const ACK: u8 = 1;
    /// Of DATA and HEADERS.
    pub(crate) const END_STREAM: u8 = 1;
    pub(crate) const END_HEADERS: u8 = 4;
    pub(crate) const PADDED: u8 = 8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameHead {
    /// Bytes of the payload.
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// 0 is the connection.
    pub(crate) stream: u32,
}

impl FrameHead {
    pub(crate) fn parse([a, b, c, kind, flags, d, e, f, g]: [u8; FRAME_HEAD]) -> Self {
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([d, e, f, g]) & MOST,
        }
    }

    pub(crate) fn bytes(self) -> [u8; FRAME_HEAD] {
        let [_, a, b, c] = (self.length as u32).to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }

    pub(crate) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Checks the size and the stream that the type asks for.
    pub(crate) fn check(self) -> Result<(), Code> {
        let (is_sized, is_placed) = match self.kind {
            kind::DATA | kind::HEADERS | kind::CONTINUATION | kind::PUSH_PROMISE => (true, self.stream != 0),
            kind::PRIORITY => (self.length == 5, self.stream != 0),
            kind::RST_STREAM => (self.length == 4, self.stream != 0),
            kind::SETTINGS if self.has(flag::ACK) => (self.length == 0, self.stream == 0),
            kind::SETTINGS => (self.length.is_multiple_of(6), self.stream == 0),
            kind::PING => (self.length == 8, self.stream == 0),
            kind::GOAWAY => (self.length >= 8, self.stream == 0),
            kind::WINDOW_UPDATE => (self.length == 4, true),
            _ => (true, true),
        };
        match (is_sized, is_placed) {
            (false, _) => Err(Code::FRAME_SIZE_ERROR),
            (_, false) => Err(Code::PROTOCOL_ERROR),
            _ => Ok(()),
        }
    }

    /// What of the payload of DATA or HEADERS is no padding.
    pub(crate) fn unpadded(self, payload: &[u8]) -> Result<&[u8], Code> {
        if !self.has(flag::PADDED) {
            return Ok(payload);
        }
        let (padding, rest) = payload.split_first().ok_or(Code::PROTOCOL_ERROR)?;
        let length = rest.len().checked_sub(usize::from(*padding)).ok_or(Code::PROTOCOL_ERROR)?;
        Ok(&rest[..length])
    }
}

/// Writes a frame whose payload is `payload`.
pub(crate) fn write(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&FrameHead { length: payload.len(), kind, flags, stream }.bytes());
    out.extend_from_slice(payload);
}

/// Writes a frame of which the payload is one number.
pub(crate) fn write_number(out: &mut Vec<u8>, kind: u8, stream: u32, number: u32) {
    write(out, kind, flag::NONE, stream, &number.to_be_bytes());
}

/// The first number of a payload, which is long enough.
pub(crate) fn number(payload: &[u8]) -> u32 {
    payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
