//! Memory of one request, used again for the next.

use http1::{RequestHead, ResponseHead};

use super::{download::Download, upload::Upload};
use crate::{cors::Grant, grpc::WebCall};

/// Scratch memory that a worker keeps at most: as many requests as a few HTTP/2 connections have under way.
pub(crate) const KEPT: usize = 512;

/// Bytes of a head that memory is kept for, from one request to the next.
const KEPT_HEAD: usize = 8 << 10;

/// What a request needs besides its buffers. An idle connection owns none.
#[derive(Default)]
pub(crate) struct Scratch {
    /// The request's head, as places in the client's input.
    pub(crate) request: RequestHead,
    /// The response's head, as places in the backend's buffer.
    pub(crate) response: ResponseHead,
    /// The head that goes to the backend, or a whole answer of our own.
    pub(crate) out: Vec<u8>,
    /// Lines for the response's head.
    pub(crate) appended: Vec<u8>,
    /// What the route's CORS policy says about the request, for an answer of our own.
    pub(crate) grant: Option<Grant>,
    /// The call of gRPC-Web that the request makes, where the route translates those.
    pub(crate) web_call: Option<Box<WebCall>>,
    /// The request's body on its way.
    pub(crate) upload: Upload,
    /// The response on its way.
    pub(crate) download: Download,
}

impl Scratch {
    /// Forgets the request, and gives back what no usual one needs, before it is kept for the next.
    pub(crate) fn shrink(&mut self) {
        let Self { out, appended, .. } = self;
        for head in [out, appended] {
            // What is in use is never given back.
            head.clear();
            head.shrink_to(KEPT_HEAD);
        }
        (self.grant, self.web_call) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_large_head_is_given_back_and_that_of_a_usual_one_kept() {
        let mut scratch = Scratch { out: vec![b'x'; 60 << 10], appended: vec![b'x'; 100], ..Scratch::default() };
        scratch.shrink();
        assert!(scratch.out.is_empty() && scratch.out.capacity() <= KEPT_HEAD, "{}", scratch.out.capacity());
        assert!(scratch.appended.is_empty() && scratch.appended.capacity() >= 100);
    }
}
