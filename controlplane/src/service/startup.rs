//! From a database to a current configuration: loaded, or for an empty one made.

use std::sync::Arc;

use shared::{
    Findings,
    config::Config,
    protocol::{Material, Revision, Snapshot, StoreId},
    seal::SealKey,
    value::Timestamp,
};

use super::{Current, commit::validate, material, whole::from_rows};
use crate::{
    model::{Row, diff},
    store::{NewRevision, Store, StoreError},
};

/// The configuration that an empty store begins with.
pub(crate) struct Seed {
    pub(crate) config: Config,
    /// The summary of revision 1.
    pub(crate) summary: String,
    /// Whether a store that is not empty is an error.
    pub(crate) only_empty: bool,
}

/// A store that is ready, and what is to be published first.
pub(crate) struct Started {
    pub(super) store: Store,
    pub(super) store_id: StoreId,
    pub(super) secret_key: SealKey,
    pub(crate) current: Arc<Current>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) material: Material,
}

/// Why the control plane does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// `--config` with a store that has a configuration.
    #[error(
        "the store holds revision {0} already, and --config only fills an empty one: start without --config, then run `tidegate apply -f FILE`"
    )]
    Filled(Revision),
    /// The configuration of an empty store is not valid.
    #[error("the configuration is not valid: {0}")]
    Invalid(Findings),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Loads the newest revision; an empty store gets `seed` as revision 1.
pub(crate) async fn start(store: Store, secret_key: SealKey, seed: Seed) -> Result<Started, StartError> {
    let store_id = store.id().await?;
    let current = match load(&store).await? {
        Some(current) if seed.only_empty => return Err(StartError::Filled(current.revision)),
        Some(current) => current,
        None => plant(&store, store_id, seed).await?,
    };
    let swept = store.sweep_secrets().await?;
    if swept > 0 {
        tracing::info!(secrets = swept, "removed secrets that no revision names");
    }
    let snapshot = Arc::new(Snapshot::new(store_id, current.revision, &current.config));
    let material = material::of(&store, &secret_key, &snapshot).await?;
    Ok(Started { store, store_id, secret_key, current: Arc::new(current), snapshot, material })
}

/// The newest revision; none in an empty store.
pub(super) async fn load(store: &Store) -> Result<Option<Current>, StoreError> {
    let Some(newest) = store.newest_revision().await? else { return Ok(None) };
    let rows = store.current_rows().await?;
    Ok(Some(Current::new(newest.number, from_rows(&rows)?, newest.hash, &rows)))
}

/// Commits revision 1.
async fn plant(store: &Store, store_id: StoreId, seed: Seed) -> Result<Current, StartError> {
    let mut config = seed.config;
    let findings = validate(&config, None);
    if findings.has_errors() {
        return Err(StartError::Invalid(findings));
    }
    for warning in findings {
        tracing::warn!(pointer = %warning.pointer, "{}", warning.message);
    }
    config.canonicalize();
    let changes = diff(&Config::default(), &config);
    let number = Revision(1);
    let hash = Snapshot::new(store_id, number, &config).hash;
    let (actor, summary) = ("startup", seed.summary.as_str());
    store
        .commit(&NewRevision {
            store: store_id,
            after: None,
            number,
            created_at: Timestamp::now(),
            actor,
            summary,
            hash,
            changes: &changes,
        })
        .await?;
    tracing::info!(revision = 1, "committed: {summary}");
    let rows: Vec<Row> = changes
        .into_iter()
        .filter_map(|change| Some(Row { key: change.key, body: change.after?, created_in: number.0 }))
        .collect();
    Ok(Current::new(number, config, hash, &rows))
}
