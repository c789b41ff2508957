use axum::body::Body;

use super::fixture::Fixture;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn if_match_is_honoured_on_every_write() {
    let fixture = Fixture::new().await.with_shop().await;
    let etag = fixture.get("routes/shop").await.header("etag").to_owned();
    let changed = fixture.patch("routes/shop", r#"{"host":"backend"}"#).await.is(200).header("etag").to_owned();
    assert_ne!(etag, changed);
    let revision = fixture.revision().await;
    let body = fixture.get("routes/shop").await.text;
    let put = async |fields: &[(&str, &str)], path: &str| {
        fixture.send("PUT", path, &[&[JSON], fields].concat(), body.clone()).await
    };
    put(&[("if-match", &etag)], "routes/shop").await.is_problem(412, "precondition_failed");
    put(&[("if-match", "\"x\", W/\"3\"")], "routes/shop").await.is_problem(412, "precondition_failed");
    put(&[("if-none-match", "*")], "routes/shop").await.is_problem(412, "precondition_failed");
    fixture.send("PUT", "config", &[JSON, ("if-match", &etag)], "{}").await.is_problem(412, "precondition_failed");
    fixture
        .send("DELETE", "routes/shop", &[("if-match", &etag)], Body::empty())
        .await
        .is_problem(412, "precondition_failed");
    fixture
        .send("PATCH", "routes/shop", &[JSON, ("if-match", &etag)], "{}")
        .await
        .is_problem(412, "precondition_failed");
    fixture.send("PUT", "settings", &[JSON, ("if-match", &etag)], "{}").await.is_problem(412, "precondition_failed");
    // A stale client is told so, whatever else would be wrong.
    let stale = [JSON, ("if-match", etag.as_str())];
    fixture.send("PATCH", "routes/shop", &stale, r#"{"x":1}"#).await.is_problem(412, "precondition_failed");
    fixture.send("PATCH", "routes/nope", &stale, "{}").await.is_problem(404, "not_found");
    fixture.send("POST", "upstreams", &stale, r#"{"name":"shop"}"#).await.is_problem(409, "already_exists");
    // What does not exist matches nothing.
    fixture.send("PUT", "upstreams/new", &[JSON, ("if-match", "*")], "{}").await.is_problem(412, "precondition_failed");
    assert_eq!(fixture.revision().await, revision);

    put(&[("if-match", "*")], "routes/shop").await.is(200);
    fixture.send("PUT", "upstreams/new", &[JSON, ("if-none-match", "*")], "{}").await.is(201);
    fixture.send("DELETE", "routes/shop", &[("if-match", &format!("\"9\", {changed}"))], Body::empty()).await.is(204);
}

#[tokio::test]
async fn if_none_match_spares_the_body() {
    let fixture = Fixture::new().await.with_shop().await;
    for path in ["routes/shop", "upstreams/shop/breaker", "settings", "config"] {
        let read = fixture.get(path).await.is(200);
        let known = fixture.send("GET", path, &[("if-none-match", read.header("etag"))], Body::empty()).await.is(304);
        assert_eq!((known.text.as_str(), known.header("etag")), ("", read.header("etag")));
        fixture.send("GET", path, &[("if-none-match", "\"999\"")], Body::empty()).await.is(200);
    }
}

#[tokio::test]
async fn a_childs_change_changes_the_upstreams_etag_too() {
    let fixture = Fixture::new().await.with_shop().await;
    let etag = async |path: &str| fixture.get(path).await.is(200).header("etag").to_owned();
    let (upstream, backend, route) =
        (etag("upstreams/shop").await, etag("upstreams/shop/backends/a").await, etag("routes/shop").await);
    let patched = fixture.patch("upstreams/shop/backends/a", r#"{"weight":7}"#).await.is(200);
    assert_ne!(etag("upstreams/shop/backends/a").await, backend);
    assert_eq!(etag("upstreams/shop").await, patched.header("etag"));
    assert_ne!(etag("upstreams/shop").await, upstream);
    assert_eq!(etag("routes/shop").await, route);
    let after_backend = etag("upstreams/shop").await;
    fixture.put("upstreams/shop/breaker", r#"{"sliding_window_size":10}"#).await.is(200);
    assert_ne!(etag("upstreams/shop").await, after_backend);
    let with_breaker = etag("upstreams/shop/breaker").await;
    fixture.delete("upstreams/shop/breaker").await.is(204);
    assert_ne!(etag("upstreams/shop/breaker").await, with_breaker);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let fixture = Fixture::new().await.with_shop().await;
    let (config, revision) = (fixture.get("config").await.text, fixture.revision().await);
    let dry = async |method: &str, path: &str, body: &str| {
        fixture.send(method, &format!("{path}?dry_run=true"), &[JSON], body.to_owned()).await
    };
    for (method, path, body, status) in [
        ("POST", "upstreams", r#"{"name":"u"}"#, 201),
        ("PUT", "upstreams/u", r#"{}"#, 201),
        ("PUT", "upstreams/shop/backends/a", r#"{"address":"unix:/a"}"#, 200),
        ("PATCH", "routes/shop", r#"{"host":"backend"}"#, 200),
        ("DELETE", "routes/shop", "", 204),
        ("PUT", "settings", r#"{"access_log":{"enabled":false}}"#, 200),
        ("DELETE", "upstreams/shop/breaker", "", 204),
        ("PUT", "config", "{}", 200),
        ("POST", "revisions/1/rollback", "", 200),
    ] {
        let answer = dry(method, path, body).await.is(status);
        assert_eq!(answer.revision(), revision, "{method} {path}");
        assert!(answer.header("etag").is_empty() || path.ends_with("breaker"), "{method} {path}");
    }
    dry("POST", "upstreams", r#"{"name":"shop"}"#).await.is_problem(409, "already_exists");
    assert_eq!(dry("PATCH", "routes/shop", r#"{"host":"backend"}"#).await.json()["host"], "backend");
    assert_eq!((fixture.get("config").await.text, fixture.revision().await), (config, revision));
}

#[tokio::test]
async fn waiting_for_nobody_is_told_as_committed_but_not_applied() {
    let fixture = Fixture::new().await;
    let answer = fixture.put("upstreams/u?wait=10ms", "{}").await;
    answer.is_problem(504, "not_applied");
    let problem = answer.json();
    assert_eq!((problem["committed"].as_bool(), problem["revision"].as_u64()), (Some(true), Some(2)));
    assert!(!problem["reasons"].as_array().unwrap().is_empty());
    assert_eq!(answer.revision(), 2);
    fixture.get("upstreams/u").await.is(200);
    // On a dry run there is nothing to wait for.
    fixture.put("upstreams/v?wait=10ms&dry_run=true", "{}").await.is(201);
    for query in ["wait=61s", "wait=5", "dry_run=yes", "dryrun=true"] {
        fixture.put(&format!("upstreams/v?{query}"), "{}").await.is_problem(400, "malformed");
    }
}
