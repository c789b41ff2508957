//! Decisions: what a write does to the configuration, and in which order it becomes durable, current and published.
//!
//! Start reading at [`Service::commit`], the one way in which the configuration changes. No HTTP and no SQL here.

pub(crate) mod collection;
mod commit;
mod condition;
mod current;
mod findings;
pub(crate) mod history;
mod live;
mod material;
mod merge_patch;
mod refusal;
mod resource;
pub(crate) mod singleton;
mod startup;
pub(crate) mod tokens;
mod whole;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use shared::{
    protocol::{InstanceId, Revision, StoreId},
    seal::SealKey,
};
use tokio_util::sync::CancellationToken;

pub(crate) use collection::{Target, Written};
pub(crate) use commit::{Committed, Intent};
pub(crate) use condition::{Condition, Tags};
pub(crate) use current::Current;
pub(crate) use refusal::Refusal;
pub(crate) use resource::{Collection, Singleton};
pub(crate) use startup::{Seed, Started, start};

use crate::{
    metrics::Metrics,
    publish::{AdoptError, DataPlane, EventLog, Publisher},
    store::Store,
};

/// The configuration and all that may happen to it.
pub(crate) struct Service {
    store: Store,
    store_id: StoreId,
    secret_key: SealKey,
    publisher: Publisher,
    metrics: Arc<Metrics>,
    /// Held from reading the current configuration to publishing the next: one writer at a time.
    writer: tokio::sync::Mutex<()>,
    current: RwLock<Arc<Current>>,
    /// The database is no longer the one that this process began with; nothing is written any more.
    replaced: CancellationToken,
}

impl Service {
    /// Brings a started store and its publisher together.
    pub(crate) fn new(started: Started, publisher: Publisher, metrics: Arc<Metrics>) -> Self {
        metrics.committed(started.current.revision);
        Self {
            store: started.store,
            store_id: started.store_id,
            secret_key: started.secret_key,
            publisher,
            metrics,
            writer: tokio::sync::Mutex::new(()),
            current: RwLock::new(started.current),
            replaced: CancellationToken::new(),
        }
    }

    /// The newest committed configuration.
    pub(crate) fn current(&self) -> Arc<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace_current(&self, current: Arc<Current>) {
        self.metrics.committed(current.revision);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
    }

    /// Waits until each connected data plane acts on `revision` or a later one.
    pub(crate) async fn wait(&self, revision: Revision, limit: Duration) -> Result<(), Refusal> {
        self.publisher
            .wait_applied(revision, limit)
            .await
            .map_err(|fault| Refusal::NotApplied { revision, reasons: fault.reasons })
    }

    /// The data planes that are or were connected.
    pub(crate) fn data_planes(&self) -> Vec<DataPlane> {
        self.publisher.data_planes()
    }

    /// What happened lately.
    pub(crate) fn events(&self) -> &Arc<EventLog> {
        self.publisher.events()
    }

    /// How many data planes are connected now.
    pub(crate) fn connected_data_planes(&self) -> usize {
        self.publisher.connected()
    }

    /// Lets a foreign data plane be overwritten with this store's configuration.
    pub(crate) fn adopt(&self, instance: InstanceId) -> Result<(), Refusal> {
        self.publisher.adopt(instance).map_err(|error| match error {
            AdoptError::Unknown => Refusal::NotFound(format!("no data plane `{instance}` is connected")),
            AdoptError::NotForeign => Refusal::Conflict(format!(
                "data plane `{instance}` is not foreign: it follows this control plane without being adopted"
            )),
        })
    }

    /// Returns when the database turned out to be another one than this process began with.
    ///
    /// The process must then end: tokens, configuration and what is known of the data planes are of a store that is gone.
    pub(crate) async fn replaced(&self) {
        self.replaced.cancelled().await;
    }

    /// Whether the store can be read.
    pub(crate) async fn ready(&self) -> Result<(), Refusal> {
        Ok(self.store.ping().await?)
    }
}

/// Runs `work` to its end, whatever becomes of the caller: a client that hangs up must not leave memory behind the store.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.unwrap_or_else(|fault| {
        tracing::error!(%fault, "a write failed");
        Err(Refusal::Internal)
    })
}
