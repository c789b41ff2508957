//! Memory that connections of one worker share.

use std::cell::RefCell;

/// How many pieces are kept.
const KEPT: usize = 64;

/// The largest that is kept, in bytes.
const LARGEST: usize = 128 << 10;

/// Pieces of memory that nobody uses just now: a connection that has nothing to send owns none.
#[derive(Debug, Default)]
pub struct Memory {
    free: RefCell<Vec<Vec<u8>>>,
}

impl Memory {
    /// An empty piece.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.free.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a piece back.
    pub(crate) fn give_back(&self, mut piece: Vec<u8>) {
        let mut free = self.free.borrow_mut();
        if free.len() < KEPT && (1..=LARGEST).contains(&piece.capacity()) {
            piece.clear();
            free.push(piece);
        }
    }
}
