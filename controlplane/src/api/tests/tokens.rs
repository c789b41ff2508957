use serde_json::json;

use super::fixture::Fixture;

#[tokio::test]
async fn only_known_tokens_come_in() {
    let fixture = Fixture::new().await;
    for value in ["", "Bearer", "Bearer x", "Basic YTpi", &format!("Bearer {}x", fixture.token), &fixture.token] {
        for path in ["routes", "nope", "/api"] {
            let answer = fixture.send("GET", path, &[("authorization", value)], "").await;
            answer.is_problem(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    let lower = format!("bearer {}", fixture.token);
    fixture.send("GET", "routes", &[("authorization", &lower)], "").await.is(200);
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/"] {
        fixture.send("GET", path, &[("authorization", "")], "").await.is(200);
    }
    let metrics = fixture.get("/metrics").await.text;
    assert!(metrics.contains(r#"tidegate_controlplane_api_requests_total{method="GET",status="4xx"} 18"#), "{metrics}");
}

#[tokio::test]
async fn roles_act_and_the_last_admin_stays() {
    let fixture = Fixture::new().await;
    let issued = fixture.post("tokens", r#"{"name":"watch","role":"viewer"}"#).await.is(201);
    let viewer = format!("Bearer {}", issued.json()["token"].as_str().unwrap());
    assert_eq!(issued.header("cache-control"), "no-store");
    fixture.post("tokens", r#"{"name":"watch","role":"admin"}"#).await.is_problem(409, "already_exists");
    fixture.post("tokens", r#"{"name":"x","role":"root"}"#).await.is_problem(422, "invalid");
    let list = fixture.get("tokens").await.is(200);
    assert!(!list.text.contains("tg_"), "{}", list.text);
    let names: Vec<_> = list.json()["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, ["admin", "watch"]);
    assert_eq!(fixture.get("tokens?limit=1").await.json()["next"], "admin");

    let as_viewer = async |method: &str, path: &str| {
        let fields = [("authorization", viewer.as_str()), ("content-type", "application/json")];
        fixture.send(method, path, &fields, "{}").await
    };
    as_viewer("GET", "config").await.is(200);
    as_viewer("HEAD", "config").await.is(200);
    for (method, path) in [("PUT", "upstreams/u"), ("DELETE", "tokens/admin"), ("POST", "tokens"), ("POST", "nope")] {
        as_viewer(method, path).await.is_problem(403, "forbidden");
    }
    fixture.delete("tokens/admin").await.is_problem(409, "conflict");
    fixture.delete("tokens/nope").await.is_problem(404, "not_found");
    // It outlives a restart, and a revoked one does not come back.
    let fixture = fixture.restart().await;
    let known = [("authorization", viewer.as_str())];
    fixture.send("GET", "config", &known, "").await.is(200);
    fixture.delete("tokens/watch").await.is(204);
    fixture.send("GET", "config", &known, "").await.is_problem(401, "unauthorized");
    let fixture = fixture.restart().await;
    fixture.send("GET", "config", &known, "").await.is_problem(401, "unauthorized");
    let second = fixture.post("tokens", r#"{"name":"second","role":"admin"}"#).await.is(201).json();
    fixture.delete("tokens/admin").await.is(204);
    fixture.get("config").await.is_problem(401, "unauthorized");
    let second = format!("Bearer {}", second["token"].as_str().unwrap());
    let put = fixture
        .send("PUT", "upstreams/u", &[("authorization", &second), ("content-type", "application/json")], "{}")
        .await;
    assert_eq!(put.is(201).json(), json!({"name":"u"}));
    let audit = fixture.send("GET", "audit?limit=1", &[("authorization", &second)], "").await.json();
    assert_eq!(audit["items"][0]["actor"], "second");
}
