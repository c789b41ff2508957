//! When a head that comes in pieces is worth another look.

/// Remembers what was looked at, so that a head that arrives byte by byte is not parsed from its start for each byte.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scan {
    /// How long the buffer was when it was last parsed.
    parsed: usize,
    /// How long it was when it was last searched for the end.
    searched: usize,
    /// Whether a line was whole when it was last parsed.
    has_line: bool,
}

impl Scan {
    /// Whether `head`, the bytes so far, should be parsed: they are new, may be whole, have a line that ends wrongly,
    /// have their first whole line, or have doubled since the last time, so that a fault is known before the end.
    #[inline]
    pub(crate) fn is_due(&mut self, head: &[u8]) -> bool {
        if self.parsed == 0 || head.len() >= 2 * self.parsed {
            return true;
        }
        let from = self.searched.min(head.len());
        self.searched = head.len();
        (from..head.len()).any(|at| match (head[at], at.checked_sub(1).map(|before| head[before])) {
            // Any LF but that of an ordinary line, `x CR LF`, that is not the first.
            (b'\n', Some(b'\r')) => !self.has_line || at < 2 || head[at - 2] == b'\n',
            (b'\n', _) => true,
            // A CR that no LF follows.
            (_, before) => before == Some(b'\r'),
        })
    }

    /// `head`, the bytes so far, was parsed and is not whole.
    pub(crate) fn was_partial(&mut self, head: &[u8]) {
        *self = Self { parsed: head.len(), searched: head.len(), has_line: head.contains(&b'\n') };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_comes_byte_by_byte_is_parsed_seldom_and_when_it_matters() {
        let head = b"GET /abc HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n";
        let mut scan = Scan::default();
        let due: Vec<usize> = (1..=head.len())
            .filter(|length| {
                let is_due = scan.is_due(&head[..*length]);
                if is_due {
                    scan.was_partial(&head[..*length]);
                }
                is_due
            })
            .collect();
        // The first byte, each doubling, the end of the first line, and the end.
        assert_eq!(due, [1, 2, 4, 8, 16, 19, head.len()]);
    }

    #[test]
    fn a_line_that_ends_wrongly_is_looked_at_at_once() {
        for bytes in [
            &b"GET / HTTP/1.1\rHost"[..],
            b"GET / HTTP/1.1\n",
            b"GET / HTTP/1.1\r\nX: 1\r\nY: 2\n",
            b"GET / HTTP/1.1\r\nX: 1\r\r",
        ] {
            let wrong = bytes.len() - if bytes.ends_with(b"Host") { 3 } else { 0 };
            let mut scan = Scan::default();
            scan.was_partial(&bytes[..wrong - 1]);
            assert!(!scan.is_due(&bytes[..wrong - 1]) && scan.is_due(&bytes[..wrong]), "{}", bytes.escape_ascii());
        }
    }
}
