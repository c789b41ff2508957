use serde::Serialize;
use shared::{
    protocol::{BodyHash, Revision},
    value::Timestamp,
};

use super::{Store, StoreError};

/// A committed configuration, without its content.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct RevisionInfo {
    /// Its number, counted up from 1.
    pub(crate) number: Revision,
    /// When it was committed.
    pub(crate) created_at: Timestamp,
    /// The name of the token that committed it, or `startup`.
    pub(crate) actor: String,
    /// What the write was.
    pub(crate) summary: String,
    /// SHA-256 of the configuration as it was published.
    pub(crate) hash: BodyHash,
}

type Columns = (i64, i64, String, String, String);

impl Store {
    /// The newest revision; none in an empty database.
    pub(crate) async fn newest_revision(&self) -> Result<Option<RevisionInfo>, StoreError> {
        let mut page = self.revisions(None, 1).await?;
        Ok(page.pop())
    }

    /// At most `limit` revisions, the newest first, all older than `before`.
    pub(crate) async fn revisions(&self, before: Option<u64>, limit: usize) -> Result<Vec<RevisionInfo>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT number, created_at, actor, summary, body_hash FROM revisions
             WHERE number < $1 ORDER BY number DESC LIMIT $2",
        )
        .bind(before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX)))
        .bind(limit as i64)
        .fetch_all(&self.read)
        .await?;
        rows.into_iter().map(info).collect()
    }

    /// One revision.
    pub(crate) async fn revision(&self, number: Revision) -> Result<Option<RevisionInfo>, StoreError> {
        let row: Option<Columns> =
            sqlx::query_as("SELECT number, created_at, actor, summary, body_hash FROM revisions WHERE number = $1")
                // Above the column's range there is no revision: -1 is none either.
                .bind(i64::try_from(number.0).unwrap_or(-1))
                .fetch_optional(&self.read)
                .await?;
        row.map(info).transpose()
    }
}

fn info((number, created_at, actor, summary, hash): Columns) -> Result<RevisionInfo, StoreError> {
    let bad = |what: &str| StoreError::Content(format!("the database's revision {number} has no readable {what}"));
    Ok(RevisionInfo {
        number: Revision(number.cast_unsigned()),
        created_at: Timestamp::from_millis(created_at).ok_or_else(|| bad("time"))?,
        actor,
        summary,
        hash: hash.parse().map_err(|_| bad("hash"))?,
    })
}
