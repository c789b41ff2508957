//! One request on one connection to a backend: the head goes up, the body follows while the response comes down.
//!
//! Both directions are driven by one poll, so that an early response passes a request that is still coming.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http1::{Asked, ChunkLimits, RequestBody, ResponseBody, ResponseHead, Version};
use tokio::io::AsyncWrite;

use super::{
    client::Client,
    download::{self, Download},
    response_head,
    stream::Upstream,
    upload::{self, Upload},
};
use crate::{error::Reason, worker::Worker};

/// How long nothing may move in either direction.
const IDLE: Duration = Duration::from_secs(60);

/// How long a client that ended its side may wait for a response head before it counts as gone.
const HALF_CLOSE_GRACE: Duration = Duration::from_secs(5);

/// A request under way.
pub(crate) struct Exchange<'a> {
    worker: &'a Worker,
    client: &'a mut Client,
    upstream: &'a mut Upstream,
    /// The request's head as it is sent.
    head: &'a [u8],
    head_written: usize,
    upload: Upload,
    download: Download,
    response: &'a mut ResponseHead,
    /// Lines for the response's head.
    appended: &'a mut Vec<u8>,
    asked: Asked,
    /// Whether any of the body left the client's input.
    body_was_used: bool,
    /// Whether the deadline is that of this exchange.
    is_armed: bool,
    /// When the head of the final response was read.
    answered_at: Option<Instant>,
    /// Whether the client's connection is to be kept after this request, as far as the client is concerned.
    client_keeps: bool,
}

/// How an exchange ended.
pub(crate) struct Ended {
    /// The status that the client was told, and when its head was read, once a response began.
    pub(crate) answered: Option<(u16, Instant)>,
    /// What went wrong.
    pub(crate) failure: Option<Reason>,
    /// Whether the client's connection can take another request.
    pub(crate) keeps_client: bool,
    /// Whether nothing of the request is left to read.
    pub(crate) was_read: bool,
    /// Whether the backend's connection can take another request.
    pub(crate) keeps_upstream: bool,
    /// Whether both sides switched to another protocol.
    pub(crate) is_upgraded: bool,
    /// What the backend sent behind the head of an upgrade.
    pub(crate) rest: Vec<u8>,
    /// Whether the backend may have seen any of the request.
    pub(crate) was_sent: bool,
    /// Whether the client's body was read from, so that the request cannot be sent again.
    pub(crate) body_was_read: bool,
    /// Whether any byte of a response came.
    pub(crate) response_began: bool,
    /// Bytes of the request's body.
    pub(crate) bytes_in: u64,
    /// Bytes of the response's body.
    pub(crate) bytes_out: u64,
}

enum Stop {
    Complete,
    Upgraded,
    Failed(Reason),
}

impl<'a> Exchange<'a> {
    /// An exchange that has not begun.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, each borrowed from another owner")]
    pub(crate) fn new(
        worker: &'a Worker,
        client: &'a mut Client,
        upstream: &'a mut Upstream,
        head: &'a [u8],
        body: RequestBody,
        asked: Asked,
        response: &'a mut ResponseHead,
        appended: &'a mut Vec<u8>,
        client_keeps: bool,
    ) -> Self {
        response.forget();
        Self {
            worker,
            client,
            upstream,
            head,
            head_written: 0,
            upload: Upload::new(body, ChunkLimits::default()),
            download: Download::new(),
            response,
            appended,
            asked,
            body_was_used: false,
            is_armed: false,
            answered_at: None,
            client_keeps,
        }
    }

    /// Carries the request out.
    pub(crate) async fn run(&mut self) -> Ended {
        let stop = std::future::poll_fn(|context| self.poll(context)).await;
        self.client.deadline.disarm();
        self.ended(stop)
    }

