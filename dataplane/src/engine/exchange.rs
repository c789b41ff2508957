//! One request on one connection to a backend: the head goes up, the body follows while the response comes down.
//!
//! Both directions are driven by one poll, so that an early response passes a request that is still coming.

mod ended;
mod head;
mod overdue;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use http1::{Fault, ResponseHead};
use tokio::io::AsyncWrite;

use super::{
    buffers::SMALL,
    client::Client,
    download::{self, Download},
    interim::Interim,
    pace::{Pace, Standing, Waits},
    scratch::Scratch,
    socket::Socket,
    splice::{self, Moved, Side, Splice},
    stream::Upstream,
    terms::Terms,
    upload::{self, Upload},
};
use crate::{
    error::Reason,
    instant::Instant,
    record::AccessRecord,
    tries::{Sent, Tries},
    worker::Worker,
};

pub(crate) use ended::Ended;
pub(crate) use head::MAX_DRAINED;

/// A request under way.
pub(crate) struct Exchange<'a> {
    worker: &'a Worker,
    client: &'a mut Client,
    upstream: &'a mut Upstream,
    /// The request's head as it is sent.
    head: &'a [u8],
    head_written: usize,
    upload: &'a mut Upload,
    upload_splice: Option<Box<Splice>>,
    download: &'a mut Download,
    download_splice: Option<Box<Splice>>,
    response: &'a mut ResponseHead,
    /// Whether the backend reset the connection while it was written to.
    was_reset: bool,
    /// Lines for the response's head.
    appended: &'a mut Vec<u8>,
    terms: &'a Terms,
    /// Judged by the response's head.
    tries: &'a mut Tries,
    record: &'a AccessRecord<'a>,
    /// How many interim responses came.
    interim: Interim,
    /// What exactly was wrong, when one side broke its framing.
    detail: Option<&'static str>,
    /// When the head of the final response was read.
    answered_at: Option<Instant>,
    /// Whether nothing was read or waited for since.
    is_prompt: bool,
    /// Whether the deadline is that of this exchange.
    is_armed: bool,
    /// Whether the client's connection is to be kept after this request, as far as the client is concerned.
    client_keeps: bool,
    /// Whether the client waits for 100 before it sends its body.
    expects_continue: bool,
    pace: Pace<'a>,
    /// What is wrong when the deadline passes.
    overdue: Reason,
}

enum Stop {
    Complete,
    Upgraded,
    TriedAgain,
    /// The client is to get another response; whether all of this one was read.
    Replaced {
        is_whole: bool,
    },
    Failed(Reason),
}

/// How far a direction got: whether anything moved, and what it waits for now.
type Progress = Result<(bool, Waits), Stop>;

/// The same for both, the request's first.
type Advanced = (bool, Waits, bool, Waits);

impl<'a> Exchange<'a> {
    /// An exchange that has not begun.
    pub(crate) fn new(
        worker: &'a Worker,
        client: &'a mut Client,
        upstream: &'a mut Upstream,
        tries: &'a mut Tries,
        terms: &'a Terms,
        scratch: &'a mut Scratch,
        record: &'a AccessRecord<'a>,
    ) -> Self {
        let Scratch { response, out: head, appended, upload, download, .. } = scratch;
        response.forget();
        Self {
            worker,
            client,
            upstream,
            pace: Pace::new(&terms.timeouts, terms.total, tries.until(), worker.clock.recent()),
            tries,
            record,
            head,
            head_written: 0,
            upload,
            upload_splice: None,
            download,
            download_splice: None,
            response,
            was_reset: false,
            appended,
            terms,
            client_keeps: terms.keeps,
            expects_continue: terms.expects_continue,
            overdue: Reason::UpstreamTimeout,
            interim: Interim::default(),
            detail: None,
            answered_at: None,
            is_prompt: false,
            is_armed: false,
        }
    }

    /// Carries the request out.
    pub(crate) async fn run(&mut self) -> Ended {
        let stop = std::future::poll_fn(|context| self.poll(context)).await;
        self.client.deadline.disarm();
        // Whoever has the connection next may wait for it.
        let stands = !matches!(stop, Stop::Complete) || self.upstream.resume();
        let ended = self.ended(stop, stands);
        // Whoever has this memory next must find no buffer in it.
        *self.download = Download::default();
        ended
    }

