//! Two connections that speak another protocol now: bytes go both ways as they are.

use std::{
    cell::Cell,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional};

use super::{client::Client, stream::Upstream};
use crate::instant::Instant;

/// Copies both ways until both sides have ended, or nothing came for `idle`; `rest` is what the backend sent already. Answers
/// the bytes of each way, up and down.
pub(crate) async fn run(client: &mut Client, mut upstream: Box<Upstream>, rest: Vec<u8>, idle: Duration) -> (u64, u64) {
    let Client { stream, input, deadline, .. } = client;
    let (up, down, last) = (Cell::new(0), Cell::new(0), Cell::new(Instant::now()));
    let mut client = Watched { stream, read: &up, last: &last };
    let mut upstream = Watched { stream: &mut upstream.stream, read: &down, last: &last };
    up.set(input.bytes().len() as u64);
    down.set(rest.len() as u64);
    let mut copied = pin!(async {
        upstream.write_all(input.bytes()).await?;
        input.consume(input.bytes().len());
        client.write_all(&rest).await?;
        copy_bidirectional(&mut client, &mut upstream).await
    });
    deadline.arm(Instant::now(), idle);
    std::future::poll_fn(|context| {
        if copied.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if deadline.has_passed() {
            // It was armed when something last moved, or before: what has moved since counts.
            let now = Instant::now();
            let due = last.get() + idle;
            if due <= now {
                return Poll::Ready(());
            }
            deadline.arm(now, due - now);
        }
        Poll::Pending
    })
    .await;
    deadline.disarm();
    (up.get(), down.get())
}

/// A stream that notes what comes and when anything moves.
struct Watched<'a, S> {
    stream: &'a mut S,
    read: &'a Cell<u64>,
    last: &'a Cell<Instant>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut *self.stream).poll_read(context, buffer))?;
        self.read.set(self.read.get() + (buffer.filled().len() - before) as u64);
        self.last.set(Instant::now());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut *self.stream).poll_write(context, bytes))?;
        self.last.set(Instant::now());
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(context)
    }
}
