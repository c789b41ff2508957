use serde_json::json;

use super::fixture::Fixture;

const A: &str = "upstreams/shop/backends/a";

#[tokio::test]
async fn a_backend_is_drained_disabled_and_enabled_by_one_call_each() {
    let fixture = Fixture::new().await.with_shop().await;
    let plain = fixture.get(A).await.json();
    let drained = fixture.send("POST", &format!("{A}/drain"), &[], "").await.is(200);
    assert_eq!(drained.json(), json!({"name":"a","address":"127.0.0.1:9001","state":"draining"}));
    assert_eq!(drained.header("etag"), format!("\"{}\"", drained.revision()));
    let again = fixture.send("POST", &format!("{A}/drain"), &[], "").await.is(200);
    assert_eq!(again.revision(), drained.revision(), "nothing changed");

    let until = fixture.post(&format!("{A}/drain"), r#"{"deadline":"10m"}"#).await.is(200);
    assert!(until.json()["drain_until"].is_string());
    let disabled = fixture.send("POST", &format!("{A}/disable"), &[], "").await.is(200);
    assert_eq!(disabled.json(), json!({"name":"a","address":"127.0.0.1:9001","state":"disabled"}));
    let enabled = fixture.post(&format!("{A}/enable"), "{}").await.is(200);
    assert_eq!(enabled.json(), plain);
    assert_eq!(enabled.revision(), drained.revision() + 3);
    let audit = fixture.get("audit?limit=1").await.json();
    assert_eq!(audit["items"][0]["name"], "shop/a");
}

#[tokio::test]
async fn states_are_set_on_the_terms_of_all_writes() {
    let fixture = Fixture::new().await.with_shop().await;
    let revision = fixture.revision().await;
    let dry = fixture.send("POST", &format!("{A}/drain?dry_run=true"), &[], "").await.is(200);
    assert_eq!((dry.json()["state"].as_str(), fixture.revision().await), (Some("draining"), revision));
    fixture
        .send("POST", &format!("{A}/drain"), &[("if-match", "\"99\"")], "")
        .await
        .is_problem(412, "precondition_failed");
    fixture.send("POST", "upstreams/shop/backends/none/drain", &[], "").await.is_problem(404, "not_found");
    fixture.post(&format!("{A}/drain"), r#"{"deadline":"soon"}"#).await.is_problem(422, "invalid");
    fixture.post(&format!("{A}/enable"), r#"{"deadline":"1m"}"#).await.is_problem(422, "invalid");
    fixture.get(&format!("{A}/drain")).await.is_problem(405, "method_not_allowed");
}
