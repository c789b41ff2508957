//! A client that goes away while nothing can be sent to it yet: its request waits for a connection.

use std::{future::poll_fn, task::Poll, time::Duration};

use futures_util::FutureExt;
use tokio::io::Interest;

use super::{buffers::Buffers, client::Client, stream::Stream};
use crate::instant::Instant;

/// How often a connection is looked at from which nothing can be read.
const LOOK: Duration = Duration::from_millis(100);

impl Client {
    /// Returns when the client has gone away. What it sends meanwhile is kept, as far as there is room. Cancel-safe.
    ///
    /// A reset counts at once. The end of what it sends counts at once if the body of its request is not whole; else it
    /// may be a half-close, and counts after `grace`. At least `unread` bytes of the body are still to come from it.
    pub(crate) async fn gone(&mut self, buffers: &Buffers, grace: Duration, unread: u64) {
        if self.stream.resume().is_err() {
            return;
        }
        if !self.has_ended && !self.reads_ahead(buffers).await {
            return;
        }
        if self.has_ended && unread > self.input.bytes().len() as u64 {
            return;
        }
        // Its end is behind what there is no room for, or was read already. The runtime knows all the same what the kernel said
        // of the connection last, and asking it takes no system call.
        let mut ended = self.has_ended.then(Instant::now);
        loop {
            let Stream::Tcp(stream) = &self.stream else { return };
            let readiness = stream.ready(Interest::READABLE | Interest::WRITABLE).now_or_never();
            if let Some(Ok(readiness)) = readiness {
                // Both directions: a reset. It stands for what we could write, too.
                if readiness.is_write_closed() {
                    return;
                }
                if readiness.is_read_closed() {
                    ended.get_or_insert_with(Instant::now);
                }
            }
            if ended.is_some_and(|ended| ended.elapsed() >= grace) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Reads until the client has ended or there is no room. False if the connection was reset.
    async fn reads_ahead(&mut self, buffers: &Buffers) -> bool {
        poll_fn(|context| {
            loop {
                if self.input.is_full() {
                    return Poll::Ready(true);
                }
                match self.poll_read(buffers, context) {
                    Poll::Ready(Ok(0)) => {
                        self.has_ended = true;
                        return Poll::Ready(true);
                    }
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }
}
