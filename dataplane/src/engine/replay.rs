//! What of a request's body was sent, kept for as long as the request may be sent again.

use prometheus_client::metrics::gauge::Gauge;

/// Bytes of one request that are kept. One that has sent more is not sent again.
pub(crate) const KEPT: usize = 64 << 10;

/// Bytes of all requests that are kept. Who comes when there is no room goes without.
const ALL: usize = 64 << 20;

/// How little is reserved at a time.
const LEAST: usize = 4 << 10;

/// How much all requests of the process keep; clones share it. It is its own metric.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplayMemory(pub(crate) Gauge);

/// A part of the memory, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    memory: ReplayMemory,
    bytes: usize,
}

/// The part of a body that was sent.
#[derive(Debug)]
pub(crate) struct Replay {
    kept: Vec<u8>,
    /// None if nothing is to be kept.
    reserved: Option<Reserved>,
    is_whole: bool,
}

impl ReplayMemory {
    /// Nothing of it yet.
    pub(crate) fn reserve(&self) -> Reserved {
        Reserved { memory: self.clone(), bytes: 0 }
    }
}

impl Reserved {
    /// Makes it so much that `bytes` fit, and says how much it is. None, and it is as it was, if there is no room.
    pub(crate) fn grow(&mut self, bytes: usize) -> Option<usize> {
        if bytes <= self.bytes {
            return Some(self.bytes);
        }
        let wanted = bytes.next_power_of_two().clamp(LEAST, KEPT.max(bytes));
        let more = (wanted - self.bytes) as i64;
        if self.memory.0.inc_by(more) + more > ALL as i64 {
            self.memory.0.dec_by(more);
            return None;
        }
        self.bytes = wanted;
        Some(wanted)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.memory.0.dec_by(self.bytes as i64);
        }
    }
}

impl Default for Replay {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Replay {
    /// Nothing yet; what comes is kept in `reserved`, if at all.
    pub(crate) fn new(reserved: Option<Reserved>) -> Self {
        Self { kept: Vec::new(), reserved, is_whole: true }
    }

    /// Takes a copy of `bytes`, if they are to be kept and there is room.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let length = self.kept.len() + bytes.len();
        let reserved = self.reserved.as_mut().filter(|_| length <= KEPT);
        match reserved.and_then(|reserved| reserved.grow(length)) {
            Some(room) => {
                // No more than was reserved.
                self.kept.reserve_exact(room - self.kept.len());
                self.kept.extend_from_slice(bytes);
            }
            None => self.lose(),
        }
    }

    /// Something was sent that is not here.
    pub(crate) fn lose(&mut self) {
        self.is_whole = false;
        self.kept = Vec::new();
        self.reserved = None;
    }

    /// Whether all that was sent is here.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// What was sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_keeps_64_kib_and_all_of_them_64_mib() {
        let memory = ReplayMemory::default();
        let mut replay = Replay::new(Some(memory.reserve()));
        replay.keep(&[b'a'; 10]);
        assert_eq!(memory.0.get(), 4 << 10);
        replay.keep(&vec![b'b'; KEPT - 10]);
        assert!(replay.is_whole() && replay.bytes().len() == KEPT);
        assert_eq!(memory.0.get(), KEPT as i64);
        replay.keep(b"c");
        assert!(!replay.is_whole() && replay.bytes().is_empty());
        assert_eq!(memory.0.get(), 0);

        let full: Vec<Replay> = (0..ALL / KEPT)
            .map(|_| {
                let mut replay = Replay::new(Some(memory.reserve()));
                replay.keep(&vec![b'x'; KEPT]);
                replay
            })
            .collect();
        assert!(full.iter().all(Replay::is_whole));
        let mut late = Replay::new(Some(memory.reserve()));
        assert!(late.is_whole(), "nothing of it was sent");
        late.keep(b"x");
        assert!(!late.is_whole());
        drop(full);
        assert_eq!(memory.0.get(), 0);
    }

    #[test]
    fn without_room_from_the_start_only_what_was_not_sent_is_whole() {
        let mut replay = Replay::new(None);
        assert!(replay.is_whole());
        replay.keep(b"");
        assert!(replay.is_whole());
        replay.keep(b"a");
        assert!(!replay.is_whole());
    }
}
