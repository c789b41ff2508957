use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;

use super::fixture::Fixture;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_at_the_same_time_are_revisions_of_their_own() {
    const WRITES: u64 = 40;
    let fixture = Fixture::new().await;
    let bodies: Vec<String> = (0..WRITES).map(|n| format!(r#"{{"name":"u{n}"}}"#)).collect();
    let answers = join_all(bodies.iter().map(|body| fixture.post("upstreams", body))).await;
    let revisions: BTreeSet<u64> = answers.into_iter().map(|answer| answer.is(201).revision()).collect();
    assert_eq!(revisions, (2..=WRITES + 1).collect());
    assert_eq!(fixture.get("upstreams").await.json()["items"].as_array().unwrap().len() as u64, WRITES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_with_the_same_etag_one_wins() {
    let fixture = Fixture::new().await.with_shop().await;
    let etag = fixture.get("routes/shop").await.header("etag").to_owned();
    let fields = [("content-type", "application/json"), ("if-match", etag.as_str())];
    let patches = ["x", "y", "z"].map(|host| format!(r#"{{"match":{{"hosts":["{host}.example"]}}}}"#));
    let answers =
        join_all(patches.iter().map(|patch| fixture.send("PATCH", "routes/shop", &fields, patch.clone()))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_leaves_memory_and_store_alike() {
    let fixture = Fixture::new().await;
    for n in 0..50 {
        let body = format!(r#"{{"name":"u{n}"}}"#);
        // Gone at any point of the write, from before it began to after its end.
        let _ = tokio::time::timeout(Duration::from_micros(n * 100), fixture.post("upstreams", &body)).await;
    }
    // One more write waits for all that are under way.
    let last = fixture.post("upstreams", r#"{"name":"last"}"#).await.is(201).revision();
    assert_eq!(fixture.revision().await, last);
    let before = fixture.get("config").await;
    let fixture = fixture.restart().await;
    let after = fixture.get("config").await;
    assert_eq!((after.text.as_str(), after.header("etag")), (before.text.as_str(), before.header("etag")));
}
