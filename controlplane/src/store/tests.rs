use shared::{
    protocol::{BodyHash, Revision},
    seal::SealKey,
    value::Timestamp,
};

use super::*;
use crate::model::{Change, Key, Kind};

/// A database in a directory of its own, gone with the directory.
pub(crate) async fn fresh() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("store.db"), Duration::from_millis(200)).await.unwrap();
    store.id().await.unwrap();
    (directory, store)
}

impl Store {
    /// Runs a statement on the write connection, to break things.
    pub(crate) async fn pragma(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.write).await.unwrap();
    }
}

fn route(name: &str, before: Option<&str>, after: Option<&str>) -> Change {
    Change { key: Key::new(Kind::Route, name), before: before.map(str::to_owned), after: after.map(str::to_owned) }
}

async fn commit(store: &Store, number: u64, changes: &[Change]) -> Result<(), StoreError> {
    store
        .commit(&NewRevision {
            store: store.stored_id().await.unwrap().unwrap(),
            after: (number > 1).then(|| BodyHash::of(b"{}")),
            number: Revision(number),
            created_at: Timestamp::now(),
            actor: "test",
            summary: "a test",
            hash: BodyHash::of(b"{}"),
            changes,
        })
        .await
}

#[tokio::test]
async fn migrations_apply_twice_without_harm() {
    let (directory, store) = fresh().await;
    let id = store.id().await.unwrap();
    commit(&store, 1, &[route("a", None, Some("{}"))]).await.unwrap();
    migrations::run(&store.write).await.unwrap();
    store.close().await;
    let store = Store::open(&directory.path().join("store.db"), BUSY_TIMEOUT).await.unwrap();
    assert_eq!(store.id().await.unwrap(), id);
    assert_eq!(store.current_rows().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_revision_is_a_query() {
    let (_directory, store) = fresh().await;
    commit(&store, 1, &[route("a", None, Some("1")), route("b", None, Some("1"))]).await.unwrap();
    commit(&store, 2, &[route("a", Some("1"), Some("2"))]).await.unwrap();
    commit(&store, 3, &[route("b", Some("1"), None)]).await.unwrap();
    let bodies = async |revision| {
        let mut rows = store.rows_of(Revision(revision)).await.unwrap();
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        rows.into_iter().map(|row| format!("{}={}@{}", row.key.name, row.body, row.created_in)).collect::<Vec<_>>()
    };
    assert_eq!(bodies(1).await, ["a=1@1", "b=1@1"]);
    assert_eq!(bodies(2).await, ["a=2@2", "b=1@1"]);
    assert_eq!(bodies(3).await, ["a=2@2"]);
    assert_eq!(store.current_rows().await.unwrap().len(), 1);
    let names = |page: Vec<AuditEntry>| page.into_iter().map(|entry| entry.id).collect::<Vec<_>>();
    assert_eq!(names(store.audit(&AuditFilter::default(), None, 2).await.unwrap()), [4, 3]);
    assert_eq!(names(store.audit(&AuditFilter::default(), Some(3), 9).await.unwrap()), [2, 1]);
    let of_b = AuditFilter { kind: Some(Kind::Route), name: Some("b".into()), revision: Some(3) };
    assert_eq!(names(store.audit(&of_b, None, 9).await.unwrap()), [4]);
}

#[tokio::test]
async fn a_revision_that_does_not_follow_is_refused_whole() {
    let (_directory, store) = fresh().await;
    commit(&store, 1, &[route("a", None, Some("1"))]).await.unwrap();
    let error = commit(&store, 3, &[route("b", None, Some("1"))]).await.unwrap_err();
    assert!(matches!(error, StoreError::Diverged { stored: 1 }));
    // The unique index refuses the second row, and the revision goes with it.
    assert!(commit(&store, 2, &[route("a", None, Some("2"))]).await.is_err());
    assert_eq!(store.newest_revision().await.unwrap().unwrap().number, Revision(1));
    assert_eq!(store.current_rows().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_revision_of_another_database_is_refused() {
    let (_directory, store) = fresh().await;
    commit(&store, 1, &[route("a", None, Some("1"))]).await.unwrap();
    store.pragma("UPDATE revisions SET body_hash = 'another'").await;
    assert!(matches!(commit(&store, 2, &[]).await.unwrap_err(), StoreError::Diverged { stored: 1 }));
}

#[tokio::test]
async fn a_bulk_import_is_one_transaction() {
    let (_directory, store) = fresh().await;
    let changes: Vec<Change> = (0..1201).map(|n| route(&format!("r{n}"), None, Some("{}"))).collect();
    commit(&store, 1, &changes).await.unwrap();
    assert_eq!(store.current_rows().await.unwrap().len(), 1201);
}

#[tokio::test]
async fn a_locked_full_or_read_only_database_says_so() {
    let (directory, store) = fresh().await;
    let other = Store::open(&directory.path().join("store.db"), BUSY_TIMEOUT).await.unwrap();
    other.pragma("BEGIN EXCLUSIVE").await;
    assert!(matches!(commit(&store, 1, &[]).await.unwrap_err(), StoreError::Locked(_)));
    other.pragma("ROLLBACK").await;
    commit(&store, 1, &[]).await.unwrap();

    store.pragma("PRAGMA query_only = ON").await;
    assert!(matches!(commit(&store, 2, &[]).await.unwrap_err(), StoreError::ReadOnly(_)));

    // A failed commit closed the connection, and the settings with it.
    store.pragma("PRAGMA max_page_count = 1").await;
    let large = format!("\"{}\"", "x".repeat(100_000));
    let error = commit(&store, 2, &[route("a", None, Some(&large))]).await.unwrap_err();
    assert!(matches!(error, StoreError::DiskFull(_)), "{error:?}");
    commit(&store, 2, &[route("a", None, Some(&large))]).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    std::fs::write(&path, "not a database, but long enough to look at it twice".repeat(100)).unwrap();
    let error = Store::open(&path, BUSY_TIMEOUT).await.err().unwrap();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
}

#[tokio::test]
async fn secrets_are_sealed_and_swept() {
    let (directory, store) = fresh().await;
    let key = SealKey::load_or_create(&directory.path().join("key")).unwrap();
    store.put_secret(&key, "s1", b"hello").await.unwrap();
    store.put_secret(&key, "s2", b"other").await.unwrap();
    assert_eq!(store.secret(&key, "s1").await.unwrap().as_deref(), Some(&b"hello"[..]));
    assert_eq!(store.secret(&key, "s3").await.unwrap(), None);
    commit(&store, 1, &[route("a", None, Some(r#"{"key":{"secret":"s1"}}"#))]).await.unwrap();
    commit(&store, 2, &[route("a", Some(r#"{"key":{"secret":"s1"}}"#), None)]).await.unwrap();
    assert_eq!(store.sweep_secrets().await.unwrap(), 1);
    // Revision 1 still names it.
    assert!(store.secret(&key, "s1").await.unwrap().is_some());
    let other = SealKey::load_or_create(&directory.path().join("other")).unwrap();
    assert!(matches!(store.secret(&other, "s1").await.unwrap_err(), StoreError::Content(_)));
}
