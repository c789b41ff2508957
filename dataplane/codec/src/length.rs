//! Bodies of a known length.

/// Counts the bytes of a body of a known length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthDecoder {
    remaining: u64,
}

impl LengthDecoder {
    /// A body of `length` bytes.
    #[must_use]
    pub fn new(length: u64) -> Self {
        Self { remaining: length }
    }

    /// How many of the next `available` bytes belong to the body; they count as read.
    #[inline]
    pub fn take(&mut self, available: usize) -> usize {
        let taken = usize::try_from(self.remaining).map_or(available, |remaining| remaining.min(available));
        self.remaining -= taken as u64;
        taken
    }

    /// How many bytes are still to come.
    #[must_use]
    pub fn remaining(self) -> u64 {
        self.remaining
    }

    /// Whether all bytes were taken.
    #[must_use]
    pub fn is_done(self) -> bool {
        self.remaining == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_behind_the_body_are_not_taken() {
        let mut body = LengthDecoder::new(5);
        assert_eq!((body.take(3), body.remaining(), body.is_done()), (3, 2, false));
        assert_eq!((body.take(10), body.remaining(), body.is_done()), (2, 0, true));
        assert_eq!(body.take(1), 0);
        assert_eq!(LengthDecoder::new(u64::MAX).take(usize::MAX), usize::MAX);
    }
}
