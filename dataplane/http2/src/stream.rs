//! What a connection knows of its streams.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    task::Waker,
};

use crate::{
    Code,
    window::{Inbound, Outbound},
};

/// Why a stream ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The peer reset it.
    Reset(Code),
    /// We reset it, for nothing that the peer did.
    GivenUp,
    /// We reset it: the peer broke the protocol on it.
    Broken(Code),
    /// The peer takes no more streams and says that it has not looked at this one (RFC 9113 §6.8).
    Unprocessed,
    /// The connection ended, because the peer broke the protocol.
    ConnectionBroken(Code),
    /// The connection ended.
    ConnectionLost,
}

/// Where a stream's state lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    slot: u32,
    pub(crate) id: u32,
}

/// What waits until the peer opens its window.
pub(crate) struct Waiting<B> {
    pub(crate) chunk: B,
    /// Bytes of it that were sent.
    pub(crate) sent: usize,
}

/// What follows what waits.
#[derive(Debug, Default)]
pub(crate) enum Tail {
    /// More may come.
    #[default]
    Open,
    /// The end.
    End,
    /// Trailers, as lines, and the end.
    Trailers(Vec<u8>),
}

/// One stream.
pub(crate) struct State<B> {
    pub(crate) id: u32,
    /// Whether it counts among those that are open at a time.
    pub(crate) is_counted: bool,
    /// How many have it in hand.
    pub(crate) hands: u32,
    /// The task that drives it.
    pub(crate) waker: Option<Waker>,
    pub(crate) error: Option<StreamError>,
    /// Whether the peer reset it, and so sends nothing more.
    pub(crate) was_reset: bool,

    // What comes.
    pub(crate) inbound: Inbound,
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Option<Vec<u8>>,
    /// Heads of responses that nobody has taken.
    pub(crate) heads: VecDeque<Vec<u8>>,
    /// Whether the head that begins the message came.
    pub(crate) has_head: bool,
    /// Bytes that are still to come, if that was declared.
    pub(crate) expected: Option<u64>,
    /// Whether the request is HEAD, whose response declares a length of what it does not have.
    pub(crate) is_head_request: bool,
    /// Whether the peer ended its side.
    pub(crate) is_received: bool,

    // What goes.
    pub(crate) outbound: Outbound,
    pub(crate) waiting: Option<Waiting<B>>,
    pub(crate) tail: Tail,
    /// Whether it stands in the queue of those that can send.
    pub(crate) is_queued: bool,
    /// Whether our side has ended.
    pub(crate) is_sent: bool,
    /// How much of what waits was sent at the last look, if nobody had it in hand then.
    pub(crate) seen: Option<usize>,
}

impl<B> State<B> {
    pub(crate) fn new(id: u32, inbound: u32, outbound: u32) -> Self {
        Self {
            id,
            is_counted: true,
            hands: 0,
            waker: None,
            error: None,
            was_reset: false,
            inbound: Inbound::new(inbound),
            data: Vec::new(),
            trailers: None,
            heads: VecDeque::new(),
            has_head: false,
            expected: None,
            is_head_request: false,
            is_received: false,
            outbound: Outbound::new(outbound),
            waiting: None,
            tail: Tail::Open,
            is_queued: false,
            is_sent: false,
            seen: None,
        }
    }

    /// Whether nothing comes or goes any more.
    pub(crate) fn is_over(&self) -> bool {
        self.error.is_some() || (self.is_received && self.is_sent)
    }

    /// Counts bytes of the body that came; false if they are more than was declared, or fewer at the end.
    pub(crate) fn expects(&mut self, count: u64, is_end: bool) -> bool {
        let Some(expected) = &mut self.expected else { return true };
        let left = expected.checked_sub(count);
        *expected = left.unwrap_or(0);
        left.is_some_and(|left| left == 0 || !is_end)
    }

    /// Wakes the task that drives it.
    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Has the task be woken that is asking.
    pub(crate) fn waits(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }
}

/// The streams of a connection that are not over, or are still in somebody's hand.
pub(crate) struct Streams<B> {
    slots: Vec<Option<State<B>>>,
    free: Vec<u32>,
    index: HashMap<u32, u32, BuildHasherDefault<IdHasher>>,
    /// Those that we reset, of which late frames are passed over, and how many bytes of each may still come. The newest is the last.
    forgotten: VecDeque<(u32, u32)>,
    /// How many we keep in mind.
    remembered: usize,
}

impl<B> Streams<B> {
    pub(crate) fn new(remembered: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), index: HashMap::default(), forgotten: VecDeque::new(), remembered }
    }

    pub(crate) fn insert(&mut self, state: State<B>) -> Key {
        let id = state.id;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(state);
                slot
            }
            None => {
                self.slots.push(Some(state));
                self.slots.len() as u32 - 1
            }
        };
        self.index.insert(id, slot);
        Key { slot, id }
    }

    pub(crate) fn find(&self, id: u32) -> Option<Key> {
        self.index.get(&id).map(|slot| Key { slot: *slot, id })
    }

    /// The stream of `key`, unless it is gone.
    pub(crate) fn get(&mut self, key: Key) -> Option<&mut State<B>> {
        self.slots.get_mut(key.slot as usize)?.as_mut().filter(|state| state.id == key.id)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<State<B>> {
        let removed = self.slots.get_mut(key.slot as usize)?.take_if(|state| state.id == key.id)?;
        self.index.remove(&key.id);
        self.free.push(key.slot);
        Some(removed)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(slot, state)| Some(Key { slot: slot as u32, id: state.as_ref()?.id }))
    }

    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut State<B>> {
        self.slots.iter_mut().flatten()
    }

    /// Keeps in mind that we reset a stream, whose window allows the peer `left` bytes at most.
    pub(crate) fn forget(&mut self, id: u32, left: u32) {
        self.forgotten.push_back((id, left));
        if self.forgotten.len() > self.remembered {
            self.forgotten.pop_front();
        }
    }

    /// Whether we reset the stream a while ago.
    pub(crate) fn is_forgotten(&self, id: u32) -> bool {
        self.forgotten.iter().any(|(known, _)| *known == id)
    }

    /// Counts bytes that came on a stream that we reset; false if they are more than its window can have allowed.
    pub(crate) fn comes_late(&mut self, id: u32, count: u32) -> bool {
        let Some((_, left)) = self.forgotten.iter_mut().find(|(known, _)| *known == id) else { return true };
        let rest = left.checked_sub(count);
        *left = rest.unwrap_or(0);
        rest.is_some()
    }
}

/// Spreads identifiers, which rise in steps of two.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_used_again_is_another_stream() {
        let mut streams: Streams<Vec<u8>> = Streams::new(2);
        let first = streams.insert(State::new(1, 10, 10));
        assert!(streams.remove(first).is_some() && streams.remove(first).is_none());
        let second = streams.insert(State::new(3, 10, 10));
        assert!(streams.get(first).is_none() && streams.get(second).is_some_and(|state| state.id == 3));
        assert_eq!((streams.find(3), streams.find(1)), (Some(second), None));
    }

    #[test]
    fn only_the_last_resets_are_remembered() {
        let mut streams: Streams<Vec<u8>> = Streams::new(2);
        [1, 3, 5].into_iter().for_each(|id| streams.forget(id, 0));
        assert_eq!([1, 3, 5].map(|id| streams.is_forgotten(id)), [false, true, true]);
    }
}
