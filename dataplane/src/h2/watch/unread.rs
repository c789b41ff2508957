//! Requests that `h2` answers by itself: heads that are malformed or too large, and too many at a time. It shows them to nobody, so
//! they are known by their frames: something was sent for a stream that began and was not handed out.

use h2::Reason as Code;

use super::frames::{Frame, RST_STREAM};

/// The most streams that are kept in mind. More are in nobody's interest: `h2` hands out, or answers, what it has read.
const MOST: usize = 1024;

/// What `h2` answered to a request that nobody heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::h2) enum Unheard {
    /// The stream was reset for what the request's head was.
    Malformed,
    /// 431.
    HeadTooLarge,
    /// `REFUSED_STREAM`: the connection has as many streams as it may.
    TooMany,
}

/// Streams that began and were not handed out.
#[derive(Default)]
pub(super) struct Unread {
    waiting: Vec<u32>,
    refused: Vec<Unheard>,
}

impl Unread {
    /// Notes that the client has begun `stream`.
    pub(super) fn began(&mut self, stream: u32) {
        if self.waiting.len() < MOST {
            self.waiting.push(stream);
        }
    }

    /// Forgets `stream`, which was handed out, or reset by the client; whether it was there.
    pub(super) fn is_over(&mut self, stream: u32) -> bool {
        // Mostly it is the only one.
        let at = self.waiting.iter().position(|waiting| *waiting == stream);
        at.map(|at| self.waiting.swap_remove(at)).is_some()
    }

    /// Notes what was sent for a stream.
    pub(super) fn answered(&mut self, frame: Frame) {
        if self.waiting.is_empty() || !self.is_over(frame.stream) {
            return;
        }
        self.refused.push(match frame.kind {
            RST_STREAM if frame.code == u32::from(Code::REFUSED_STREAM) => Unheard::TooMany,
            RST_STREAM => Unheard::Malformed,
            _ => Unheard::HeadTooLarge,
        });
    }

    /// What was answered since the last call.
    pub(super) fn take(&mut self) -> Vec<Unheard> {
        std::mem::take(&mut self.refused)
    }
}
