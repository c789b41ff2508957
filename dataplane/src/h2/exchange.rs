//! One request of an HTTP/2 client on one connection to an HTTP/1.1 backend.
//!
//! Both directions are driven by one poll, so that an early response passes a request that is still coming.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use http1::{Asked, ResponseHead};

use super::{
    downstream::Downstream,
    limits, response_head,
    response_reader::{ResponseReader, Step},
    upload::Upload,
};
use crate::{
    engine::{Deadline, Upstream},
    error::Reason,
    worker::Worker,
};

/// A request under way.
pub(super) struct Exchange<'a, 'b> {
    pub(super) worker: &'a Worker,
    pub(super) upstream: &'a mut Upstream,
    pub(super) upload: &'a mut Upload<'b>,
    pub(super) client: &'a mut Downstream,
    pub(super) response: &'a mut ResponseHead,
    pub(super) asked: Asked,
    pub(super) deadline: &'a Deadline,
}

/// How an exchange ended.
pub(super) struct Ended {
    /// What went wrong.
    pub(super) failure: Option<Reason>,
    /// Whether the backend's connection can take another request.
    pub(super) keeps_upstream: bool,
    /// Whether any byte of a response came.
    pub(super) response_began: bool,
    /// Bytes of the response's body.
    pub(super) bytes_out: u64,
}

impl Exchange<'_, '_> {
    /// Carries the request out; `on_head` is called when the response has begun.
    pub(super) async fn run(mut self, mut on_head: impl FnMut(u16)) -> Ended {
        let mut reader = ResponseReader::new();
        self.response.forget();
        self.deadline.arm(Instant::now(), limits::STREAM_IDLE);
        let result = std::future::poll_fn(|context| self.poll(&mut reader, &mut on_head, context)).await;
        self.deadline.disarm();
        let keeps = result.is_ok() && self.upload.is_complete() && self.response.keep_alive && reader.is_clean();
        Ended {
            failure: result.err(),
            keeps_upstream: keeps,
            response_began: reader.has_begun(),
            bytes_out: reader.moved(),
        }
    }

    fn poll(
        &mut self,
        reader: &mut ResponseReader,
        on_head: &mut impl FnMut(u16),
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Reason>> {
        self.deadline.wakes(context.waker());
        loop {
            let up = self.upload.advance(self.upstream, context)?;
            if self.client.is_gone(context) {
                return Poll::Ready(Err(Reason::ClientGone));
            }
            let down = self.advance_download(reader, on_head, context)?;
            if self.client.is_ended() {
                return Poll::Ready(Ok(()));
            }
            if up || down {
                self.deadline.arm(Instant::now(), limits::STREAM_IDLE);
            } else if self.deadline.has_passed() {
                let is_asked = self.upload.is_complete() || self.client.has_begun();
                return Poll::Ready(Err(if is_asked { Reason::UpstreamTimeout } else { Reason::RequestTimeout }));
            } else {
                return Poll::Pending;
            }
        }
    }

    fn advance_download(
        &mut self,
        reader: &mut ResponseReader,
        on_head: &mut impl FnMut(u16),
        context: &mut Context<'_>,
    ) -> Result<bool, Reason> {
        let mut has_moved = false;
        loop {
            match self.client.poll_sent(context) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => return Ok(has_moved),
            }
            if self.client.is_ended() {
                return Ok(true);
            }
            match reader.step(self.response, self.asked)? {
                Step::Head => self.answer(reader, on_head)?,
                Step::Data(chunk) => self.client.push(chunk, reader.is_last()),
                Step::Read => {
                    let buffers = &self.worker.buffers;
                    match reader.poll_read(self.upstream, || buffers.large(), context) {
                        Poll::Ready(Ok(0)) if reader.closed() => {}
                        Poll::Ready(Ok(0) | Err(_)) => return Err(Reason::UpstreamReset),
                        Poll::Ready(Ok(_)) => {}
                        Poll::Pending => return Ok(has_moved),
                    }
                }
                Step::Done => self.client.end(reader.take_trailers())?,
            }
            has_moved = true;
        }
    }

    /// Acts on a complete head: interim ones are passed on, the final one begins the response.
    fn answer(&mut self, reader: &mut ResponseReader, on_head: &mut impl FnMut(u16)) -> Result<(), Reason> {
        let response = response_head::of(self.response, reader.head(self.response), || self.worker.clock.date())?;
        if self.response.is_interim() {
            self.client.interim(response);
            reader.skip(self.response);
            return Ok(());
        }
        reader.begin(self.response);
        self.client.begin(response, reader.is_last())?;
        on_head(self.response.status);
        Ok(())
    }
}
