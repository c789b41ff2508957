//! When a head that comes in pieces is worth another look.

/// Remembers what was looked at, so that a head that arrives byte by byte is not parsed from its start for each byte.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// How long the buffer was when it was last parsed.
    parsed: usize,
    /// How long it was when it was last searched for the end.
    searched: usize,
}

impl Scan {
    /// Whether `head`, the bytes so far, should be parsed: they are new, may be whole, have a line that ends wrongly, or
    /// have doubled since the last time, so that a fault is known before the end.
    #[inline]
    pub(crate) fn is_due(&mut self, head: &[u8]) -> bool {
        if self.parsed == 0 || head.len() >= 2 * self.parsed {
            return true;
        }
        let from = self.searched.min(head.len());
        self.searched = head.len();
        // Any LF but that of an ordinary line, `x CR LF`.
        (from..head.len()).any(|at| head[at] == b'\n' && (at < 2 || head[at - 1] != b'\r' || head[at - 2] == b'\n'))
    }

    /// The bytes so far, `length` of them, were parsed and are no whole head.
    pub(crate) fn was_partial(&mut self, length: usize) {
        *self = Self { parsed: length, searched: length };
    }
}
