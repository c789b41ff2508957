use super::fixture::Fixture;
use crate::store::{BUSY_TIMEOUT, Store};

/// A write is refused, nothing has changed, reads go on, and afterwards all is well.
async fn refuses_and_recovers(fixture: &Fixture, reason: &str, repair: impl AsyncFnOnce()) {
    let (config, revision) = (fixture.get("config").await.text, fixture.revision().await);
    let comment = format!(r#"{{"name":"i","action":"deny","cidr":"10.0.0.0/8","comment":"{}"}}"#, "x".repeat(400));
    let many: Vec<String> = (0..500).map(|n| comment.replace("\"i\"", &format!("\"i{n}\""))).collect();
    let body = format!(r#"{{"ip_rules":[{}]}}"#, many.join(","));
    let answer = fixture.put("config", &body).await;
    answer.is_problem(503, "store_unavailable");
    assert!(answer.json()["detail"].as_str().unwrap().contains(reason), "{}", answer.text);
    fixture.get("/readyz").await.is(200);
    assert_eq!((fixture.get("config").await.text, fixture.revision().await), (config, revision));
    repair().await;
    assert_eq!(fixture.put("config", &body).await.is(200).revision(), revision + 1);
    assert_eq!(fixture.revision().await, revision + 1);
}

#[tokio::test]
async fn a_locked_database_is_503() {
    let fixture = Fixture::new().await.with_shop().await;
    let other = Store::open(&fixture.directory.path().join("store.db"), BUSY_TIMEOUT).await.unwrap();
    other.pragma("BEGIN EXCLUSIVE").await;
    refuses_and_recovers(&fixture, "locked", async || other.pragma("ROLLBACK").await).await;
}

#[tokio::test]
async fn a_read_only_database_is_503() {
    let fixture = Fixture::new().await.with_shop().await;
    fixture.store.pragma("PRAGMA query_only = ON").await;
    refuses_and_recovers(&fixture, "read-only", async || {}).await;
}

#[tokio::test]
async fn a_full_disk_is_503() {
    let fixture = Fixture::new().await.with_shop().await;
    fixture.store.pragma("PRAGMA max_page_count = 1").await;
    refuses_and_recovers(&fixture, "full", async || {}).await;
}

#[tokio::test]
async fn a_revision_that_came_from_elsewhere_is_taken_over() {
    let fixture = Fixture::new().await.with_shop().await;
    // As if the last commit had failed in its answer only.
    fixture.store.pragma("INSERT INTO revisions SELECT number + 1, created_at, actor, summary, body_hash FROM revisions WHERE number = 3").await;
    fixture.store.pragma("UPDATE resources SET removed_in = 4 WHERE kind = 'route'").await;
    fixture.put("upstreams/u", "{}").await.is_problem(503, "store_unavailable");
    fixture.get("routes/shop").await.is_problem(404, "not_found");
    assert_eq!(fixture.put("upstreams/u", "{}").await.is(201).revision(), 5);
}
