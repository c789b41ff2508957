//! Frame headers in bytes that come in pieces.

/// Bytes of a frame's header (RFC 9113 §4.1).
pub(super) const HEADER: usize = 9;

/// Bytes of the payload of `RST_STREAM`.
const CODE: usize = 4;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// `ACK` of SETTINGS and PING, `END_STREAM` of DATA and HEADERS.
pub(super) const FIRST_FLAG: u8 = 1;

/// A frame's header.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// The code of `RST_STREAM`; of others 0.
    pub(super) code: u32,
}

impl Frame {
    /// Whether its payload has a size that its type can have (RFC 9113 §6).
    pub(super) fn is_sized(self) -> bool {
        match self.kind {
            PRIORITY => self.length == 5,
            RST_STREAM | WINDOW_UPDATE => self.length == 4,
            SETTINGS if self.flags & FIRST_FLAG != 0 => self.length == 0,
            SETTINGS => self.length.is_multiple_of(6),
            PING => self.length == 8,
            GOAWAY => self.length >= 8,
            _ => true,
        }
    }
}

/// Finds frame headers in bytes that come in pieces.
#[derive(Default)]
pub(super) struct Frames {
    /// With the code of `RST_STREAM` behind it.
    header: [u8; HEADER + CODE],
    filled: usize,
    /// Bytes of the payload, or of the preface, that are still to be passed over.
    skip: usize,
}

impl Frames {
    /// Behind `preface` bytes that are no frame.
    pub(super) fn behind(preface: usize) -> Self {
        Self { skip: preface, ..Self::default() }
    }

    /// Calls `on_frame` for each header that is completed by `bytes`.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut on_frame: impl FnMut(Frame)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let mut wanted = if self.filled < HEADER { HEADER } else { HEADER + CODE };
            let taken = (wanted - self.filled).min(bytes.len());
            if self.skip > 0 || taken == 0 {
                return;
            }
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            let [a, b, c, kind, flags, d, e, f, g, code @ ..] = self.header;
            let length = u32::from_be_bytes([0, a, b, c]);
            let has_code = self.filled >= HEADER && kind == RST_STREAM && length as usize == CODE;
            if has_code {
                wanted = HEADER + CODE;
            }
            if self.filled < wanted {
                continue;
            }
            let stream = u32::from_be_bytes([d, e, f, g]) & (u32::MAX >> 1);
            let code = if has_code { u32::from_be_bytes(code) } else { 0 };
            self.skip = length as usize + HEADER - self.filled;
            self.filled = 0;
            on_frame(Frame { length, kind, flags, stream, code });
        }
    }

    /// Whether the bytes so far end with a frame.
    pub(super) fn is_between(&self) -> bool {
        self.filled == 0 && self.skip == 0
    }
}
