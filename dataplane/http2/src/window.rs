//! Flow control (RFC 9113 §5.2, §6.9).

use crate::frame::MOST;

/// What each window is before anything is said of it.
pub(crate) const INITIAL: u32 = 65_535;

/// A window is opened again by this part of its size: it never closes while everything is taken, and few frames tell of it.
const WORTH: u32 = 4;

/// How much the peer may still send, of one stream or of the connection.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    size: u32,
    left: u32,
    /// Bytes that were taken and not told to the peer.
    taken: u32,
}

impl Inbound {
    pub(crate) fn new(size: u32) -> Self {
        Self { size, left: size, taken: 0 }
    }

    /// Counts bytes that came; false if they are more than was allowed.
    pub(crate) fn receive(&mut self, count: u32) -> bool {
        let left = self.left.checked_sub(count);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Counts bytes that were taken. By how much the window is to be opened, once that is worth a frame.
    pub(crate) fn take(&mut self, count: u32) -> Option<u32> {
        self.taken += count;
        if self.taken < self.size / WORTH {
            return None;
        }
        let increment = std::mem::take(&mut self.taken);
        self.left += increment;
        Some(increment)
    }
}

/// How much may still be sent, of one stream or of the connection. By SETTINGS it can become negative (§6.9.2).
#[derive(Debug, Default)]
pub(crate) struct Outbound(i64);

impl Outbound {
    pub(crate) fn new(size: u32) -> Self {
        Self(i64::from(size))
    }

    pub(crate) fn left(&self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    pub(crate) fn sent(&mut self, count: usize) {
        self.0 -= count as i64;
    }

    /// False if it would be larger than a window can be.
    pub(crate) fn grow(&mut self, by: i64) -> bool {
        self.0 += by;
        self.0 <= i64::from(MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_opened_when_a_part_of_it_was_taken() {
        let mut window = Inbound::new(100);
        assert!(window.receive(100) && !window.receive(1));
        assert_eq!((window.take(24), window.take(1), window.take(24)), (None, Some(25), None));
        assert!(window.receive(25) && !window.receive(1));
    }

    #[test]
    fn windows_can_be_negative_and_not_too_large() {
        let mut window = Outbound::new(10);
        assert!(window.grow(-20));
        assert_eq!(window.left(), 0);
        assert!(window.grow(i64::from(MOST) + 10));
        assert!(!window.grow(1));
    }
}
