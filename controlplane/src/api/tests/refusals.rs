use axum::body::Body;

use super::fixture::Fixture;

const ROUTE: &str = r#"{"name":"r","action":{"forward":{"upstream":"shop"}}}"#;

#[tokio::test]
async fn bodies_that_do_not_fit_are_pointed_at() {
    let fixture = Fixture::new().await.with_shop().await;
    let revision = fixture.revision().await;
    for (path, body, pointer) in [
        (
            "routes/r",
            r#"{"action":{"forward":{"upstream":"shop"}},"match":{"hosts":["ok.example","bad host"]}}"#,
            "/match/hosts/1",
        ),
        ("routes/r", r#"{"action":{"forward":{"upstream":"shop"}},"mach":{}}"#, "/mach"),
        ("routes/r", r#"{"action":{"forward":{"upstream":7}}}"#, "/action/forward/upstream"),
        ("routes/r", r#"{"name":"other","action":{"forward":{"upstream":"shop"}}}"#, "/name"),
        ("routes/R", ROUTE, "/name"),
        ("routes/r", "[]", ""),
        ("listeners/l", r#"{"address":"127.0.0.1:8080","trusted_proxies":["10.0.0.1/8"]}"#, "/trusted_proxies/0"),
        (
            "upstreams/u",
            r#"{"backends":[{"name":"a","address":"unix:/a"},{"name":"b","address":"nowhere"}]}"#,
            "/backends/1/address",
        ),
        ("upstreams/shop/breaker", r#"{"failure_rate_threshold":"x"}"#, "/failure_rate_threshold"),
        ("ip-rules/i", r#"{"action":"deny","cidr":"10.0.0.0/33"}"#, "/cidr"),
        ("settings", r#"{"access_log":{"format":"xml"}}"#, "/access_log/format"),
        ("config", r#"{"listeners":[{"name":"a","address":"x"}]}"#, "/listeners/0/address"),
    ] {
        let answer = fixture.put(path, body).await;
        answer.is_problem(422, "invalid");
        assert_eq!(answer.pointers(), [pointer], "{path} {body}");
    }
    let answer = fixture.patch("routes/shop", r#"{"match":{"hosts":["bad host"]}}"#).await;
    answer.is_problem(422, "invalid");
    assert_eq!(answer.pointers(), ["/match/hosts/0"]);
    fixture.patch("routes/shop", r#"{"name":"other"}"#).await.is_problem(422, "invalid");
    fixture.patch("routes/shop", r#"{"action":null}"#).await.is_problem(422, "invalid");
    fixture.patch("routes/shop", "7").await.is_problem(422, "invalid");
    assert_eq!(fixture.revision().await, revision);
}

#[tokio::test]
async fn dangling_references_are_pointed_at_in_what_was_sent() {
    let fixture = Fixture::new().await.with_shop().await;
    let dangling = r#"{"name":"r","action":{"forward":{"upstream":"nope"}}}"#;
    for answer in [fixture.post("routes", dangling).await, fixture.put("routes/r", dangling).await] {
        answer.is_problem(422, "invalid");
        assert_eq!(answer.pointers(), ["/action/forward/upstream"]);
    }
    // The order of the document that was sent, not the canonical one.
    let config = r#"{"upstreams":[{"name":"u"}],"routes":[{"name":"z","action":{"forward":{"upstream":"u"}}},{"name":"a","action":{"forward":{"upstream":"nope"}}}]}"#;
    let answer = fixture.put("config", config).await;
    answer.is_problem(422, "invalid");
    assert_eq!(answer.pointers(), ["/routes/1/action/forward/upstream"]);
}

#[tokio::test]
async fn what_is_not_json_or_not_said_to_be_is_refused() {
    let fixture = Fixture::new().await.with_shop().await;
    for body in ["", "{", r#"{"name":"r""#, "{} x", "\u{0}"] {
        fixture.post("routes", body).await.is_problem(400, "malformed");
    }
    fixture.post("routes", &"[".repeat(100_000)).await.is_problem(400, "malformed");
    for media_type in ["text/plain", "application/yaml", "application/merge-patch+json", "", "json"] {
        let answer = fixture.send("POST", "routes", &[("content-type", media_type)], ROUTE).await;
        answer.is_problem(415, "unsupported_media_type");
    }
    fixture.send("POST", "routes", &[], ROUTE).await.is_problem(415, "unsupported_media_type");
    fixture
        .send("PATCH", "routes/shop", &[("content-type", "application/yaml")], "{}")
        .await
        .is_problem(415, "unsupported_media_type");
    fixture.send("PATCH", "routes/shop", &[("content-type", "Application/JSON")], "{}").await.is(200);
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused() {
    let fixture = Fixture::new().await.with_shop().await;
    let revision = fixture.revision().await;
    for (path, limit) in [("ip-rules/i", 1 << 20), ("upstreams/u", 4 << 20), ("config", 32 << 20)] {
        let body = vec![b' '; limit + 1];
        fixture.send("PUT", path, &[("content-type", "application/json")], body).await.is_problem(413, "too_large");
    }
    // A client that asks before it sends is told at once.
    let fields = [("content-type", "application/json"), ("content-length", "52428800"), ("expect", "100-continue")];
    fixture.send("PUT", "config", &fields, Body::empty()).await.is_problem(413, "too_large");
    let padded = format!("{}{}", " ".repeat((1 << 20) - ROUTE.len()), ROUTE);
    fixture.put("routes/r", &padded).await.is(201);
    assert_eq!(fixture.revision().await, revision + 1);
}

#[tokio::test]
async fn unknown_paths_methods_and_parameters_are_problems() {
    let fixture = Fixture::new().await.with_shop().await;
    for path in ["nope", "routes/shop/nope", "routes/", "/api", "/api/v2/routes"] {
        fixture.get(path).await.is_problem(404, "not_found");
    }
    fixture.get("/nope").await.is_problem(404, "not_found");
    let answer = fixture.delete("routes").await;
    answer.is_problem(405, "method_not_allowed");
    assert!(answer.header("allow").contains("POST"), "{}", answer.header("allow"));
    for path in [
        "routes/shop?x=1",
        "config?x=1",
        "settings?pretty",
        "revisions?x=1",
        "revisions/1?x=1",
        "audit?x=1",
        "data-planes?x=1",
    ] {
        fixture.get(path).await.is_problem(400, "malformed");
    }
    fixture.get("routes/%FF").await.is_problem(400, "malformed");
    fixture.delete("routes/shop?limit=1").await.is_problem(400, "malformed");
}
