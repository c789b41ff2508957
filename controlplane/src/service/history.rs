//! What was: revisions and audit.

use shared::{config::Config, protocol::Revision};

use super::{Refusal, Service, whole::from_rows};
use crate::{
    model::Page,
    publish::{BodyHashFuture, History, Unreadable},
    store::{AuditEntry, AuditFilter, RevisionInfo, Store},
};

impl Service {
    /// A page of revisions, the newest first, all older than `before`.
    pub(crate) async fn revisions(&self, before: Option<u64>, limit: usize) -> Result<Page<RevisionInfo>, Refusal> {
        let revisions = self.store.revisions(before, limit + 1).await?;
        Ok(Page::of(revisions, limit, |revision| revision.number.to_string()))
    }

    /// A revision without its content.
    pub(crate) async fn revision_info(&self, number: Revision) -> Result<RevisionInfo, Refusal> {
        let missing = || Refusal::NotFound(format!("there is no revision {number}"));
        self.store.revision(number).await?.ok_or_else(missing)
    }

    /// A revision and its whole configuration.
    pub(crate) async fn revision(&self, number: Revision) -> Result<(RevisionInfo, Config), Refusal> {
        let info = self.revision_info(number).await?;
        let config = from_rows(&self.store.rows_of(number).await?)?;
        Ok((info, config))
    }

    /// A page of audit entries, the newest first, all older than entry `before`.
    pub(crate) async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<AuditEntry>, Refusal> {
        let entries = self.store.audit(filter, before, limit + 1).await?;
        Ok(Page::of(entries, limit, |entry| entry.id.to_string()))
    }
}

impl History for Store {
    fn body_hash(&self, revision: Revision) -> BodyHashFuture<'_> {
        Box::pin(async move {
            match self.revision(revision).await {
                Ok(info) => Ok(info.map(|info| info.hash)),
                Err(error) => {
                    tracing::warn!(revision = revision.0, %error, "the hash of a revision cannot be read");
                    Err(Unreadable)
                }
            }
        })
    }
}
