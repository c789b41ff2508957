//! Publishing snapshots to data planes: the signatures only, for a control plane without any.

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use shared::{
    Findings,
    config::Config,
    protocol::{BodyHash, InstanceId, ListenerFault, Material, Revision, Snapshot},
};
use tokio_util::sync::CancellationToken;

/// Pushes snapshots.
#[derive(Clone)]
pub struct Publisher;

/// Hashes of older revisions.
pub trait History: Send + Sync {
    /// The hash of a revision's body.
    fn body_hash(&self, revision: Revision) -> Pin<Box<dyn Future<Output = Option<BodyHash>> + Send + '_>>;
}

/// Why a data plane would not take a configuration.
#[derive(Clone, Debug)]
pub struct CheckFault {
    /// Which data plane.
    pub instance: InstanceId,
    /// What it found.
    pub findings: Findings,
    /// What it could not bind.
    pub listeners: Vec<ListenerFault>,
}

/// A revision that does not act everywhere.
#[derive(Clone, Debug)]
pub struct NotApplied {
    /// Why.
    pub reasons: Vec<String>,
}

/// A data plane as operators see it.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct DataPlane {
    /// Which.
    pub id: InstanceId,
}

/// Why a data plane was not adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdoptError {
    /// No such data plane.
    Unknown,
    /// It needs none.
    NotForeign,
}

impl Publisher {
    /// Starts with a snapshot.
    pub fn new(_: Arc<Snapshot>, _: Material, _: Arc<dyn History>) -> Self {
        Self
    }

    /// Replaces the snapshot.
    pub fn publish(&self, _: Arc<Snapshot>, _: Material) {}

    /// Asks all data planes.
    pub async fn check(&self, _: &Config) -> Vec<CheckFault> {
        Vec::new()
    }

    /// Waits for all data planes.
    ///
    /// # Errors
    /// Not all applied it.
    pub async fn wait_applied(&self, _: Revision, _: Duration) -> Result<(), NotApplied> {
        Err(NotApplied { reasons: vec!["no data plane is connected".to_owned()] })
    }

    /// All data planes.
    pub fn data_planes(&self) -> Vec<DataPlane> {
        Vec::new()
    }

    /// Lets a foreign data plane be overwritten.
    ///
    /// # Errors
    /// Unknown, or not foreign.
    pub fn adopt(&self, _: InstanceId) -> Result<(), AdoptError> {
        Err(AdoptError::Unknown)
    }

    /// How many are connected.
    pub fn connected(&self) -> usize {
        0
    }

    /// Serves the control socket.
    ///
    /// # Errors
    /// It cannot be bound.
    pub async fn serve(self, _: PathBuf, shutdown: CancellationToken) -> std::io::Result<()> {
        shutdown.cancelled().await;
        Ok(())
    }
}
