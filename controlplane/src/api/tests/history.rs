use serde_json::{Value, json};

use super::fixture::Fixture;

fn numbers(page: &Value) -> Vec<u64> {
    page["items"].as_array().unwrap().iter().map(|item| item["number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn revisions_are_kept_and_rolled_back_to() {
    let fixture = Fixture::new().await.with_shop().await;
    fixture.delete("routes/shop").await.is(204);
    let page = fixture.get("revisions?limit=3").await.is(200).json();
    assert_eq!((numbers(&page), page["next"].as_str()), (vec![4, 3, 2], Some("2")));
    let rest = fixture.get("revisions?limit=3&after=2").await.json();
    assert_eq!((numbers(&rest), rest["next"].as_str()), (vec![1], None));
    assert_eq!(page["items"][0]["summary"], "delete route `shop`");
    assert_eq!(
        (page["items"][0]["actor"].as_str(), rest["items"][0]["actor"].as_str()),
        (Some("admin"), Some("startup"))
    );
    assert!(page["items"][0]["created_at"].as_str().unwrap().ends_with('Z'));

    let third = fixture.get("revisions/3").await.is(200).json();
    assert_eq!(third["config"]["routes"][0]["name"], "shop");
    assert_eq!(third["hash"].as_str().unwrap().len(), 64);
    let back = fixture.post("revisions/3/rollback", "").await.is(200);
    assert_eq!((back.revision(), back.json()["number"].as_u64()), (5, Some(5)));
    assert_eq!(back.json()["summary"], "roll back to revision 3");
    // The same configuration has the same hash.
    assert_eq!(back.json()["hash"], third["hash"]);
    assert_eq!(fixture.get("config").await.json(), third["config"]);
    // There already.
    assert_eq!(fixture.post("revisions/3/rollback", "").await.is(200).revision(), 5);
    for path in ["revisions/99", "revisions/0", "revisions/-1", "revisions/x", "revisions/18446744073709551615"] {
        fixture.get(path).await.is_problem(404, "not_found");
    }
    fixture.post("revisions/99/rollback", "").await.is_problem(404, "not_found");
    fixture.get("revisions?after=x").await.is_problem(400, "malformed");
}

#[tokio::test]
async fn the_audit_tells_before_and_after() {
    let fixture = Fixture::new().await.with_shop().await;
    fixture.patch("upstreams/shop/backends/a", r#"{"weight":7}"#).await.is(200);
    fixture.delete("upstreams/shop/backends/a").await.is(204);
    let entries = fixture.get("audit?kind=backend&name=shop/a").await.is(200).json();
    let told: Vec<Value> = entries["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| json!([entry["revision"], entry["actor"], entry["action"], entry["before"], entry["after"]]))
        .collect();
    let (old, new) =
        (json!({"name":"a","address":"127.0.0.1:9001"}), json!({"name":"a","address":"127.0.0.1:9001","weight":7}));
    assert_eq!(
        told,
        [
            json!([5, "admin", "delete", new, null]),
            json!([4, "admin", "update", old, new]),
            json!([2, "admin", "create", null, old])
        ]
    );
    // A child's change leaves no row of its upstream.
    assert_eq!(fixture.get("audit?revision=4").await.json()["items"].as_array().unwrap().len(), 1);
    let page = fixture.get("audit?limit=2").await.json();
    let rest = fixture.get(&format!("audit?limit=9&after={}", page["next"].as_str().unwrap())).await.json();
    assert_eq!((page["items"].as_array().unwrap().len(), rest["items"].as_array().unwrap().len()), (2, 3));
    fixture.get("audit?kind=nope").await.is_problem(400, "malformed");
}
