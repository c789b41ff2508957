//! Bytes that were read from a connection and not used yet.

use std::{
    io,
    task::{Context, Poll},
};

use super::{buffers::Buffer, socket::Socket};

/// What was read and not used. It owns a buffer only while there is something in it.
#[derive(Default)]
pub(crate) struct Input {
    buffer: Option<Buffer>,
    start: usize,
    end: usize,
}

impl Input {
    /// What is there.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[self.start..self.end])
    }

    /// Whether nothing is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether there is no room for another byte.
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.as_ref().is_some_and(|buffer| self.end - self.start == buffer.len())
    }

    /// The first `count` bytes are used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start >= self.end {
            (self.buffer, self.start, self.end) = (None, 0, 0);
        }
    }

    /// Goes on in a larger buffer.
    pub(crate) fn move_to(&mut self, mut larger: Buffer) {
        let length = self.end - self.start;
        larger[..length].copy_from_slice(self.bytes());
        (self.buffer, self.start, self.end) = (Some(larger), 0, length);
    }

    /// Reads once, into a buffer from `fresh` if there is none. `Ok(0)` is the end of the stream, or no room.
    pub(crate) fn poll_fill(
        &mut self,
        stream: &mut impl Socket,
        fresh: impl FnOnce() -> Buffer,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let read = stream.poll_receive(context, || {
            let buffer = self.buffer.get_or_insert_with(fresh);
            if self.end == buffer.len() && self.start > 0 {
                buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            &mut buffer[self.end..]
        });
        if let Poll::Ready(Ok(count)) = read {
            self.end += count;
        }
        if self.is_empty() {
            // A connection that waits owns no buffer.
            self.consume(0);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::buffers::{Buffers, SMALL};

    /// Gives what there is, and never waits.
    struct Slice<'a>(&'a [u8]);

    impl Socket for Slice<'_> {
        fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn is_readable(&self) -> bool {
            true
        }

        fn receive(&self, room: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(room.len());
            room[..count].copy_from_slice(&self.0[..count]);
            Ok(count)
        }

        fn poll_send(&mut self, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

    fn filled(input: &mut Input, bytes: &[u8], buffers: &Buffers) -> usize {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match input.poll_fill(&mut Slice(bytes), || buffers.small(), &mut context) {
            Poll::Ready(count) => count.unwrap(),
            Poll::Pending => panic!("a slice is always ready"),
        }
    }

    #[test]
    fn what_is_used_makes_room_and_an_empty_input_owns_nothing() {
        let buffers = Buffers::default();
        let mut input = Input::default();
        let bytes = vec![b'x'; 2 * SMALL];
        assert_eq!(filled(&mut input, &bytes, &buffers), SMALL);
        assert!(input.is_full());
        assert_eq!(filled(&mut input, &bytes, &buffers), 0);
        input.consume(10);
        assert_eq!(filled(&mut input, b"abcdefghijkl", &buffers), 10);
        assert!(input.bytes().ends_with(b"xabcdefghij"));
        input.move_to(buffers.large());
        assert_eq!(filled(&mut input, b"kl", &buffers), 2);
        assert!(input.bytes().ends_with(b"xabcdefghijkl"));
        input.consume(SMALL + 2);
        assert!(input.is_empty() && input.buffer.is_none());
    }
}
