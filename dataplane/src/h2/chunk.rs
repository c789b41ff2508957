//! A stretch of a body on its way into DATA frames.

use bytes::Bytes;

use super::arena::Arena;
use crate::engine::Buffer;

/// Below it a stretch is copied: a few bytes must not hold a whole buffer while they wait for a peer.
const COPIED: usize = 4 << 10;

/// Bytes of a body.
pub(super) enum Chunk {
    /// In memory of their own.
    Bytes(Bytes),
    /// In the buffer that they were read into.
    Buffer {
        /// The buffer.
        buffer: Buffer,
        /// The first byte.
        start: usize,
        /// One past the last.
        end: usize,
    },
}

impl Chunk {
    /// The bytes from `start` to `end` of `buffer`, which is taken or left as they are many or few. Nothing else of it is of use.
    pub(super) fn of_buffer(buffer: &mut Option<Buffer>, start: usize, end: usize, arena: &Arena) -> Self {
        match buffer.take() {
            Some(buffer) if end - start >= COPIED => Self::Buffer { buffer, start, end },
            Some(few) => {
                let bytes = arena.copy(&few[start..end]);
                *buffer = Some(few);
                Self::Bytes(bytes)
            }
            None => Self::Bytes(Bytes::new()),
        }
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Buffer { buffer, start, end } => &buffer[*start..*end],
        }
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}
