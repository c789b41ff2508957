//! Publishing: the control plane's side of the snapshot protocol.
//!
//! A [`Publisher`] holds the newest snapshot and material and hands them to every data plane that dials the control
//! socket. The life of a connection is in `connection`, who is known and what it last said in `registry`, which data
//! planes are not to be overwritten in `foreign`.

mod bounds;
mod check;
mod connection;
mod data_plane;
mod entry;
mod events;
mod foreign;
mod live;
mod publication;
mod registry;
mod socket;
mod status;
mod wait;

use std::{
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use check::{CheckFault, Reset};
pub use data_plane::{DataPlane, DataPlaneState, Rejection};
pub use events::{Event, Occurrence};
pub(crate) use events::{EventLog, Missed, Reader};
pub use registry::AdoptError;
use shared::{
    config::Config,
    protocol::{BodyHash, InstanceId, Material, Revision, Snapshot},
    value::{Name, Timestamp},
};
pub use status::{DataPlaneLive, UpstreamLive};
pub use wait::NotApplied;

use publication::Publication;
use registry::Registry;
use socket::ControlSocket;

/// What the store knows of older revisions.
pub trait History: Send + Sync {
    /// The hash of the body that was stored for `revision`; none if it is not known (any more).
    ///
    /// # Errors
    /// The store cannot be read now.
    fn body_hash(&self, revision: Revision) -> BodyHashFuture<'_>;
}

/// What [`History::body_hash`] answers.
pub type BodyHashFuture<'a> = Pin<Box<dyn Future<Output = Result<Option<BodyHash>, Unreadable>> + Send + 'a>>;

/// The store cannot be read; its log says why.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the store cannot be read")]
pub struct Unreadable;

/// Hands snapshots and material to the data planes and knows what became of them. Clones share one state.
#[derive(Clone)]
pub struct Publisher {
    state: Arc<State>,
}

/// What all connections share.
struct State {
    history: Arc<dyn History>,
    limits: Limits,
    newest: watch::Sender<Arc<Publication>>,
    registry: Arc<Registry>,
    events: Arc<EventLog>,
    checks: AtomicU64,
}

/// What a data plane may cost.
#[derive(Clone, Copy)]
struct Limits {
    /// From accept to hello.
    hello: Duration,
    /// A write without any progress.
    write: Duration,
    /// All answers to one check.
    check: Duration,
    /// Open connections, those without a hello included.
    connections: usize,
    /// Data planes that are remembered, the connected ones included.
    remembered: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(5),
            write: Duration::from_secs(10),
            check: Duration::from_secs(3),
            connections: 64,
            remembered: 256,
        }
    }
}

impl Publisher {
    /// A publisher of `snapshot` and `material`; nobody is connected before [`Self::serve`].
    ///
    /// `history` answers the stored body hash of an older revision, for recognising foreign data planes.
    pub fn new(snapshot: Arc<Snapshot>, material: Material, history: Arc<dyn History>) -> Self {
        Self::with_limits(snapshot, material, history, Limits::default())
    }

    fn with_limits(snapshot: Arc<Snapshot>, material: Material, history: Arc<dyn History>, limits: Limits) -> Self {
        let newest = watch::Sender::new(Arc::new(Publication::new(snapshot, material)));
        let events = Arc::new(EventLog::new());
        let registry = Arc::new(Registry::new(limits.remembered, Arc::clone(&events)));
        Self { state: Arc::new(State { history, limits, newest, registry, events, checks: AtomicU64::new(0) }) }
    }

    /// Makes `snapshot` and `material` the newest and wakes every connection. Never blocks; the latest wins, none is queued.
    ///
    /// A revision below the published one comes from a writer that was overtaken, and is left out.
    pub fn publish(&self, snapshot: Arc<Snapshot>, material: Material) {
        let revision = snapshot.revision;
        let publication = Arc::new(Publication::new(snapshot, material));
        // The event goes first: no data plane can have applied it before.
        if revision > self.state.newest.borrow().snapshot.revision {
            self.state.events.add(Timestamp::now(), None, Occurrence::RevisionCommitted { revision });
        }
        self.state.newest.send_if_modified(|newest| {
            let overtaken = revision < newest.snapshot.revision;
            if !overtaken {
                *newest = publication;
            }
            !overtaken
        });
    }

