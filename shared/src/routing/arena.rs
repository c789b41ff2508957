/// The texts of all keys in one block of memory, so that a lookup touches no scattered allocations.
#[derive(Debug, Default)]
pub(super) struct Arena(Vec<u8>);

/// A text in an [`Arena`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

impl Arena {
    pub(super) fn add(&mut self, text: &[u8]) -> Span {
        let span = Span { start: index(self.0.len()), len: index(text.len()) };
        self.0.extend_from_slice(text);
        span
    }

    pub(super) fn get(&self, span: Span) -> &[u8] {
        &self.0[span.start as usize..][..span.len as usize]
    }
}

/// `position` as the index type of the table.
pub(super) fn index(position: usize) -> u32 {
    u32::try_from(position).expect("a configuration document is far smaller than 4 GiB")
}
