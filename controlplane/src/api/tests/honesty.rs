//! Answers say what is so: about what was sent, about the database, about what acts.

use std::fs;

use super::fixture::Fixture;

#[tokio::test]
async fn a_member_that_is_sent_twice_is_refused() {
    let fixture = Fixture::new().await;
    let twice = r#"{"upstreams":[{"name":"a"}],"upstreams":[{"name":"b"}]}"#;
    let answer = fixture.put("config", twice).await;
    assert!(answer.status.is_client_error(), "{} {}", answer.status, answer.text);
    let answer = fixture.post("ip-rules", r#"{"cidr":"10.0.0.0/8","action":"deny","action":"allow"}"#).await;
    assert!(answer.status.is_client_error(), "{} {}", answer.status, answer.text);
}

#[tokio::test]
async fn the_detail_names_an_error_and_no_warning() {
    let fixture = Fixture::new().await;
    let answer = fixture.put("upstreams/u", r#"{"breaker":{"failure_rate_threshold":0}}"#).await;
    let detail = answer.is_problem(422, "invalid").json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("/breaker/failure_rate_threshold"), "{detail}");
}

#[tokio::test]
async fn a_damaged_database_is_not_ready() {
    let fixture = Fixture::new().await.with_shop().await;
    // A statement that was prepared before reads nothing at all.
    fixture.get("/readyz").await.is(200);
    fixture.store.pragma("PRAGMA wal_checkpoint(TRUNCATE)").await;
    fs::write(fixture.directory.path().join("store.db"), "garbage!".repeat(4096)).unwrap();
    fixture.get("/readyz").await.is_problem(503, "store_unavailable");
}

#[tokio::test]
async fn what_is_allowed_and_helps_nobody_is_warned_of() {
    let fixture = Fixture::new().await;
    let answer = fixture.put("config", r#"{"upstreams":[{"name":"u"}]}"#).await.is(200);
    let warnings: Vec<_> = answer.headers.get_all("tidegate-warning").iter().collect();
    assert!(warnings.iter().any(|warning| warning.to_str().unwrap().contains("no backends")), "{warnings:?}");
}

#[tokio::test]
async fn a_wait_of_no_time_is_no_wait() {
    let fixture = Fixture::new().await;
    // Nobody is connected: any wait would be answered 504.
    fixture.put("upstreams/a?wait=1s", "{}").await.is_problem(504, "not_applied");
    fixture.put("upstreams/b?wait=0s", "{}").await.is(201);
}