    /// Asks every connected data plane that is not foreign whether `config` would apply there, and waits at most 3 s.
    ///
    /// Empty: it would apply everywhere, nobody is connected, or nobody answered (which is logged).
    pub async fn check(&self, config: &Config) -> Vec<CheckFault> {
        check::ask(&self.state, config).await
    }

    /// Has every connected data plane that is not foreign reset the breakers of a backend, and waits at most 3 s; in order of their ids.
    pub async fn reset_breaker(&self, upstream: &Name, backend: &Name) -> Vec<Reset> {
        check::reset_breaker(&self.state, upstream, backend).await
    }

    /// Returns when every connected data plane has applied `revision` or a later one, and all its listeners accept.
    ///
    /// # Errors
    /// At once when no data plane is connected, one rejected the revision, or one is foreign; after `limit` otherwise. A
    /// data plane that disconnects during the wait counts as missing until it is back.
    pub async fn wait_applied(&self, revision: Revision, limit: Duration) -> Result<(), NotApplied> {
        wait::applied(&self.state.registry, revision, limit).await
    }

    /// All data planes that are connected, and those of the 256 seen last that are not; in order of their ids.
    pub fn data_planes(&self) -> Vec<DataPlane> {
        self.state.registry.data_planes()
    }

    /// What the data planes reported of the upstream `name`, in order of their ids.
    pub fn live(&self, name: &Name) -> UpstreamLive {
        UpstreamLive { upstream: name.clone(), data_planes: self.state.registry.live(name) }
    }

    /// What happened lately.
    pub(crate) fn events(&self) -> &Arc<EventLog> {
        &self.state.events
    }

    /// Lets the foreign data plane `instance` be overwritten: it is sent the newest snapshot as soon as it is connected.
    ///
    /// The permission holds for the configuration that it had when it was given.
    ///
    /// # Errors
    /// No such data plane, or it is not foreign.
    pub fn adopt(&self, instance: InstanceId) -> Result<(), AdoptError> {
        self.state.registry.adopt(instance)
    }

    /// How many data planes are connected.
    pub fn connected(&self) -> usize {
        self.state.registry.connected().len()
    }

    /// Listens on the Unix socket `socket` until `shutdown`; then closes all connections and removes the socket file.
    ///
    /// # Errors
    /// The socket cannot be bound: another process listens there, the path is no socket, or the system refuses.
    pub async fn serve(self, socket: PathBuf, shutdown: CancellationToken) -> std::io::Result<()> {
        self.bind(socket).await?.serve(shutdown).await;
        Ok(())
    }

    /// Listens on the Unix socket `socket`; nobody is accepted before [`Bound::serve`].
    ///
    /// # Errors
    /// As [`Self::serve`].
    pub async fn bind(self, socket: PathBuf) -> std::io::Result<Bound> {
        Ok(Bound { listener: ControlSocket::bind(socket).await?, state: self.state })
    }
}

/// A publisher whose control socket is bound.
pub struct Bound {
    listener: ControlSocket,
    state: Arc<State>,
}

impl Bound {
    /// Accepts data planes until `shutdown`; then closes all connections and removes the socket file.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Self { listener, state } = self;
        // Aborts its tasks when it is dropped, so that no connection outlives this call.
        let mut connections = JoinSet::new();
        loop {
            let stream = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        error!(%error, "a control connection ended by a defect");
                    }
                    continue;
                }
                stream = listener.accept() => stream,
            };
            if connections.len() >= state.limits.connections {
                warn!(limit = state.limits.connections, "refused a control connection: too many are open");
                continue;
            }
            connections.spawn(shutdown.clone().run_until_cancelled_owned(connection::run(state.clone(), stream)));
        }
        while connections.join_next().await.is_some() {}
        info!("the control socket is closed");
    }
}

#[cfg(test)]
mod tests;
