use serde_json::json;

use super::fixture::Fixture;

#[tokio::test]
async fn each_collection_creates_reads_replaces_patches_and_deletes() {
    let fixture = Fixture::new().await.with_shop().await;
    for (path, name, body, replaced, patch, patched) in [
        (
            "listeners",
            "l",
            json!({"name":"l","address":"127.0.0.1:8081"}),
            json!({"name":"l","address":"127.0.0.1:8082","trusted_proxies":["10.0.0.0/8"]}),
            json!({"trusted_proxies":null}),
            json!({"name":"l","address":"127.0.0.1:8082"}),
        ),
        (
            "upstreams",
            "u",
            json!({"name":"u"}),
            json!({"name":"u","backends":[{"name":"b","address":"unix:/b","weight":3}]}),
            json!({"breaker":{"failure_rate_threshold":10}}),
            json!({"name":"u","backends":[{"name":"b","address":"unix:/b","weight":3}],"breaker":{"failure_rate_threshold":10}}),
        ),
        (
            "upstreams/shop/backends",
            "b",
            json!({"name":"b","address":"127.0.0.1:9002","weight":3}),
            json!({"name":"b","address":"name.example:9002","weight":3}),
            json!({"weight":0}),
            json!({"name":"b","address":"name.example:9002","weight":0}),
        ),
        (
            "routes",
            "r",
            json!({"name":"r","action":{"forward":{"upstream":"shop"}}}),
            json!({"name":"r","match":{"hosts":["x.example"],"methods":["GET"]},"action":{"forward":{"upstream":"shop"}}}),
            json!({"match":{"methods":null,"path":{"prefix":"/api"}}}),
            json!({"name":"r","match":{"hosts":["x.example"],"path":{"prefix":"/api"}},"action":{"forward":{"upstream":"shop"}}}),
        ),
        (
            "ip-rules",
            "i",
            json!({"name":"i","action":"deny","cidr":"10.0.0.0/8"}),
            json!({"name":"i","action":"deny","cidr":"10.0.0.0/8","comment":"scanner"}),
            json!({"action":"allow","route":"shop"}),
            json!({"name":"i","route":"shop","action":"allow","cidr":"10.0.0.0/8","comment":"scanner"}),
        ),
    ] {
        let item = format!("{path}/{name}");
        fixture.get(&item).await.is_problem(404, "not_found");
        let created = fixture.post(path, &body.to_string()).await.is(201);
        let revision = created.revision();
        assert_eq!(created.json(), body);
        assert_eq!(created.header("location"), format!("/api/v1/{item}"));
        assert_eq!(created.header("etag"), format!("\"{revision}\""));
        fixture.post(path, &body.to_string()).await.is_problem(409, "already_exists");

        let read = fixture.get(&item).await.is(200);
        assert_eq!((read.json(), read.header("etag")), (body.clone(), created.header("etag")));
        let replacement = fixture.put(&item, &replaced.to_string()).await.is(200);
        assert_eq!((replacement.json(), replacement.revision()), (replaced.clone(), revision + 1));
        let again = fixture.put(&item, &replaced.to_string()).await.is(200);
        assert_eq!((again.revision(), again.header("etag")), (revision + 1, replacement.header("etag")));

        let change = fixture.patch(&item, &patch.to_string()).await.is(200);
        assert_eq!((change.json(), change.revision()), (patched.clone(), revision + 2), "{path}");
        assert_eq!(fixture.get(&item).await.json(), patched);
        let list = fixture.get(path).await.is(200).json();
        assert!(list["items"].as_array().unwrap().contains(&patched) && list["next"].is_null(), "{list}");

        let deleted = fixture.delete(&item).await.is(204);
        assert_eq!((deleted.revision(), deleted.text.as_str(), deleted.header("etag")), (revision + 3, "", ""));
        fixture.delete(&item).await.is_problem(404, "not_found");
        fixture.patch(&item, "{}").await.is_problem(404, "not_found");
        // PUT creates, with the name from the path.
        let mut nameless = body.clone();
        nameless.as_object_mut().unwrap().remove("name");
        let put = fixture.put(&item, &nameless.to_string()).await.is(201);
        assert_eq!((put.json(), put.header("location")), (body.clone(), format!("/api/v1/{item}").as_str()));
    }
}

