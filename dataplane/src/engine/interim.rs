//! What a backend may say before its final response.

/// The most interim responses: each keeps the request from its time-out.
const MOST: u8 = 32;

/// The most bytes of all of them: they may wait for a client that reads nothing.
const MOST_BYTES: usize = 64 << 10;

/// Counts the interim responses to one request.
#[derive(Default)]
pub(crate) struct Interim {
    count: u8,
    bytes: usize,
}

impl Interim {
    /// Counts one whose head has `length` bytes; false if it is more than may come.
    #[must_use]
    pub(crate) fn admits(&mut self, length: usize) -> bool {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(length);
        self.count <= MOST && self.bytes <= MOST_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_and_so_much_may_come() {
        let mut interim = Interim::default();
        assert!((0..MOST).all(|_| interim.admits(100)) && !interim.admits(0));
        let mut interim = Interim::default();
        assert!(interim.admits(MOST_BYTES - 1) && interim.admits(1) && !interim.admits(1));
    }
}
