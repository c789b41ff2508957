//! What is done when the head of a response is complete.

use std::task::{Context, Poll};

use http1::{ResponseBody, Version};

use super::{Exchange, Stop};
use crate::{
    attempt::Said,
    engine::{download, response_head},
    error::Reason,
    grpc, retry_after,
};

/// Bytes of the body of a response that is replaced which are read, so that its connection can be kept.
pub(crate) const MAX_DRAINED: u64 = 64 << 10;

impl Exchange<'_> {
    /// Acts on a complete head: interim ones are passed on, the final one begins the response.
    // A part of the one loop that calls it, in whatever unit of code it is compiled.
    #[inline]
    pub(super) fn answer(&mut self, context: &mut Context<'_>) -> Result<(), Stop> {
        self.expects_continue = false;
        if self.response.is_interim() {
            if !self.interim.admits(self.response.len as usize) {
                self.detail = Some("too_many_interim");
                return Err(Stop::Failed(Reason::BadResponse));
            }
            if self.client.version == Version::Http11 {
                self.download.pass_interim(self.response);
            } else {
                self.download.skip_head(self.response);
            }
            return Ok(());
        }
        let is_http11 = self.client.version == Version::Http11;
        let is_delimited = !matches!(self.response.body, ResponseBody::UntilClose | ResponseBody::Chunked);
        // A request that is still coming may never end: what follows it on the connection could not be told from it.
        self.client_keeps &= (is_http11 || is_delimited) && self.is_uploaded() && !self.client.stop.is_set();
        let now = self.worker.clock.now();
        let bytes = self.download.head(self.response.len);
        let grpc = || grpc::status(&self.response.fields, bytes);
        let said = Said::new(self.response.status, self.response.body.is_empty(), grpc);
        self.tries.answered(said, now);
        let retry_after = || retry_after::of(&self.response.fields, bytes);
        if self.tries.retries_answer(self.worker, self.terms, said, retry_after, self.sent()) {
            self.download.skip_head(self.response);
            return Err(Stop::TriedAgain);
        }
        self.upload.settle();
        (self.answered_at, self.is_prompt) = (Some(now), true);
        if self.terms.replaces_errors && self.response.status >= 500 {
            return Err(self.drain(context));
        }
        self.appended.clear();
        if let Some(edits) = &self.terms.response_headers
            && self.response.status != 101
        {
            let bytes = self.download.head(self.response.len);
            edits.act(self.response, bytes, self.appended);
        }
        let bytes = self.download.head(self.response.len);
        self.terms.returned.act(self.response.version.into(), self.response, bytes, self.appended);
        let delivery = response_head::Delivery { is_http11, keeps: self.client_keeps, clock: &self.worker.clock };
        response_head::append(self.appended, self.response, self.download.head(self.response.len), &delivery);
        let begun = self.download.begin(self.response, is_http11, self.appended, self.terms.returned.renamed());
        begun.map_err(|fault| self.broken(Reason::BadResponse, fault))?;
        self.record.begins(self.response.status);
        if !is_http11 && !is_delimited {
            self.client.ends_with_reset();
        }
        Ok(())
    }

    /// Leaves a response out whose head is complete. What of it is there is read, so that the connection can be kept if that is
    /// all; the client does not wait for more.
    fn drain(&mut self, context: &mut Context<'_>) -> Stop {
        self.download.begin_without_head(self.response);
        let is_whole = loop {
            match self.download.step(self.response, self.terms.asked) {
                Ok(download::Step::Done) => break true,
                Ok(download::Step::Write) => self.download.written(self.download.waiting().len()),
                Ok(download::Step::Read) if self.download.moved() < MAX_DRAINED => {
                    match self.download.poll_read(self.upstream, &self.worker.buffers, context) {
                        Poll::Ready(Ok(1..)) => {}
                        _ => break false,
                    }
                }
                _ => break false,
            }
        };
        Stop::Replaced { is_whole }
    }
}
