use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::connect::connect;
use crate::{
    error::Reason,
    head::{RequestHead, ResponseHead},
    live::EndpointLive,
    record::AccessRecord,
    transport::{self, RequestBody, RequestSender, ResponseBody, SendFault},
    worker::Worker,
};

/// How long the backend may take to its first response byte, counted from the last byte of the request that moved.
const FIRST_BYTE: Duration = Duration::from_secs(60);

/// Sends one request to `endpoint` and waits for the head of its response.
///
/// A pooled connection may have been closed by the backend meanwhile: then the request is replayed once on a fresh connection,
/// if nothing of it was written, or if it has no body and may be delivered twice.
pub(crate) async fn send(
    worker: &Rc<Worker>,
    endpoint: &Arc<EndpointLive>,
    head: &RequestHead,
    host: &str,
    mut body: RequestBody,
    record: &mut AccessRecord,
) -> Result<(ResponseHead, ResponseBody), Reason> {
    record.tries_endpoint(endpoint);
    let replayable = body.is_empty() && head.is_idempotent();
    if let Some(mut pooled) = worker.pool.take(endpoint) {
        match deliver(&mut pooled, head, host, body, &record.bytes_in).await {
            Ok(response) => return Ok(accepted(worker, endpoint, pooled, response)),
            Err(SendFault { unsent: Some(unsent), .. }) => body = unsent,
            Err(SendFault { reason: Reason::UpstreamReset, .. }) if replayable => body = RequestBody::Empty,
            Err(fault) => return Err(counted(endpoint, fault.reason)),
        }
    }
    let mut fresh = connect(&endpoint.address).await.map_err(|reason| counted(endpoint, reason))?;
    endpoint.metrics.connections.inc();
    match deliver(&mut fresh, head, host, body, &record.bytes_in).await {
        Ok(response) => Ok(accepted(worker, endpoint, fresh, response)),
        Err(fault) => Err(counted(endpoint, fault.reason)),
    }
}

/// Sends the request on one connection, watched by the first-byte time-out.
async fn deliver(
    sender: &mut RequestSender,
    head: &RequestHead,
    host: &str,
    body: RequestBody,
    moved: &Cell<u64>,
) -> Result<(ResponseHead, ResponseBody), SendFault> {
    let response = transport::exchange(sender, head, host, body);
    tokio::pin!(response);
    let mut seen = moved.get();
    let mut deadline = Instant::now() + FIRST_BYTE;
    loop {
        tokio::select! {
            biased;
            response = &mut response => return response,
            () = sleep_until(deadline) => {
                if moved.get() == seen {
                    return Err(SendFault { reason: Reason::UpstreamTimeout, unsent: None });
                }
                seen = moved.get();
                deadline = Instant::now() + FIRST_BYTE;
            }
        }
    }
}

/// Puts the connection back into the pool once the response's body has been read.
fn accepted(
    worker: &Rc<Worker>,
    endpoint: &Arc<EndpointLive>,
    mut sender: RequestSender,
    response: (ResponseHead, ResponseBody),
) -> (ResponseHead, ResponseBody) {
    let (worker, endpoint) = (Rc::clone(worker), Arc::clone(endpoint));
    tokio::task::spawn_local(async move {
        if sender.ready().await.is_ok() {
            worker.pool.put(endpoint, sender);
        }
    });
    response
}

fn counted(endpoint: &EndpointLive, reason: Reason) -> Reason {
    match reason {
        Reason::ConnectFailed | Reason::ConnectTimeout => endpoint.metrics.connect_failures.inc(),
        Reason::UpstreamTimeout => endpoint.metrics.timeouts.inc(),
        _ => endpoint.metrics.resets.inc(),
    };
    reason
}
