//! Two connections that speak another protocol now: bytes go both ways as they are.

use tokio::io::{AsyncWriteExt, copy_bidirectional};

use super::{client::Client, stream::Upstream};

/// Copies both ways until both sides have ended; `rest` is what the backend sent already. Answers the bytes of each way, up and
/// down.
pub(crate) async fn run(client: &mut Client, upstream: &mut Upstream, rest: &[u8]) -> (u64, u64) {
    let ahead = client.input.bytes().len();
    let flushed = async {
        upstream.stream.write_all(client.input.bytes()).await?;
        client.stream.write_all(rest).await
    };
    if flushed.await.is_err() {
        return (0, 0);
    }
    client.input.consume(ahead);
    let (up, down) = copy_bidirectional(&mut client.stream, &mut upstream.stream).await.unwrap_or_default();
    (up + ahead as u64, down + rest.len() as u64)
}
