//! What is known of an exchange that is over.

use super::{Exchange, Stop};
use crate::{error::Reason, instant::Instant, tries::Sent};

/// How an exchange ended.
pub(crate) struct Ended {
    /// The status that the client was told, and when its head was read, once a response began.
    pub(crate) answered: Option<(u16, Instant)>,
    /// Whether the response was written at once, and all of it came with its head.
    pub(crate) is_prompt: bool,
    /// What went wrong.
    pub(crate) failure: Option<Reason>,
    /// Whether the client may be in the middle of an interim response: what is sent now would be taken for a part of it.
    pub(crate) is_inside_interim: bool,
    /// What exactly was wrong, if a message was broken.
    pub(crate) detail: Option<&'static str>,
    /// Whether the client's connection can take another request.
    pub(crate) keeps_client: bool,
    /// Whether nothing of the request is left to read.
    pub(crate) was_read: bool,
    /// Whether there was a response that is not passed on, for the request is tried again.
    pub(crate) is_tried_again: bool,
    /// Whether the backend's connection can take another request, behind a response that is tried again once that is read.
    pub(crate) keeps_upstream: bool,
    /// Whether nothing was sent to the backend and nothing came from it.
    pub(crate) is_untouched: bool,
    /// Whether both sides switched to another protocol.
    pub(crate) is_upgraded: bool,
    /// What the backend sent behind the head of an upgrade, or of a response that is not passed on.
    pub(crate) rest: Vec<u8>,
    /// How far the request got.
    pub(crate) sent: Sent,
    /// Whether any byte of a response came.
    pub(crate) response_began: bool,
    /// Bytes of the request's body.
    pub(crate) bytes_in: u64,
    /// Bytes of the response's body.
    pub(crate) bytes_out: u64,
}

impl Exchange<'_> {
    /// What came of it by `stop`. `stands` says whether the backend's connection is open and nothing came on it out of turn.
    pub(super) fn ended(&self, stop: Stop, stands: bool) -> Ended {
        let is_upgraded = matches!(stop, Stop::Upgraded);
        let is_complete = matches!(stop, Stop::Complete);
        let is_tried_again = matches!(stop, Stop::TriedAgain);
        let is_replaced = matches!(stop, Stop::Replaced { .. });
        let is_whole = is_complete || matches!(stop, Stop::Replaced { is_whole: true });
        let uploaded = self.is_uploaded();
        Ended {
            answered: self
                .answered_at
                .filter(|_| self.download.is_answered() && !is_replaced)
                .map(|at| (self.response.status, at)),
            is_prompt: self.is_prompt,
            failure: match stop {
                Stop::Failed(reason) => Some(reason),
                Stop::Replaced { .. } => Some(Reason::BackendError),
                Stop::Complete | Stop::Upgraded | Stop::TriedAgain => None,
            },
            is_inside_interim: !self.download.is_answered() && self.download.has_waiting(),
            detail: self.detail,
            keeps_client: is_complete && uploaded && self.client_keeps && !self.client.is_over(),
            was_read: uploaded,
            is_tried_again,
            keeps_upstream: uploaded
                && stands
                && self.response.keep_alive
                && (is_tried_again || (is_whole && self.download.rest().is_empty())),
            is_untouched: self.head_written == 0 && !self.download.has_begun(),
            rest: if is_upgraded || is_tried_again { self.download.rest().to_vec() } else { Vec::new() },
            is_upgraded,
            sent: self.sent(),
            response_began: self.download.has_begun(),
            bytes_in: self.upload.moved(),
            bytes_out: if is_replaced { 0 } else { self.download.moved() },
        }
    }
}
