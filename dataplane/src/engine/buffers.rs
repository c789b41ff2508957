//! Buffers of one worker, handed out last in first out.
//!
//! A connection takes one inside the poll that reads, and gives it back when there was nothing to read: so a connection
//! that waits owns none, however many there are.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
    rc::Rc,
};

/// Bytes of a buffer for a client connection: almost every head fits; one that does not moves to a large one.
pub(crate) const SMALL: usize = 16 << 10;

/// Bytes of a buffer for an upstream connection and for bodies: 64 KiB of body and a head arrive in one read.
const LARGE: usize = 68 << 10;

/// Bytes of a buffer for a large body that cannot be spliced.
pub(crate) const HUGE: usize = 256 << 10;

/// Buffers that are kept for later, per size.
const KEPT: usize = 64;

/// Of the largest buffers fewer are kept.
const KEPT_HUGE: usize = 8;

/// The buffers of one worker; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Buffers {
    small: Rc<RefCell<Vec<Box<[u8]>>>>,
    large: Rc<RefCell<Vec<Box<[u8]>>>>,
    huge: Rc<RefCell<Vec<Box<[u8]>>>>,
}

impl Buffers {
    /// A buffer of [`SMALL`] bytes; what it holds is of no meaning.
    pub(crate) fn small(&self) -> Buffer {
        Buffer::take(&self.small, SMALL)
    }

    /// A buffer of [`LARGE`] bytes; what it holds is of no meaning.
    pub(crate) fn large(&self) -> Buffer {
        Buffer::take(&self.large, LARGE)
    }

    /// A buffer of [`HUGE`] bytes; what it holds is of no meaning.
    pub(crate) fn huge(&self) -> Buffer {
        Buffer::take(&self.huge, HUGE)
    }
}

/// A buffer that goes back to its worker when it is dropped.
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    home: Rc<RefCell<Vec<Box<[u8]>>>>,
}

impl Buffer {
    fn take(home: &Rc<RefCell<Vec<Box<[u8]>>>>, size: usize) -> Self {
        let bytes = home.borrow_mut().pop().unwrap_or_else(|| vec![0; size].into());
        Self { bytes, home: Rc::clone(home) }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut home = self.home.borrow_mut();
        let kept = if self.bytes.len() == HUGE { KEPT_HUGE } else { KEPT };
        if home.len() < kept {
            home.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_the_next_one() {
        let buffers = Buffers::default();
        let mut first = buffers.small();
        first[0] = 7;
        drop(first);
        assert_eq!((buffers.small()[0], buffers.small().len(), buffers.large().len()), (7, SMALL, LARGE));
    }

    #[test]
    fn a_burst_is_not_kept_for_ever() {
        let buffers = Buffers::default();
        drop((0..2 * KEPT).map(|_| buffers.small()).collect::<Vec<_>>());
        assert_eq!(buffers.small.borrow().len(), KEPT);
    }
}
