//! Writing chunks.

/// The chunk that ends a body without trailers. With trailers, write its first three bytes, `0` and the line break, then
/// the lines, then an empty line.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The line in front of a chunk's data. Behind the data comes a line break.
#[derive(Clone, Copy, Debug)]
pub struct ChunkHead {
    /// Digits and line break, at the end.
    bytes: [u8; Self::MAX_LEN],
    start: u8,
}

impl ChunkHead {
    /// The longest head: sixteen digits and the line break.
    pub const MAX_LEN: usize = 18;

    /// The head of a chunk of `size` bytes. For 0 it is empty, since a chunk of nothing would end the body.
    #[inline]
    #[must_use]
    pub fn new(size: u64) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        let mut start = Self::MAX_LEN;
        if size > 0 {
            bytes[Self::MAX_LEN - 2..].copy_from_slice(b"\r\n");
            start -= 2;
        }
        let mut rest = size;
        while rest > 0 {
            start -= 1;
            bytes[start] = b"0123456789abcdef"[(rest & 15) as usize];
            rest >>= 4;
        }
        Self { bytes, start: start as u8 }
    }

    /// What to write.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_heads_are_hexadecimal_without_leading_zeros() {
        for (size, head) in [
            (0, ""),
            (1, "1\r\n"),
            (10, "a\r\n"),
            (255, "ff\r\n"),
            (4096, "1000\r\n"),
            (u64::MAX, "ffffffffffffffff\r\n"),
        ] {
            assert_eq!(ChunkHead::new(size).as_bytes(), head.as_bytes(), "{size}");
        }
    }
}
