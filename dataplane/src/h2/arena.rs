//! Memory for the few bytes that HTTP/2 frames hold on to until they are written.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};

/// How much is allocated at a time. So much may be held by the last of its pieces, while its client does not take it.
const BLOCK: usize = 16 << 10;

/// The most that is copied into a block.
const LARGEST: usize = 4 << 10;

/// Where one worker copies what is short-lived: side by side, instead of an allocation for each.
#[derive(Default)]
pub(crate) struct Arena {
    block: RefCell<BytesMut>,
}

impl Arena {
    /// A copy of `bytes`.
    pub(super) fn copy(&self, bytes: &[u8]) -> Bytes {
        if bytes.len() > LARGEST {
            return Bytes::copy_from_slice(bytes);
        }
        let mut block = self.block.borrow_mut();
        if block.capacity() < bytes.len() {
            // Uses the block again if nobody has any of it.
            block.reserve(BLOCK);
        }
        block.extend_from_slice(bytes);
        block.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_apart_and_a_block_is_used_again() {
        let arena = Arena::default();
        let (one, two) = (arena.copy(b"one"), arena.copy(b"two"));
        assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
        assert_eq!(one.as_ptr().wrapping_add(3), two.as_ptr());
        assert_eq!(arena.copy(&[7; LARGEST + 1]).len(), LARGEST + 1);
        let first = one.as_ptr();
        drop((one, two));
        let again = (0..2 * BLOCK / LARGEST).any(|_| arena.copy(&[0; LARGEST]).as_ptr() == first);
        assert!(again, "each block is a new one");
    }
}