    fn ended(&self, stop: Stop) -> Ended {
        let is_upgraded = matches!(stop, Stop::Upgraded);
        let is_complete = matches!(stop, Stop::Complete);
        let uploaded = self.upload.is_complete() && self.head_written == self.head.len();
        Ended {
            answered: self.answered_at.filter(|_| self.download.is_answered()).map(|at| (self.response.status, at)),
            failure: match stop {
                Stop::Failed(reason) => Some(reason),
                Stop::Complete | Stop::Upgraded => None,
            },
            keeps_client: is_complete && uploaded && self.client_keeps && !self.client.has_ended,
            was_read: uploaded,
            keeps_upstream: is_complete && uploaded && self.response.keep_alive && self.download.rest().is_empty(),
            rest: if is_upgraded { self.download.rest().to_vec() } else { Vec::new() },
            is_upgraded,
            was_sent: self.head_written > 0,
            body_was_read: self.body_was_used,
            response_began: self.download.has_begun(),
            bytes_in: self.upload.moved(),
            bytes_out: self.download.moved(),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Stop> {
        match self.advance(context) {
            Err(stop) => Poll::Ready(stop),
            Ok(moved) if moved || !self.is_armed => {
                self.is_armed = true;
                // A half-closed client still gets its answer, if that comes soon.
                let is_half_closed = self.client.has_ended && !self.download.is_answered();
                self.client.deadline.arm(self.worker.clock.now(), if is_half_closed { HALF_CLOSE_GRACE } else { IDLE });
                Poll::Pending
            }
            Ok(_) if self.client.deadline.has_passed() => Poll::Ready(Stop::Failed(self.too_slow())),
            Ok(_) => Poll::Pending,
        }
    }

    fn too_slow(&self) -> Reason {
        if self.client.has_ended && !self.download.is_answered() {
            Reason::ClientGone
        } else if self.upload.is_complete() || self.download.is_answered() {
            Reason::UpstreamTimeout
        } else {
            Reason::RequestTimeout
        }
    }

    /// Moves what can be moved now, in both directions; whether anything did. Each direction goes on until it waits for its
    /// socket, and neither waits for the other, so that once through is all.
    fn advance(&mut self, context: &mut Context<'_>) -> Result<bool, Stop> {
        let up = self.advance_upload(context)?;
        let down = self.advance_download(context)?;
        // Last: most responses are over by now, and then the client is asked by whoever takes the next request.
        let has_left = self.upload.is_over() && self.watch_client(context)?;
        Ok(up || down || has_left)
    }

    fn advance_upload(&mut self, context: &mut Context<'_>) -> Result<bool, Stop> {
        let mut moved = false;
        while self.head_written < self.head.len() {
            match self.poll_write_head(context)? {
                Poll::Ready(Ok(())) => {}
                // A head that was never written whole has no answer that could be read.
                Poll::Ready(Err(_)) => return Err(Stop::Failed(Reason::UpstreamReset)),
                Poll::Pending => return Ok(moved),
            }
            moved = true;
        }
        loop {
            let step = self.upload.step(self.client.input.bytes());
            match step.map_err(|fault| Stop::Failed(Reason::of_request(fault)))? {
                upload::Step::Write(range) => {
                    let bytes = &self.client.input.bytes()[range];
                    match Pin::new(&mut self.upstream.stream).poll_write(context, bytes) {
                        Poll::Ready(Ok(count)) => {
                            let used = self.upload.written(count);
                            self.consume(used);
                        }
                        // The backend does not take the rest of the body. It may have answered all the same.
                        Poll::Ready(Err(_)) => self.upload.stop(),
                        Poll::Pending => return Ok(moved),
                    }
                }
                upload::Step::WriteTail => {
                    match Pin::new(&mut self.upstream.stream).poll_write(context, self.upload.tail()) {
                        Poll::Ready(Ok(count)) => self.upload.tail_written(count),
                        // The backend does not take the rest of the body. It may have answered all the same.
                        Poll::Ready(Err(_)) => self.upload.stop(),
                        Poll::Pending => return Ok(moved),
                    }
                }
                upload::Step::Read => {
                    let used = self.upload.used();
                    self.consume(used);
                    match self.client.poll_read_body(&self.worker.buffers, context) {
                        Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Err(Stop::Failed(Reason::ClientGone)),
                        Poll::Ready(Ok(_)) => {}
                        Poll::Pending => return Ok(moved),
                    }
                }
                upload::Step::Done => {
                    let used = self.upload.used();
                    self.consume(used);
                    return Ok(moved);
                }
            }
            moved = true;
        }
    }

    /// Writes of the head, and in the same call of what is there of the body.
    fn poll_write_head(&mut self, context: &mut Context<'_>) -> Result<Poll<io::Result<()>>, Stop> {
        let stream = Pin::new(&mut self.upstream.stream);
        let head = &self.head[self.head_written..];
        let step = self.upload.step(self.client.input.bytes());
        let written = match step.map_err(|fault| Stop::Failed(Reason::of_request(fault)))? {
            upload::Step::Write(range) => {
                let body = &self.client.input.bytes()[range];
                stream.poll_write_vectored(context, &[IoSlice::new(head), IoSlice::new(body)])
            }
            _ => stream.poll_write(context, head),
        };
        Ok(written.map_ok(|count| {
            let of_head = count.min(head.len());
            self.head_written += of_head;
            if count > of_head {
                let used = self.upload.written(count - of_head);
                self.consume(used);
            }
        }))
    }

    /// The first `count` bytes of what the client sent are of no more use.
    fn consume(&mut self, count: usize) {
        self.body_was_used |= count > 0;
        self.client.input.consume(count);
    }

    /// Notices a client that goes away while its response is on the way, and keeps what it sends ahead.
    fn watch_client(&mut self, context: &mut Context<'_>) -> Result<bool, Stop> {
        if self.client.has_ended || !self.client.input.is_empty() {
            return Ok(false);
        }
        match self.client.poll_read(&self.worker.buffers, context) {
            Poll::Ready(Ok(0)) => {
                self.client.has_ended = true;
                Ok(true)
            }
            Poll::Ready(Err(_)) => Err(Stop::Failed(Reason::ClientGone)),
            Poll::Ready(Ok(_)) | Poll::Pending => Ok(false),
        }
    }

    fn advance_download(&mut self, context: &mut Context<'_>) -> Result<bool, Stop> {
        let mut moved = false;
        loop {
            let step = self.download.step(self.response, self.asked);
            match step.map_err(|_| Stop::Failed(Reason::BadResponse))? {
                download::Step::Head => self.answer()?,
                download::Step::Write => {
                    match Pin::new(&mut self.client.stream).poll_write(context, self.download.waiting()) {
                        Poll::Ready(Ok(count)) => self.download.written(count),
                        Poll::Ready(Err(_)) => return Err(Stop::Failed(Reason::ClientGone)),
                        Poll::Pending => return Ok(moved),
                    }
                }
                download::Step::Read => {
                    let buffers = &self.worker.buffers;
                    match self.download.poll_read(self.upstream, || buffers.large(), context) {
                        Poll::Ready(Ok(0)) => {
                            if !self.download.closed() {
                                return Err(Stop::Failed(Reason::UpstreamReset));
                            }
                        }
                        Poll::Ready(Err(_)) => return Err(Stop::Failed(Reason::UpstreamReset)),
                        Poll::Ready(Ok(_)) => {}
                        Poll::Pending => return Ok(moved),
                    }
                }
                download::Step::Done if self.response.status == 101 => return Err(Stop::Upgraded),
                download::Step::Done => return Err(Stop::Complete),
            }
            moved = true;
        }
    }

    /// Acts on a complete head: interim ones are passed on, the final one begins the response.
    fn answer(&mut self) -> Result<(), Stop> {
        if self.response.is_interim() {
            if self.client.version == Version::Http11 {
                self.download.pass_interim(self.response);
            } else {
                self.download.skip_interim(self.response);
            }
            return Ok(());
        }
        let is_http11 = self.client.version == Version::Http11;
        let is_delimited = !matches!(self.response.body, ResponseBody::UntilClose | ResponseBody::Chunked);
        // A request that is still coming may never end: what follows it on the connection could not be told from it.
        self.client_keeps &=
            (is_http11 || is_delimited) && self.upload.is_complete() && !self.client.stop.is_cancelled();
        self.answered_at = Some(self.worker.clock.now());
        self.appended.clear();
        let delivery = response_head::Delivery { is_http11, keeps: self.client_keeps, clock: &self.worker.clock };
        response_head::append(self.appended, self.response, self.download.head(self.response), &delivery);
        let begun = self.download.begin(self.response, is_http11, self.appended);
        begun.map_err(|_| Stop::Failed(Reason::BadResponse))
    }
}
