//! SQL, and nothing but SQL: one write connection, a small pool of read connections.
//!
//! The statements keep to what SQLite and PostgreSQL both understand: `$1` placeholders, TEXT, BIGINT and BOOLEAN, times as
//! milliseconds, JSON as text.

mod audit;
mod commit;
mod error;
mod file;
mod meta;
mod migrations;
mod resources;
mod revisions;
mod secrets;
mod tokens;

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub(crate) use audit::{AuditEntry, AuditFilter};
pub(crate) use commit::NewRevision;
pub(crate) use error::StoreError;
use file::DatabaseFile;
pub(crate) use revisions::RevisionInfo;
pub(crate) use tokens::TokenRow;

/// How long a statement waits for another process's lock.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// History and audit are read seldom; the configuration itself is read from memory.
const READERS: u32 = 4;

/// The database.
#[derive(Clone)]
pub(crate) struct Store {
    write: SqlitePool,
    read: SqlitePool,
    file: Arc<DatabaseFile>,
}

impl Store {
    /// Opens the database at `path`, makes it if it is missing, and brings its tables up to date.
    pub(crate) async fn open(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A REST answer says "committed": the commit must survive a power cut, not only a crash.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(busy_timeout);
        // Connections never age: opening one anew costs more than a commit, and nothing times out on a local file.
        let pool = || {
            SqlitePoolOptions::new()
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .acquire_timeout(busy_timeout + Duration::from_secs(5))
        };
        let write = pool().max_connections(1).connect_with(options.clone()).await?;
        migrations::run(&write).await?;
        let read = pool().max_connections(READERS).connect_with(options).await?;
        Ok(Self { write, read, file: Arc::new(DatabaseFile::opened(path)?) })
    }

    /// Whether the database can be read.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let file = self.file.clone();
        let checked = tokio::task::spawn_blocking(move || file.check_content()).await;
        checked.map_err(|_| StoreError::Content("the database file could not be checked".to_owned()))??;
        // From a table: without one, no page is read at all.
        sqlx::query("SELECT key FROM meta LIMIT 1").execute(&self.read).await?;
        Ok(())
    }

    /// Closes all connections; the write-ahead log is folded into the database file.
    pub(crate) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

#[cfg(test)]
pub(crate) mod tests;
