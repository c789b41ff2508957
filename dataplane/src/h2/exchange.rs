//! One request of an HTTP/2 client on one connection to an HTTP/1.1 backend.
//!
//! Both directions are driven by one poll, so that an early response passes a request that is still coming.

use std::task::{Context, Poll};

use http1::ResponseHead;

use super::{
    downstream::Downstream,
    outgoing::Outgoing,
    pacer::Pacer,
    response_reader::{ResponseReader, Step},
    upload::Upload,
};
use crate::{
    attempt::Said,
    engine::{Standing, Terms, Upstream, Waits},
    error::Reason,
    grpc, retry_after,
    tries::Tries,
    worker::Worker,
};

/// A request under way.
pub(super) struct Exchange<'a, 'b> {
    pub(super) worker: &'a Worker,
    pub(super) upstream: &'a mut Upstream,
    pub(super) upload: &'a mut Upload<'b>,
    pub(super) client: &'a mut Downstream,
    pub(super) response: &'a mut ResponseHead,
    /// Lines for the response's head.
    pub(super) appended: &'a mut Vec<u8>,
    pub(super) tries: &'a mut Tries,
    pub(super) terms: &'a Terms,
}

/// How an exchange ended.
pub(super) struct Ended {
    /// What went wrong.
    pub(super) failure: Option<Reason>,
    /// Whether there was a response that is not passed on, for the request is tried again; then what was read behind its head.
    pub(super) tried_again: Option<Vec<u8>>,
    /// Whether the backend's connection can take another request, behind a response that is tried again once that is read.
    pub(super) keeps_upstream: bool,
    /// Whether any byte of a response came.
    pub(super) response_began: bool,
    /// Bytes of the response's body.
    pub(super) bytes_out: u64,
}

/// Why there is nothing more to move, though the response is not over.
enum Stop {
    TriedAgain,
    Failed(Reason),
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Failed(reason)
    }
}

impl Exchange<'_, '_> {
    /// Carries the request out; `on_head` is called when the response has begun.
    pub(super) async fn run(mut self, mut on_head: impl FnMut(u16)) -> Ended {
        let mut reader = ResponseReader::new(self.terms.expects_continue);
        let mut pacer = Pacer::new(self.worker, self.terms, self.tries.until());
        self.response.forget();
        let result = std::future::poll_fn(|context| self.poll(&mut reader, &mut pacer, &mut on_head, context)).await;
        let is_replaced = matches!(result, Err(Stop::Failed(Reason::BackendError)));
        let tried_again = matches!(result, Err(Stop::TriedAgain)).then(|| reader.rest().to_vec());
        let is_clean = tried_again.is_some() || ((result.is_ok() || is_replaced) && reader.is_clean());
        Ended {
            keeps_upstream: is_clean && self.upload.is_complete() && self.response.keep_alive,
            tried_again,
            failure: match result {
                Err(Stop::Failed(reason)) => Some(reason),
                Ok(()) | Err(Stop::TriedAgain) => None,
            },
            response_began: reader.has_begun(),
            bytes_out: if is_replaced { 0 } else { reader.moved() },
        }
    }

    fn poll(
        &mut self,
        reader: &mut ResponseReader,
        pacer: &mut Pacer,
        on_head: &mut impl FnMut(u16),
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Stop>> {
        pacer.wakes(context.waker());
        let (mut has_moved, mut has_uploaded) = (false, false);
        let (upload, download) = loop {
            let (up, upload) = self.upload.advance(self.upstream, context)?;
            if self.client.is_gone(context) {
                return Poll::Ready(Err(Reason::ClientGone.into()));
            }
            let (down, download) = self.advance_download(reader, on_head, context)?;
            if self.client.is_ended() {
                return Poll::Ready(Ok(()));
            }
            has_moved |= up || down;
            has_uploaded |= up;
            if !up && !down {
                break (upload, download);
            }
        };
        let standing = Standing {
            upload,
            download,
            is_answered: self.client.has_begun(),
            is_half_closed: false,
            expects_continue: reader.awaits_continue() && self.upload.moved() == 0,
            received: self.upload.moved(),
        };
        match pacer.settle(has_moved, has_uploaded, &standing, self.tries) {
            Some(reason) => Poll::Ready(Err(reason.into())),
            None => Poll::Pending,
        }
    }

    fn advance_download(
        &mut self,
        reader: &mut ResponseReader,
        on_head: &mut impl FnMut(u16),
        context: &mut Context<'_>,
    ) -> Result<(bool, Waits), Stop> {
        let mut has_moved = false;
        loop {
            match self.client.poll_sent(context) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => return Ok((has_moved, Waits::Client)),
            }
            if self.client.is_ended() {
                return Ok((true, Waits::Nobody));
            }
            match reader.step(self.response, self.terms.asked, &self.worker.arena)? {
                Step::Head => self.answer(reader, on_head, context)?,
                Step::Data(chunk) => self.client.push(chunk, reader.is_last()),
                Step::Read => {
                    let buffers = &self.worker.buffers;
                    match reader.poll_read(self.upstream, || buffers.large(), context) {
                        Poll::Ready(Ok(0)) if !self.upload.was_reset() && reader.closed() => {}
                        Poll::Ready(Ok(0) | Err(_)) => return Err(Reason::UpstreamReset.into()),
                        Poll::Ready(Ok(_)) => {}
                        Poll::Pending => return Ok((has_moved, Waits::Upstream)),
                    }
                }
                Step::Done => {
                    let trailers = reader.take_trailers();
                    let trailers = trailers.and_then(|trailers| trailers.without_id(self.terms.returned.renamed()));
                    self.client.end(trailers)?;
                }
            }
            has_moved = true;
        }
    }

    /// Acts on a complete head: interim ones are passed on, the final one begins the response.
    fn answer(
        &mut self,
        reader: &mut ResponseReader,
        on_head: &mut impl FnMut(u16),
        context: &mut Context<'_>,
    ) -> Result<(), Stop> {
        let clock = &self.worker.clock;
        let bytes = reader.head(self.response);
        if self.response.is_interim() {
            self.client.interim(&Outgoing::interim(self.response, bytes, self.terms));
            return reader.pass_interim(self.response).map_err(Stop::from);
        }
        let (status, is_empty) = (self.response.status, self.response.body.is_empty());
        let said = Said::new(status, is_empty, || grpc::status(&self.response.fields, bytes));
        self.tries.answered(said, clock.now());
        let retry_after = || retry_after::of(&self.response.fields, bytes);
        let sent = self.upload.sent();
        if self.tries.retries_answer(self.worker, self.terms, said, retry_after, sent) {
            reader.skip(self.response);
            return Err(Stop::TriedAgain);
        }
        self.upload.settle();
        if self.terms.replaces_errors && status >= 500 {
            on_head(status);
            reader.drain(self.response, self.terms.asked, self.upstream, self.worker, context);
            return Err(Reason::BackendError.into());
        }
        let protocol = self.response.version.into();
        let outgoing = Outgoing::new(self.response, bytes, self.appended, protocol, self.terms, clock);
        self.client.begin(&outgoing, is_empty)?;
        reader.begin(self.response);
        on_head(status);
        Ok(())
    }
}
