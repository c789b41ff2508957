use shared::{
    protocol::{BodyHash, Revision},
    value::Timestamp,
};
use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

use super::{Store, StoreError};
use crate::model::Change;

/// Rows in one INSERT: far below SQLite's 32,766 variables, and one hand-over to its thread instead of hundreds.
const BATCH: usize = 500;

/// One revision to be written.
pub(crate) struct NewRevision<'a> {
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
    /// [`StoreError::Diverged`] when the newest stored revision is not the one before this one.
    pub(crate) async fn commit(&self, revision: &NewRevision<'_>) -> Result<(), StoreError> {
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
    let newest: i64 =
        sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM revisions").fetch_one(&mut *connection).await?;
    if newest != number - 1 {
        return Err(StoreError::Diverged { stored: newest.cast_unsigned() });
    }
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
