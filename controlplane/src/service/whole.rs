//! The whole configuration as one resource, and going back to an older one.

use std::sync::Arc;

use shared::{config::Config, protocol::Revision};

use super::{Committed, Intent, Refusal, Service, findings::Focus};
use crate::{
    model::{Row, assemble},
    store::StoreError,
};

impl Service {
    /// Replaces the whole configuration, all of it or nothing.
    pub(crate) async fn replace_config(
        self: &Arc<Self>,
        intent: Intent,
        config: Config,
    ) -> Result<Committed<()>, Refusal> {
        self.replace_whole(intent, "replace the configuration".to_owned(), config).await
    }

    /// Commits the configuration of an older revision as a new one.
    pub(crate) async fn roll_back(
        self: &Arc<Self>,
        intent: Intent,
        revision: Revision,
    ) -> Result<Committed<()>, Refusal> {
        let (_, config) = self.revision(revision).await?;
        self.replace_whole(intent, format!("roll back to revision {revision}"), config).await
    }

    async fn replace_whole(
        self: &Arc<Self>,
        intent: Intent,
        summary: String,
        new: Config,
    ) -> Result<Committed<()>, Refusal> {
        let condition = intent.condition.clone();
        self.commit(intent, summary, Focus::Whole, move |current, config| {
            condition.check(Some(current.revision))?;
            *config = new;
            Ok(())
        })
        .await
    }
}

/// Rows as a configuration; a row that does not fit is the store's fault.
pub(super) fn from_rows(rows: &[Row]) -> Result<Config, StoreError> {
    assemble(rows).map_err(|error| StoreError::Content(error.to_string()))
}
