use serde_json::json;

use super::fixture::Fixture;

const YAML: &str = "
listeners: [{name: web, address: '127.0.0.1:8080'}]
upstreams:
  - name: shop
    backends: [{name: b, address: '127.0.0.1:9002'}, {name: a, address: '127.0.0.1:9001', weight: 3}]
routes: [{name: shop, action: {forward: {upstream: shop}}}]
ip_rules: [{action: deny, cidr: 203.0.113.0/24}]
";

#[tokio::test]
async fn the_whole_configuration_is_replaced_as_one_revision() {
    let fixture = Fixture::new().await;
    fixture.put("upstreams/old", "{}").await.is(201);
    let put = fixture.send("PUT", "config", &[("content-type", "application/yaml")], YAML).await.is(200);
    assert_eq!((put.revision(), put.header("etag")), (3, "\"3\""));
    fixture.get("upstreams/old").await.is_problem(404, "not_found");
    let backends = fixture.get("upstreams/shop/backends").await.json();
    assert_eq!(backends["items"][0], json!({"name":"a","address":"127.0.0.1:9001","weight":3}));
    fixture.get("ip-rules/deny-203.0.113.0-24").await.is(200);

    // What GET answers can be PUT back, in both formats, and changes nothing.
    let as_json = fixture.get("config").await.is(200);
    assert_eq!(as_json.header("content-type"), "application/json");
    assert_eq!(fixture.put("config", &as_json.text).await.is(200).revision(), 3);
    let as_yaml = fixture.send("GET", "config", &[("accept", "application/yaml")], "").await.is(200);
    assert_eq!(as_yaml.header("content-type"), "application/yaml");
    for media_type in ["application/yaml", "text/yaml", "application/x-yaml; charset=utf-8"] {
        let fields = [("content-type", media_type), ("accept", "text/yaml")];
        let put = fixture.send("PUT", "config", &fields, as_yaml.text.clone()).await.is(200);
        assert_eq!((put.revision(), put.text), (3, as_yaml.text.clone()));
    }
    fixture.send("PUT", "config", &[("content-type", "text/yaml")], "a: [").await.is_problem(400, "malformed");
    fixture.send("PUT", "config", &[("content-type", "text/yaml")], "routs: []").await.is_problem(422, "invalid");
}

#[tokio::test]
async fn a_restart_loads_the_same_state() {
    let fixture = Fixture::new().await;
    fixture.send("PUT", "config", &[("content-type", "application/yaml")], YAML).await.is(200);
    fixture.put("upstreams/shop/breaker", r#"{"sliding_window_size":10}"#).await.is(200);
    fixture.delete("upstreams/shop/backends/b").await.is(204);
    fixture.put("settings", r#"{"access_log":{"enabled":false}}"#).await.is(200);
    let paths = [
        "config",
        "listeners/web",
        "upstreams/shop",
        "upstreams/shop/backends/a",
        "upstreams/shop/breaker",
        "routes/shop",
        "settings",
    ];
    let mut before = Vec::new();
    for path in paths {
        let answer = fixture.get(path).await.is(200);
        before.push((answer.text.clone(), answer.header("etag").to_owned()));
    }
    let fixture = fixture.restart().await;
    for (path, before) in paths.into_iter().zip(before) {
        let answer = fixture.get(path).await.is(200);
        assert_eq!((answer.text.clone(), answer.header("etag").to_owned()), before, "{path}");
    }
    assert_eq!(fixture.put("upstreams/new", "{}").await.is(201).revision(), 6);
}
