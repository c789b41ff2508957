//! What is tried before an exchange is given up because a side takes nothing.

use std::task::Context;

use super::{Advanced, Exchange, Stop};
use crate::{
    engine::{Waits, socket::send_now, splice, upload},
    error::Reason,
};

/// How often more is written to a side that was waited for in vain before the runtime is asked again: a few times what a kernel holds.
const MAX_PUSHES: u8 = 16;

impl Exchange<'_> {
    /// As [`advance`](Self::advance), when nothing has moved for so long that the exchange is overdue, whatever the runtime knows of room:
    /// it hears of that only once a third of what the kernel holds for the other side is gone. That may be megabytes, and who reads
    /// steadily but slowly is not to be taken for one who has stopped.
    #[cold]
    pub(super) fn advance_overdue(
        &mut self,
        upload: Waits,
        download: Waits,
        context: &mut Context<'_>,
    ) -> Result<Advanced, Stop> {
        let mut advanced = (false, upload, false, download);
        for _ in 0..MAX_PUSHES {
            let (up, down) = self.push(advanced.1, advanced.3);
            if !up && !down {
                break;
            }
            // What was full was not, and has to be waited for again.
            let (has_uploaded, upload, has_downloaded, download) = self.advance(context)?;
            advanced = (advanced.0 || up || has_uploaded, upload, advanced.2 || down || has_downloaded, download);
        }
        Ok(advanced)
    }

    /// Writes to each side that is waited for to take something. Answers whether anything of the request went, and of the response.
    fn push(&mut self, upload: Waits, download: Waits) -> (bool, bool) {
        if !matches!(self.overdue, Reason::ClientTooSlow | Reason::UpstreamTimeout) {
            return (false, false);
        }
        let down = download == Waits::Client
            && match &mut self.download_splice {
                Some(splice) => splice.push(&self.client.stream),
                None => {
                    let count = pushed(&self.client.stream, self.download.waiting());
                    self.download.written(count);
                    count > 0
                }
            };
        let up = upload == Waits::Upstream
            && self.head_written == self.head.len()
            && match &mut self.upload_splice {
                Some(splice) => splice.push(&self.upstream.stream),
                None => {
                    let step = self.upload.step(self.client.input.bytes());
                    let Ok(upload::Step::Write(range)) = step else { return (false, down) };
                    let count = pushed(&self.upstream.stream, &self.client.input.bytes()[range]);
                    self.body_written(count);
                    count > 0
                }
            };
        (up, down)
    }
}

/// Writes of `bytes` what the kernel has room for; how much.
fn pushed(to: &impl splice::Socket, bytes: &[u8]) -> usize {
    to.now(|to| send_now(to, bytes).unwrap_or(Ok(0))).unwrap_or(0)
}
