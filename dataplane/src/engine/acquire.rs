//! How a request comes by a connection to its endpoint when the pool has none: a new one, or at the cap whatever is free next.

use std::{sync::Arc, time::Duration};

use super::{capacity::Grant, client::Client, connect::connect, exchange::Terms, stream::Upstream};
use crate::{error::Reason, live::EndpointLive, worker::Worker};

/// The header of the PROXY protocol that a connection begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Greeting(pub(crate) Box<[u8]>);

/// Which connections will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    /// Whether only one that served nothing yet: a pooled one turned out stale, and another one might, too.
    pub(crate) is_fresh: bool,
    /// The header of the PROXY protocol that it began with, if it is to have one. None other will do: it names another client.
    pub(crate) greeting: Option<&'a Greeting>,
}

/// Has a connection to `endpoint` that is not idle now. Waiting at the endpoint's cap and connecting may take `limit` each.
///
/// A client that goes away meanwhile ends the attempt. Dropping the future does, too.
///
/// # Errors
/// [`Reason::ConnectFailed`], [`Reason::ConnectTimeout`], [`Reason::ConnectionsExhausted`], [`Reason::ClientGone`].
pub(crate) async fn acquire(
    worker: &Worker,
    endpoint: &Arc<EndpointLive>,
    client: &mut Client,
    terms: &Terms<'_>,
    wanted: Wanted<'_>,
    limit: Duration,
) -> Result<Upstream, Reason> {
    tokio::select! {
        biased;
        obtained = obtain(worker, endpoint, wanted, limit) => obtained,
        () = client.gone(&worker.buffers, terms) => Err(Reason::ClientGone),
    }
}

/// As [`acquire`], whatever becomes of the client.
pub(crate) async fn obtain(
    worker: &Worker,
    endpoint: &Arc<EndpointLive>,
    wanted: Wanted<'_>,
    limit: Duration,
) -> Result<Upstream, Reason> {
    let capacity = &endpoint.capacity;
    let permit = match capacity.try_open() {
        Some(permit) => permit,
        None => {
            endpoint.metrics.cap_waits.inc();
            // What falls idle is most likely another client's, where connections are somebody's.
            let bell = (!wanted.is_fresh && wanted.greeting.is_none()).then(|| worker.pool.bell());
            match tokio::time::timeout(limit, capacity.wait(bell)).await {
                Ok(Grant::Open(permit)) => permit,
                // It was greeted before the upstream's setting changed.
                Ok(Grant::Use(upstream)) if upstream.greeting.is_some() => upstream.permit,
                Ok(Grant::Use(upstream)) => {
                    endpoint.metrics.reused.inc();
                    return Ok(upstream);
                }
                Err(_) => {
                    endpoint.metrics.cap_timeouts.inc();
                    return Err(Reason::ConnectionsExhausted);
                }
            }
        }
    };
    let upstream = connect(&endpoint.address, wanted.greeting, permit, limit).await?;
    endpoint.metrics.connections.inc();
    Ok(upstream)
}
