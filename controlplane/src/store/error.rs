use sqlx::migrate::MigrateError;

/// Why the database did not do what it was asked to. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Another process holds the lock for longer than the busy time-out.
    #[error("the database is locked by another process")]
    Locked(#[source] sqlx::Error),
    /// The writes before this one hold the database for too long.
    #[error("the writes before this one are not done after {seconds} s")]
    Busy {
        /// How long it waited.
        seconds: u64,
    },
    /// No space left.
    #[error("the disk with the database is full")]
    DiskFull(#[source] sqlx::Error),
    /// The file or its file system takes no writes.
    #[error("the database is read-only")]
    ReadOnly(#[source] sqlx::Error),
    /// The disk failed, or the file cannot be opened.
    #[error("the database file cannot be read or written")]
    Io(#[source] sqlx::Error),
    /// The file is no database, or a damaged one.
    #[error("the database file is damaged, or no database")]
    Corrupt(#[source] sqlx::Error),
    /// The database holds another newest revision than the one in memory.
    #[error("the database was changed behind this process's back: it holds revision {stored}")]
    Diverged {
        /// The newest revision in the database.
        stored: u64,
    },
    /// The database is another one than this process began with, or an older state of it.
    #[error(
        "the database was replaced while the control plane was running, perhaps by a backup; the control plane ends, so \
         that it begins anew with what the database holds now"
    )]
    Replaced,
    /// Rows that this version does not understand.
    #[error("{0}")]
    Content(String),
    /// The tables could not be brought up to date.
    #[error("the database's tables do not fit this version: {0}")]
    Migration(#[source] MigrateError),
    /// Anything else that the driver reports.
    #[error("the database answered an error")]
    Other(#[source] sqlx::Error),
}

/// Primary result codes, <https://sqlite.org/rescode.html>.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let extended = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
        // The low byte of an extended code is its primary code.
        match extended.map(|code| code & 0xff) {
            Some(code::BUSY | code::LOCKED) => Self::Locked(error),
            Some(code::FULL) => Self::DiskFull(error),
            Some(code::READONLY) => Self::ReadOnly(error),
            Some(code::IOERR | code::CANTOPEN) => Self::Io(error),
            Some(code::CORRUPT | code::NOTADB) => Self::Corrupt(error),
            _ => match error {
                sqlx::Error::Io(_) => Self::Io(error),
                // The one write connection is held by a statement that waits for a lock.
                sqlx::Error::PoolTimedOut => Self::Locked(error),
                error => Self::Other(error),
            },
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            error => Self::Migration(error),
        }
    }
}
