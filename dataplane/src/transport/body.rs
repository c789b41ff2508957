use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{error::Reason, record::AccessRecord};

/// The body of a response as it comes from a backend.
pub(crate) type ResponseBody = Incoming;

/// The body of a request on its way to a backend.
pub(crate) enum RequestBody {
    /// None.
    Empty,
    /// Streamed from the client; the counter takes its bytes.
    Streamed(Incoming, Rc<Cell<u64>>),
}

impl RequestBody {
    /// The body `incoming`, its bytes counted in `counter`.
    pub(crate) fn new(incoming: Incoming, counter: Rc<Cell<u64>>) -> Self {
        if incoming.is_end_stream() { Self::Empty } else { Self::Streamed(incoming, counter) }
    }

    /// Whether the request has no body.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Streamed(incoming, counter) => {
                let frame = ready!(Pin::new(incoming).poll_frame(context));
                if let Some(Ok(frame)) = &frame
                    && let Some(data) = frame.data_ref()
                {
                    counter.set(counter.get() + data.len() as u64);
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streamed(incoming, _) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streamed(incoming, _) => incoming.size_hint(),
        }
    }
}

/// The body of an answer on its way to the client. The request's record ends with it.
pub(crate) struct AnswerBody {
    source: Source,
    record: AccessRecord,
    /// Whether the last byte was handed over, or there is none.
    complete: bool,
}

enum Source {
    Generated(Option<Bytes>),
    Streamed(ResponseBody),
}

impl AnswerBody {
    /// A body that the proxy made itself.
    pub(crate) fn generated(bytes: Bytes, record: AccessRecord) -> Self {
        Self { source: Source::Generated(Some(bytes)), record, complete: true }
    }

    /// A backend's body.
    pub(crate) fn streamed(body: ResponseBody, record: AccessRecord) -> Self {
        let complete = body.is_end_stream();
        Self { source: Source::Streamed(body), record, complete }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = match &mut self.source {
            Source::Generated(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Source::Streamed(body) => ready!(Pin::new(body).poll_frame(context)),
        };
        match &frame {
            Some(Ok(frame)) => {
                self.record.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64);
                self.complete = self.complete || self.is_end_stream();
            }
            Some(Err(_)) => {
                self.record.aborted(Reason::UpstreamReset);
                self.complete = true;
            }
            None => self.complete = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Generated(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Source::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Generated(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Streamed(body) => body.size_hint(),
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if !self.complete {
            self.record.aborted(Reason::ClientGone);
        }
    }
}
