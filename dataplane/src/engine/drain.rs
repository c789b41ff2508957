//! The rest of a response that nobody wants, because its request is tried again: read, if it is little, so that the connection can
//! take another request.

use std::{rc::Rc, sync::Arc, time::Duration};

use http1::{ChunkLimits, ChunkedDecoder, LengthDecoder, Part, ResponseBody, ResponseHead};
use tokio::{io::AsyncReadExt, time::timeout};

use super::{pool::retire, stream::Upstream};
use crate::{live::EndpointLive, worker::Worker};

/// How much is read, and for how long: a new connection costs less than more of either.
const WORTH: (usize, Duration) = (64 << 10, Duration::from_secs(1));

enum Framing {
    Length(LengthDecoder),
    Chunked(Box<ChunkedDecoder>),
}

/// Reads the body behind `response`, of which `rest` was read already, and keeps the connection; or closes it.
pub(crate) async fn drain(
    worker: Rc<Worker>,
    endpoint: Arc<EndpointLive>,
    mut upstream: Box<Upstream>,
    response: Box<ResponseHead>,
    rest: Vec<u8>,
) {
    let framing = match response.body {
        ResponseBody::None => Some(Framing::Length(LengthDecoder::new(0))),
        ResponseBody::Length(length) if length <= WORTH.0 as u64 => Some(Framing::Length(LengthDecoder::new(length))),
        ResponseBody::Chunked => Some(Framing::Chunked(Box::new(ChunkedDecoder::new(ChunkLimits::default())))),
        ResponseBody::Length(_) | ResponseBody::UntilClose => None,
    };
    let is_clean = match framing {
        Some(framing) => timeout(WORTH.1, read(&mut upstream, framing, rest)).await.unwrap_or(false),
        None => false,
    };
    if is_clean {
        worker.pool.put(&endpoint, upstream, &response, worker.clock.now());
    } else {
        retire(&endpoint, upstream);
    }
}

/// Reads up to the end of the body. Whether it came soon enough, and nothing behind it.
async fn read(upstream: &mut Upstream, mut framing: Framing, mut bytes: Vec<u8>) -> bool {
    let mut at = 0;
    loop {
        let is_done = match &mut framing {
            Framing::Length(decoder) => {
                at += decoder.take(bytes.len() - at);
                decoder.is_done()
            }
            Framing::Chunked(decoder) => loop {
                match decoder.data(&bytes, &mut at) {
                    Ok(Part::Bytes(_)) => {}
                    Ok(Part::More) => break false,
                    Ok(Part::End) => break true,
                    Err(_) => return false,
                }
            },
        };
        if is_done {
            return at == bytes.len();
        }
        let start = bytes.len();
        if start >= WORTH.0 {
            return false;
        }
        bytes.resize(WORTH.0, 0);
        let read = upstream.stream.read(&mut bytes[start..]).await;
        let Ok(count @ 1..) = read else { return false };
        upstream.read_all_room = count == bytes.len() - start;
        bytes.truncate(start + count);
    }
}
