//! A stream in the hand of who drives it.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll},
};

use crate::{Code, Fields, StreamError, core::Core, stream::Key};

/// One stream; clones are the same one. Dropping the last resets it, unless both sides have ended or our side is on its way to its end.
///
/// All that waits on a stream must be one task: the last that asked is woken.
pub struct Stream<B: AsRef<[u8]>> {
    core: Rc<RefCell<Core<B>>>,
    key: Key,
}

impl<B: AsRef<[u8]>> Stream<B> {
    pub(crate) fn new(core: &Rc<RefCell<Core<B>>>, key: Key) -> Self {
        Self { core: Rc::clone(core), key }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.key.id
    }

    /// The next head of a response, an interim one or the final one, as the bytes of an HTTP/1.1 head; its body is not framed as they
    /// say, but ends as [`is_end_stream`](Self::is_end_stream) tells.
    ///
    /// # Errors
    /// The stream ended before.
    pub fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, StreamError>> {
        let mut core = self.core.borrow_mut();
        let Some(state) = core.streams.get(self.key) else { return Poll::Ready(Err(StreamError::ConnectionLost)) };
        match (state.heads.pop_front(), state.error) {
            (Some(head), _) => Poll::Ready(Ok(head)),
            (None, Some(error)) => Poll::Ready(Err(error)),
            (None, None) => {
                state.waits(context.waker());
                Poll::Pending
            }
        }
    }

    /// All of the body that has come and was not taken; nothing at its end.
    ///
    /// # Errors
    /// The stream ended before its end.
    pub fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, StreamError>> {
        let mut core = self.core.borrow_mut();
        let Some(state) = core.streams.get(self.key) else { return Poll::Ready(Err(StreamError::ConnectionLost)) };
        if !state.data.is_empty() {
            let data = std::mem::take(&mut state.data);
            core.consumed(self.key, data.len());
            return Poll::Ready(Ok(Some(data)));
        }
        match state.error {
            _ if state.is_received => Poll::Ready(Ok(None)),
            Some(error) => Poll::Ready(Err(error)),
            None => {
                state.waits(context.waker());
                Poll::Pending
            }
        }
    }

    /// The trailers, as lines, once [`poll_data`](Self::poll_data) said that the body is over.
    pub fn take_trailers(&mut self) -> Option<Vec<u8>> {
        self.core.borrow_mut().streams.get(self.key)?.trailers.take()
    }

    /// Whether nothing more comes, not even trailers.
    pub fn is_end_stream(&self) -> bool {
        let mut core = self.core.borrow_mut();
        let state = core.streams.get(self.key);
        state.is_none_or(|state| state.is_received && state.data.is_empty() && state.trailers.is_none())
    }

    /// Waits until the stream ends before its end.
    pub fn poll_reset(&mut self, context: &mut Context<'_>) -> Poll<StreamError> {
        let mut core = self.core.borrow_mut();
        let Some(state) = core.streams.get(self.key) else { return Poll::Ready(StreamError::ConnectionLost) };
        match state.error {
            Some(error) => Poll::Ready(error),
            None => {
                state.waits(context.waker());
                Poll::Pending
            }
        }
    }

    /// Sends a head, and with `is_end` nothing more. Only while nothing of a body waits.
    ///
    /// # Errors
    /// The stream ended before.
    pub fn send_head(&mut self, is_end: bool, write: impl FnOnce(&mut Fields<'_>)) -> Result<(), StreamError> {
        self.core.borrow_mut().send_head(self.key, is_end, write)
    }

    /// Sends a stretch of the body, and with `is_end` nothing more. Only when [`poll_sent`](Self::poll_sent) said that nothing waits.
    ///
    /// # Errors
    /// The stream ended before.
    pub fn send_data(&mut self, chunk: B, is_end: bool) -> Result<(), StreamError> {
        self.core.borrow_mut().send_data(self.key, chunk, is_end)
    }

    /// Sends trailers, which are lines as of HTTP/1.1, behind all that waits.
    ///
    /// # Errors
    /// The stream ended before.
    pub fn send_trailers(&mut self, lines: Vec<u8>) -> Result<(), StreamError> {
        self.core.borrow_mut().send_trailers(self.key, lines)
    }

    /// Waits until what was handed over is on its way, as the peer's windows allow.
    ///
    /// # Errors
    /// The stream ended before.
    pub fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let mut core = self.core.borrow_mut();
        let Some(state) = core.streams.get(self.key) else { return Poll::Ready(Err(StreamError::ConnectionLost)) };
        match (&state.waiting, state.error) {
            (_, Some(error)) => Poll::Ready(Err(error)),
            (None, None) => Poll::Ready(Ok(())),
            (Some(_), None) => {
                state.waits(context.waker());
                Poll::Pending
            }
        }
    }

    /// Resets it as one whose head is malformed (RFC 9113 §8.1.1), which its peer may send only so often.
    pub fn refuse(&mut self) {
        self.core.borrow_mut().refuse_malformed(self.key);
    }

    /// Resets it.
    pub fn reset(&mut self, code: Code) {
        let mut core = self.core.borrow_mut();
        if core.streams.get(self.key).is_some_and(|state| !state.is_over()) {
            core.reset(self.key, code, StreamError::GivenUp);
        }
    }
}

impl<B: AsRef<[u8]>> Clone for Stream<B> {
    fn clone(&self) -> Self {
        if let Some(state) = self.core.borrow_mut().streams.get(self.key) {
            state.hands += 1;
        }
        Self { core: Rc::clone(&self.core), key: self.key }
    }
}

impl<B: AsRef<[u8]>> Drop for Stream<B> {
    fn drop(&mut self) {
        self.core.borrow_mut().let_go(self.key);
    }
}
