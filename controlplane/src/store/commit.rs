use shared::{
    protocol::{BodyHash, Revision, StoreId},
    value::Timestamp,
};
use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

use super::{Store, StoreError};
use crate::model::Change;

/// Rows in one INSERT: far below SQLite's 32,766 variables, and one hand-over to its thread instead of hundreds.
const BATCH: usize = 500;

/// One revision to be written.
pub(crate) struct NewRevision<'a> {
    /// The database that it is meant for.
    pub(crate) store: StoreId,
    /// The hash of the revision before it; none for the first.
    pub(crate) after: Option<BodyHash>,
    pub(crate) number: Revision,
    pub(crate) created_at: Timestamp,
    pub(crate) actor: &'a str,
    pub(crate) summary: &'a str,
    pub(crate) hash: BodyHash,
    pub(crate) changes: &'a [Change],
}

impl Store {
    /// Writes a revision: all of it or nothing.
    ///
    /// # Errors
    /// [`StoreError::Diverged`] when the newest stored revision is not the one before this one, or this is another database.
    pub(crate) async fn commit(&self, revision: &NewRevision<'_>) -> Result<(), StoreError> {
        // Microseconds, and without it a revision could go into a file that nobody finds again.
        self.file.check_place()?;
        let mut connection = self.write.acquire().await?;
        let result = transaction(&mut connection, revision).await;
        if !matches!(result, Ok(()) | Err(StoreError::Diverged { .. } | StoreError::Locked(_))) {
            // On a full disk SQLite rolls back by itself, and the driver then takes the connection for one that is inside a
            // transaction for ever: a new one costs a millisecond.
            connection.close_on_drop();
        }
        result
    }
}

async fn transaction(connection: &mut SqliteConnection, revision: &NewRevision<'_>) -> Result<(), StoreError> {
    // IMMEDIATE: a transaction that reads first could not become a writer once another process has written.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    write(&mut transaction, revision).await?;
    transaction.commit().await?;
    Ok(())
}

async fn write(connection: &mut SqliteConnection, revision: &NewRevision<'_>) -> Result<(), StoreError> {
    let number = revision.number.0.cast_signed();
    follows(connection, revision).await?;
    sqlx::query("INSERT INTO revisions (number, created_at, actor, summary, body_hash) VALUES ($1, $2, $3, $4, $5)")
        .bind(number)
        .bind(revision.created_at.as_millis())
        .bind(revision.actor)
        .bind(revision.summary)
        .bind(revision.hash.to_string())
        .execute(&mut *connection)
        .await?;
    for change in revision.changes.iter().filter(|change| change.before.is_some()) {
        sqlx::query("UPDATE resources SET removed_in = $1 WHERE kind = $2 AND name = $3 AND removed_in IS NULL")
            .bind(number)
            .bind(change.key.kind.as_str())
            .bind(&change.key.name)
            .execute(&mut *connection)
            .await?;
    }
    insert_resources(connection, number, revision.changes).await?;
    insert_audit(connection, revision).await
}

/// Refuses a revision that is not the next one of this very database: a backup may have been restored over it.
async fn follows(connection: &mut SqliteConnection, revision: &NewRevision<'_>) -> Result<(), StoreError> {
    let id: Option<String> =
        sqlx::query_scalar("SELECT value FROM meta WHERE key = 'store_id'").fetch_optional(&mut *connection).await?;
    let newest: Option<(i64, String)> =
        sqlx::query_as("SELECT number, body_hash FROM revisions ORDER BY number DESC LIMIT 1")
            .fetch_optional(&mut *connection)
            .await?;
    let (stored, hash) = newest.map_or((0, None), |(number, hash)| (number.cast_unsigned(), Some(hash)));
    let follows = stored + 1 == revision.number.0 && hash == revision.after.map(|hash| hash.to_string());
    if follows && id == Some(revision.store.to_string()) { Ok(()) } else { Err(StoreError::Diverged { stored }) }
}

async fn insert_resources(
    connection: &mut SqliteConnection,
    number: i64,
    changes: &[Change],
) -> Result<(), StoreError> {
    let rows: Vec<(&Change, &String)> =
        changes.iter().filter_map(|change| Some((change, change.after.as_ref()?))).collect();
    for batch in rows.chunks(BATCH) {
        let mut query: QueryBuilder<Sqlite> =
            QueryBuilder::new("INSERT INTO resources (kind, name, body, created_in) ");
        query.push_values(batch, |mut row, (change, body)| {
            row.push_bind(change.key.kind.as_str())
                .push_bind(change.key.name.as_str())
                .push_bind(body.as_str())
                .push_bind(number);
        });
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

async fn insert_audit(connection: &mut SqliteConnection, revision: &NewRevision<'_>) -> Result<(), StoreError> {
    let last: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM audit").fetch_one(&mut *connection).await?;
    let audited = revision.changes.iter().filter_map(|change| Some((change, change.action()?)));
    let rows: Vec<_> = (last + 1..).zip(audited).collect();
    for batch in rows.chunks(BATCH) {
        let mut query: QueryBuilder<Sqlite> =
            QueryBuilder::new("INSERT INTO audit (id, revision, at, actor, kind, name, action, before, after) ");
        query.push_values(batch, |mut row, (id, (change, action))| {
            row.push_bind(*id)
                .push_bind(revision.number.0.cast_signed())
                .push_bind(revision.created_at.as_millis())
                .push_bind(revision.actor)
                .push_bind(change.key.kind.as_str())
                .push_bind(change.key.name.as_str())
                .push_bind(action.as_str())
                .push_bind(change.before.as_deref())
                .push_bind(change.after.as_deref());
        });
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}
