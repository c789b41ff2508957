use serde_json::Value;
use shared::protocol::Report;

use super::{
    fixture::Fixture,
    reporting::{Reporting, endpoint, eventually, listen},
};

async fn fixture() -> Fixture {
    let fixture = Fixture::new().await.with_shop().await;
    listen(&fixture).await;
    fixture
}

fn requests(status: &Value, data_plane: usize, endpoint: usize) -> &Value {
    &status["data_planes"][data_plane]["endpoints"][endpoint]["load"]["requests"]
}

#[tokio::test]
async fn only_upstreams_of_the_configuration_have_a_status() {
    let fixture = fixture().await;
    fixture.get("upstreams/nope/status").await.is_problem(404, "not_found");
    let empty = fixture.get("upstreams/shop/status").await.is(200).json();
    assert_eq!(empty, serde_json::json!({ "upstream": "shop", "data_planes": [] }));
    let mut plane = Reporting::connect(&fixture, 1).await;
    plane.endpoints("gone", vec![endpoint("a", 1)]).await;
    plane.endpoints("shop", vec![endpoint("a", 1)]).await;
    eventually(&fixture, "upstreams/shop/status", |shown| requests(shown, 0, 0) == 1).await;
    fixture.get("upstreams/gone/status").await.is_problem(404, "not_found");
    fixture.delete("routes/shop").await.is(204);
    fixture.delete("upstreams/shop").await.is(204);
    fixture.get("upstreams/shop/status").await.is_problem(404, "not_found");
    assert_eq!(fixture.get("status").await.is(200).json()["items"], serde_json::json!([]));
}

#[tokio::test]
async fn data_planes_are_shown_apart_and_keep_their_last_word() {
    let fixture = fixture().await;
    let (mut first, mut second) = (Reporting::connect(&fixture, 1).await, Reporting::connect(&fixture, 2).await);
    first.endpoints("shop", vec![endpoint("a", 1), endpoint("b", 2)]).await;
    second.endpoints("shop", vec![endpoint("a", 10)]).await;
    let both = |shown: &Value| requests(shown, 0, 1) == 2 && requests(shown, 1, 0) == 10;
    let shown = eventually(&fixture, "upstreams/shop/status", both).await;
    assert_eq!(
        (&shown["data_planes"][0]["data_plane"], &shown["data_planes"][1]["data_plane"]),
        (&first.id.as_str().into(), &second.id.as_str().into())
    );
    // Only what changed comes.
    first.endpoints("shop", vec![endpoint("b", 3)]).await;
    let shown = eventually(&fixture, "upstreams/shop/status", |shown| requests(shown, 0, 1) == 3).await;
    assert_eq!((requests(&shown, 0, 0), requests(&shown, 1, 0)), (&1.into(), &10.into()));
    drop(second);
    let gone = |shown: &Value| shown["data_planes"][1]["state"] == "disconnected";
    let shown = eventually(&fixture, "upstreams/shop/status", gone).await;
    assert_eq!((requests(&shown, 1, 0), &shown["data_planes"][0]["state"]), (&10.into(), &"connected".into()));
    // It is back, and has nothing of the upstream.
    let mut second = Reporting::connect(&fixture, 2).await;
    second.report(Report { whole: true, ..Report::default() }).await;
    eventually(&fixture, "upstreams/shop/status", |shown| shown["data_planes"].as_array().unwrap().len() == 1).await;
}

#[tokio::test]
async fn a_thousand_endpoints_are_shown_page_by_page() {
    let fixture = fixture().await;
    let upstreams: Vec<_> = (0..4).map(|number| format!(r#"{{"name":"u{number}"}}"#)).collect();
    fixture.put("config", &format!(r#"{{"upstreams":[{}]}}"#, upstreams.join(","))).await.is(200);
    let mut plane = Reporting::connect(&fixture, 1).await;
    for number in 0..4 {
        let endpoints = (0..250).map(|backend| endpoint(&format!("b{backend}"), 1)).collect();
        plane.endpoints(&format!("u{number}"), endpoints).await;
    }
    let is_there = |shown: &Value| {
        shown["data_planes"].as_array().unwrap().iter().any(|plane| plane["endpoints"].as_array().unwrap().len() == 250)
    };
    eventually(&fixture, "upstreams/u3/status", is_there).await;
    let page = fixture.get("status?limit=3").await.is(200).json();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next"]), (3, &"u2".into()));
    let last = fixture.get("status?limit=3&after=u2").await.is(200).json();
    assert!(last["items"].as_array().unwrap().iter().all(is_there) && last["next"].is_null());
    fixture.get("status?limit=0").await.is_problem(400, "malformed");
}