#[tokio::test]
async fn singletons_always_exist() {
    let fixture = Fixture::new().await.with_shop().await;
    for (path, body, patch, patched) in [
        ("settings", json!({"access_log":{"enabled":false}}), json!({"access_log":{"enabled":true}}), json!({})),
        (
            "upstreams/shop/breaker",
            json!({"failure_rate_threshold":10,"sliding_window_size":50}),
            json!({"sliding_window_size":null}),
            json!({"failure_rate_threshold":10}),
        ),
    ] {
        assert_eq!(fixture.get(path).await.is(200).json(), json!({}));
        let put = fixture.put(path, &body.to_string()).await.is(200);
        assert_eq!((put.json(), put.header("etag")), (body, format!("\"{}\"", put.revision()).as_str()));
        assert_eq!(fixture.get(path).await.header("etag"), put.header("etag"));
        let change = fixture.patch(path, &patch.to_string()).await.is(200);
        assert_eq!((change.json(), change.revision()), (patched, put.revision() + 1));
        fixture.delete(path).await.is(204);
        assert_eq!(fixture.get(path).await.json(), json!({}));
        fixture.post(path, "{}").await.is_problem(405, "method_not_allowed");
    }
    fixture.get("upstreams/nope/breaker").await.is_problem(404, "not_found");
    fixture.get("upstreams/nope/backends").await.is_problem(404, "not_found");
    fixture.get("upstreams/nope/backends/a").await.is_problem(404, "not_found");
    fixture.post("upstreams/nope/backends", r#"{"name":"a","address":"unix:/a"}"#).await.is_problem(404, "not_found");
}

#[tokio::test]
async fn an_ip_rule_names_itself() {
    let fixture = Fixture::new().await;
    let created = fixture.post("ip-rules", r#"{"action":"deny","cidr":"203.0.113.0/24"}"#).await.is(201);
    assert_eq!(created.header("location"), "/api/v1/ip-rules/deny-203.0.113.0-24");
    fixture.post("ip-rules", r#"{"action":"deny","cidr":"203.0.113.0/24"}"#).await.is_problem(409, "already_exists");
    fixture.delete("ip-rules/deny-203.0.113.0-24").await.is(204);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let fixture = Fixture::new().await;
    for name in ["c", "a", "e", "b", "d"] {
        fixture.post("upstreams", &format!(r#"{{"name":"{name}"}}"#)).await.is(201);
    }
    let mut seen = Vec::new();
    let mut path = "upstreams?limit=2".to_owned();
    loop {
        let page = fixture.get(&path).await.is(200).json();
        let names = page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned());
        seen.push(names.collect::<Vec<_>>());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("upstreams?limit=2&after={next}");
    }
    assert_eq!(seen, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
    assert_eq!(fixture.get("upstreams?after=bb&limit=1").await.json()["items"][0]["name"], "c");
    for query in ["limit=0", "limit=1001", "limit=x", "limit=-1", "limt=3", "limit=1&limit=2"] {
        fixture.get(&format!("upstreams?{query}")).await.is_problem(400, "malformed");
    }
}

#[tokio::test]
async fn what_others_name_stays() {
    let fixture = Fixture::new().await.with_shop().await;
    fixture.post("listeners", r#"{"name":"web","address":"127.0.0.1:8080"}"#).await.is(201);
    fixture.patch("routes/shop", r#"{"match":{"listeners":["web"]}}"#).await.is(200);
    fixture.post("ip-rules", r#"{"name":"i","route":"shop","action":"deny","cidr":"10.0.0.0/8"}"#).await.is(201);
    let revision = fixture.revision().await;
    for (path, user) in
        [("upstreams/shop", "route `shop`"), ("listeners/web", "route `shop`"), ("routes/shop", "ip rule `i`")]
    {
        let answer = fixture.delete(path).await;
        answer.is_problem(409, "in_use");
        assert_eq!(answer.json()["users"], json!([user]));
    }
    assert_eq!(fixture.revision().await, revision);
    for path in ["ip-rules/i", "routes/shop", "upstreams/shop", "listeners/web"] {
        fixture.delete(path).await.is(204);
    }
    assert_eq!(fixture.get("config").await.json(), json!({}));
}

#[tokio::test]
async fn the_data_planes_are_listed_and_adopted() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.get("data-planes").await.is(200).json(), json!({"items":[],"next":null}));
    let id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    fixture.post(&format!("data-planes/{id}/adopt"), "").await.is_problem(404, "not_found");
    fixture.post("data-planes/x/adopt", "").await.is_problem(404, "not_found");
}
