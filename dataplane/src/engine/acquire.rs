//! How a request comes by a connection to its endpoint when the pool has none: a new one, or at the cap whatever is free next.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{capacity::Grant, client::Client, connect::connect, stream::Upstream, terms::Terms};
use crate::{error::Reason, instant::Instant, live::EndpointLive, worker::Worker};

/// The header of the PROXY protocol that a connection begins with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Greeting(pub(crate) Box<[u8]>);

/// Which connections will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    /// Whether only one that served nothing yet: a pooled one turned out stale, and another one might, too.
    pub(crate) is_fresh: bool,
    /// The header of the PROXY protocol that it began with, if it is to have one. None other will do: it names another client.
    pub(crate) greeting: Option<&'a Greeting>,
    /// Whether the request may be sent again if the connection turns out closed; else the kernel is asked beforehand.
    pub(crate) is_repeatable: bool,
}

/// How long getting a connection may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Connecting, and waiting at the endpoint's cap unless its backend has a time of its own for that.
    pub(crate) each: Duration,
    /// When both must be over, and what is wrong if they are not.
    pub(crate) until: Option<(Instant, Reason)>,
}

impl Patience {
    /// How long what begins now may take.
    ///
    /// # Errors
    /// Nothing may begin any more.
    pub(crate) fn left(&self) -> Result<Duration, Reason> {
        self.left_of(self.each)
    }

    /// The same for what may take `most` by itself.
    pub(crate) fn left_of(&self, most: Duration) -> Result<Duration, Reason> {
        let Some((until, reason)) = self.until else { return Ok(most) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(reason) } else { Ok(most.min(left)) }
    }

    /// What is wrong with who waited at a cap in vain: a try whose own time is over has failed for want of a connection all the same.
    pub(crate) fn exhausted(&self) -> Reason {
        match self.blamed(Reason::ConnectionsExhausted) {
            Reason::TotalTimeout => Reason::TotalTimeout,
            _ => Reason::ConnectionsExhausted,
        }
    }

    /// What is wrong with what took too long by itself or for all of it: `reason` if it was the former.
    pub(crate) fn blamed(&self, reason: Reason) -> Reason {
        match self.until {
            Some((until, all)) if Instant::now() >= until => all,
            _ => reason,
        }
    }
}

/// Has a connection to `endpoint` that is not idle now.
///
/// A client that goes away meanwhile, of whose body at least `unread` bytes were not read yet, ends the attempt. Dropping the future does, too.
///
/// # Errors
/// [`Reason::ConnectFailed`], [`Reason::ConnectTimeout`], [`Reason::QueueFull`], [`Reason::ConnectionsExhausted`],
/// [`Reason::ClientGone`], and that of `patience`.
pub(crate) async fn acquire(
    worker: &Worker,
    endpoint: &Arc<EndpointLive>,
    client: &mut Client,
    terms: &Terms,
    unread: u64,
    wanted: Wanted<'_>,
    patience: Patience,
) -> Result<Box<Upstream>, Reason> {
    tokio::select! {
        biased;
        obtained = obtain(worker, endpoint, wanted, patience) => obtained,
        () = client.gone(&worker.buffers, terms.timeouts.half_close_grace.duration(), unread) => Err(Reason::ClientGone),
    }
}

/// As [`acquire`], whatever becomes of the client.
pub(crate) async fn obtain(
    worker: &Worker,
    endpoint: &Arc<EndpointLive>,
    wanted: Wanted<'_>,
    patience: Patience,
) -> Result<Box<Upstream>, Reason> {
    let capacity = &endpoint.capacity;
    let permit = match capacity.try_open() {
        Some(permit) => permit,
        None => {
            let Some(pending) = capacity.pend() else {
                endpoint.metrics.cap_refusals.inc();
                return Err(Reason::QueueFull);
            };
            endpoint.metrics.cap_waits.inc();
            // What falls idle is most likely another client's, where connections are somebody's.
            let takes_idle = !wanted.is_fresh && wanted.greeting.is_none();
            let time = patience.left_of(capacity.queue_timeout().unwrap_or(patience.each))?;
            let granted = timeout(time, capacity.wait(worker.pool.bell(), takes_idle)).await;
            drop(pending);
            match granted {
                Ok(Grant::Open(permit)) => permit,
                Ok(Grant::Use(mut upstream)) => {
                    // It may have been greeted before the upstream's setting changed, or been closed as it fell idle.
                    if upstream.greeting.is_none() && upstream.stands(wanted.is_repeatable) {
                        endpoint.metrics.reused.inc();
                        return Ok(Box::new(upstream));
                    }
                    // Its place is used at once. One that has ended is none for the backend any more; one that was greeted, or that sent
                    // out of turn, may be for the moment that its end takes to get there.
                    upstream.permit
                }
                Err(_) => {
                    endpoint.metrics.cap_timeouts.inc();
                    return Err(patience.exhausted());
                }
            }
        }
    };
    let connected = connect(&endpoint.address, wanted.greeting, permit, patience.left()?).await;
    let upstream = connected.map_err(|reason| match reason {
        Reason::ConnectTimeout => patience.blamed(reason),
        reason => reason,
    })?;
    endpoint.metrics.connections.inc();
    Ok(Box::new(upstream))
}
