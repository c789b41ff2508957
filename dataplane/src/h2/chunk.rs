//! A stretch of a body on its way into DATA frames.

use bytes::{Buf, Bytes};

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
    /// These bytes, copied if they are few.
    pub(super) fn of_bytes(bytes: Bytes, arena: &Arena) -> Self {
        Self::Bytes(if bytes.len() < COPIED { arena.copy(&bytes) } else { bytes })
    }

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

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Buffer { start, end, .. } => end - start,
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Buffer { buffer, start, end } => &buffer[*start..*end],
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::Buffer { start, .. } => *start += count,
        }
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}