    fn sent(&self) -> Sent {
        Sent { any: self.head_written > 0, is_whole: self.upload.is_whole() }
    }

    /// Whether nothing of the request is left to read or to write.
    fn is_uploaded(&self) -> bool {
        self.upload.is_complete() && self.upload_splice.is_none() && self.head_written == self.head.len()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Stop> {
        let advanced = match self.advance(context) {
            Ok((false, upload, false, download)) if self.is_armed && self.client.deadline.has_passed() => {
                self.advance_overdue(upload, download, context)
            }
            advanced => advanced,
        };
        let (has_uploaded, upload, has_downloaded, download) = match advanced {
            Ok(advanced) => advanced,
            Err(stop) => return Poll::Ready(stop),
        };
        // As long as only the client is waited for, what the backend sends would wake the worker for nothing.
        let is_ahead = upload == Waits::Nobody && download == Waits::Client && self.download_splice.is_some();
        if is_ahead && self.upstream.stream.rest().is_err() {
            return Poll::Ready(Stop::Failed(Reason::UpstreamReset));
        }
        self.is_prompt = false;
        if !has_uploaded && !has_downloaded && self.is_armed {
            let passed = self.client.deadline.has_passed();
            return if passed { Poll::Ready(Stop::Failed(self.overdue)) } else { Poll::Pending };
        }
        let standing = Standing {
            upload,
            download,
            is_answered: self.download.is_answered(),
            is_half_closed: self.client.has_ended,
            expects_continue: self.expects_continue && self.upload.moved() == 0,
            received: self.upload.moved(),
        };
        // Before anything came, a moment ago will do: it is that of the request, or of the connection that was opened for it.
        let now = if self.is_armed { self.worker.clock.now() } else { self.worker.clock.recent() };
        self.is_armed = true;
        self.pace.moved(now, has_uploaded, &standing);
        self.tries.holds(self.pace.held());
        let (due, reason) = self.pace.due(&standing);
        // What moves all the time, but too slowly, never lets a deadline pass.
        if due <= now {
            return Poll::Ready(Stop::Failed(reason));
        }
        self.overdue = reason;
        self.client.deadline.arm_at(due);
        Poll::Pending
    }

    /// Moves what can be moved now, in both directions. Each direction goes on until it waits for its socket, and neither waits
    /// for the other, so that once through is all.
    fn advance(&mut self, context: &mut Context<'_>) -> Result<Advanced, Stop> {
        let (up, upload) = self.advance_upload(context)?;
        let (down, download) = self.advance_download(context)?;
        // Last: most responses are over by now, and then the client is asked by whoever takes the next request.
        let has_left = upload == Waits::Nobody && self.watch_client(context)?;
        Ok((up || has_left, upload, down, download))
    }

    fn advance_upload(&mut self, context: &mut Context<'_>) -> Progress {
        let mut moved = false;
        while self.head_written < self.head.len() {
            match self.write_head(context)? {
                Poll::Ready(Ok(())) => moved = true,
                Poll::Ready(Err(error)) => return self.upstream_takes_no_more(&error),
                Poll::Pending => return Ok((moved, Waits::Upstream)),
            }
        }
        loop {
            if let Some(splice) = &mut self.upload_splice {
                let rest = self.upload.spliceable();
                if rest == 0 && splice.is_empty() {
                    self.upload_splice = None;
                    continue;
                }
                self.client.unwatch();
                match splice.step(&self.client.stream, &self.upstream.stream, rest, context) {
                    Ok(Moved::In(0)) | Err(Side::From(Some(_))) => return Err(Stop::Failed(Reason::ClientGone)),
                    Ok(Moved::In(count)) => self.upload.spliced(count),
                    Ok(Moved::Out(_)) => {}
                    Err(Side::To(Some(error))) => return self.upstream_takes_no_more(&error),
                    Err(Side::From(None)) => return Ok((moved, Waits::Client)),
                    Err(Side::To(None)) => return Ok((moved, Waits::Upstream)),
                }
                moved = true;
                continue;
            }
            let step = self.upload.step(self.client.input.bytes());
            match step.map_err(|fault| self.broken(Reason::of_request(fault), fault))? {
                step @ (upload::Step::Write(_) | upload::Step::WriteAgain) => {
                    let bytes = match step {
                        upload::Step::Write(range) => &self.client.input.bytes()[range],
                        _ => self.upload.again(),
                    };
                    match self.upstream.stream.poll_send(context, bytes) {
                        Poll::Ready(Ok(count)) => self.body_written(count),
                        Poll::Ready(Err(error)) => return self.upstream_takes_no_more(&error),
                        Poll::Pending => return Ok((moved, Waits::Upstream)),
                    }
                }
                upload::Step::WriteTail => match self.upstream.stream.poll_send(context, self.upload.tail()) {
                    Poll::Ready(Ok(count)) => self.upload.tail_written(count),
                    Poll::Ready(Err(error)) => return self.upstream_takes_no_more(&error),
                    Poll::Pending => return Ok((moved, Waits::Upstream)),
                },
                upload::Step::Read => {
                    let used = self.upload.used();
                    self.client.input.consume(used);
                    if self.upload.spliceable() >= splice::LEAST && self.client.input.is_empty() {
                        self.upload_splice = self.worker.pipes.take().map(Box::new);
                        if self.upload_splice.is_some() {
                            self.client.stream.resume().map_err(|_| Stop::Failed(Reason::ClientGone))?;
                            continue;
                        }
                    }
                    let (buffers, expects) = (&self.worker.buffers, self.upload.expects());
                    self.client.reads_much |= expects > SMALL as u64;
                    let fresh = || match expects {
                        splice::LEAST.. => buffers.huge(),
                        expects if expects > SMALL as u64 => buffers.large(),
                        _ => buffers.small(),
                    };
                    match self.client.poll_read_into(fresh, context) {
                        Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Err(Stop::Failed(Reason::ClientGone)),
                        Poll::Ready(Ok(_)) => {}
                        Poll::Pending => return Ok((moved, Waits::Client)),
                    }
                }
                upload::Step::Done => {
                    let used = self.upload.used();
                    self.client.input.consume(used);
                    return Ok((moved, Waits::Nobody));
                }
            }
            moved = true;
        }
    }

    /// Writes of the head, and in the same call of the body that is there. An inner error is one of the backend's socket.
    fn write_head(&mut self, context: &mut Context<'_>) -> Result<Poll<io::Result<()>>, Stop> {
        let step = self.upload.step(self.client.input.bytes());
        let step = step.map_err(|fault| self.broken(Reason::of_request(fault), fault))?;
        let head = &self.head[self.head_written..];
        let body = match step {
            upload::Step::Write(range) => &self.client.input.bytes()[range],
            upload::Step::WriteAgain => self.upload.again(),
            _ => &[],
        };
        let stream = &mut self.upstream.stream;
        let written = if body.is_empty() {
            stream.poll_send(context, head)
        } else {
            Pin::new(stream).poll_write_vectored(context, &[IoSlice::new(head), IoSlice::new(body)])
        };
        Ok(written.map(|written| {
            let count = written?;
            let of_head = count.min(head.len());
            self.head_written += of_head;
            if count > of_head {
                self.body_written(count - of_head);
            }
            Ok(())
        }))
    }

    fn body_written(&mut self, count: usize) {
        let used = self.upload.written(count, self.client.input.bytes());
        self.client.input.consume(used);
    }

    /// The backend does not take the rest of the request. It may have answered all the same.
    fn upstream_takes_no_more(&mut self, error: &io::Error) -> Progress {
        // Told once: what is read from now on ends as if the backend had ended it.
        self.was_reset = error.kind() == io::ErrorKind::ConnectionReset;
        let is_first = self.upload_splice.take().is_some()
            || !matches!(self.upload.step(self.client.input.bytes()), Ok(upload::Step::Done));
        self.upload.stop();
        // A head that was never written whole has no answer that could be read.
        if self.head_written < self.head.len() {
            return Err(Stop::Failed(Reason::UpstreamReset));
        }
        Ok((is_first, Waits::Nobody))
    }

    /// Notices a client that goes away while its response is on the way, and keeps what it sends ahead.
    fn watch_client(&mut self, context: &mut Context<'_>) -> Result<bool, Stop> {
        if self.client.has_ended || !self.client.input.is_empty() {
            return Ok(false);
        }
        match self.client.poll_read_ahead(&self.worker.buffers, context) {
            Poll::Ready(Ok(0)) => {
                self.client.has_ended = true;
                Ok(true)
            }
            Poll::Ready(Err(_)) => Err(Stop::Failed(Reason::ClientGone)),
            Poll::Ready(Ok(_)) | Poll::Pending => Ok(false),
        }
    }

    fn advance_download(&mut self, context: &mut Context<'_>) -> Progress {
        let mut moved = false;
        loop {
            if let Some(splice) = &mut self.download_splice {
                let rest = self.download.spliceable();
                if rest == 0 && splice.is_empty() {
                    self.download_splice = None;
                    continue;
                }
                // What the runtime knows of the socket's readiness is not up to date after this.
                self.upstream.read_all_room = true;
                match splice.step(&self.upstream.stream, &self.client.stream, rest, context) {
                    Ok(Moved::In(0)) | Err(Side::From(Some(_))) => return Err(Stop::Failed(Reason::UpstreamReset)),
                    Ok(Moved::In(count)) => self.download.spliced(count),
                    Ok(Moved::Out(_)) => {}
                    Err(Side::To(Some(_))) => return Err(Stop::Failed(Reason::ClientGone)),
                    Err(Side::From(None)) => match self.upstream.stream.resume() {
                        // Now it can be waited for.
                        Ok(true) => continue,
                        Ok(false) => return Ok((moved, Waits::Upstream)),
                        Err(_) => return Err(Stop::Failed(Reason::UpstreamReset)),
                    },
                    Err(Side::To(None)) => return Ok((moved, Waits::Client)),
                }
                moved = true;
                continue;
            }
            let step = self.download.step(self.response, self.terms.asked);
            match step.map_err(|fault| self.broken(Reason::BadResponse, fault))? {
                download::Step::Head => self.answer(context)?,
                download::Step::Write => match self.write(context) {
                    Poll::Ready(Ok(count)) => self.download.written(count),
                    Poll::Ready(Err(_)) => return Err(Stop::Failed(Reason::ClientGone)),
                    Poll::Pending => return Ok((moved, Waits::Client)),
                },
                download::Step::Read => {
                    self.is_prompt = false;
                    if self.download.spliceable() >= splice::LEAST {
                        self.download_splice = self.worker.pipes.take().map(Box::new);
                        if self.download_splice.is_some() {
                            self.client.stream.resume().map_err(|_| Stop::Failed(Reason::ClientGone))?;
                            self.download.release();
                            continue;
                        }
                    }
                    match self.download.poll_read(self.upstream, &self.worker.buffers, context) {
                        Poll::Ready(Ok(0)) => {
                            if self.was_reset || !self.download.closed() {
                                return Err(Stop::Failed(Reason::UpstreamReset));
                            }
                        }
                        Poll::Ready(Err(_)) => return Err(Stop::Failed(Reason::UpstreamReset)),
                        Poll::Ready(Ok(_)) => {}
                        Poll::Pending => return Ok((moved, Waits::Upstream)),
                    }
                }
                download::Step::Done if self.response.status == 101 => return Err(Stop::Upgraded),
                download::Step::Done => return Err(Stop::Complete),
            }
            moved = true;
        }
    }

    /// Writes of the response.
    fn write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let bytes = self.download.waiting();
        // Behind the head of a 101 the connection goes on.
        if self.client_keeps || self.response.status == 101 || !self.download.is_waiting_last() {
            return self.client.stream.poll_send(context, bytes);
        }
        self.client.poll_send_last(context, bytes)
    }

    /// Ends the exchange for a message that cannot be read.
    fn broken(&mut self, reason: Reason, fault: Fault) -> Stop {
        self.detail = Some(fault.word());
        Stop::Failed(reason)
    }
}
