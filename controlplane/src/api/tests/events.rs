use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::Value;

use super::{
    fixture::Fixture,
    reporting::{Reporting, eventually, listen},
};

/// The events of a stream as it was read: event, id (0 if it has none), data.
fn events(text: &str) -> Vec<(String, u64, Value)> {
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    let blocks = text.split("\n\n").filter(|block| block.contains("event:"));
    let event = |block: &str| {
        let data = serde_json::from_str(&field(block, "data:")).unwrap();
        (field(block, "event:"), field(block, "id:").parse().unwrap_or(0), data)
    };
    blocks.map(event).collect()
}

fn kinds(events: &[(String, u64, Value)]) -> Vec<&str> {
    events.iter().map(|(kind, ..)| kind.as_str()).collect()
}

/// Reads until `enough` holds for what was read.
async fn read(body: &mut Body, enough: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    let reading = async {
        while !enough(&text) {
            let Some(frame) = body.frame().await else { break };
            text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.unwrap();
    text
}

async fn fixture() -> (Fixture, Reporting) {
    let fixture = Fixture::new().await.with_shop().await;
    listen(&fixture).await;
    let plane = Reporting::connect(&fixture, 1).await;
    eventually(&fixture, "data-planes", |shown| !shown["items"].as_array().unwrap().is_empty()).await;
    (fixture, plane)
}

#[tokio::test]
async fn what_happens_is_told_in_order_and_resumed_behind_an_id() {
    let (fixture, mut plane) = fixture().await;
    let answer = fixture.get("events?follow=false").await.is(200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("cache-control"), "no-cache, no-transform");
    let kept = events(&answer.text);
    assert_eq!(kinds(&kept), ["revision_committed", "revision_committed", "data_plane_connected"]);
    assert!(kept.windows(2).all(|pair| pair[0].1 + 1 == pair[1].1), "{kept:?}");
    assert_eq!((&kept[2].2["data_plane"], &kept[2].2["version"]), (&plane.id.as_str().into(), &"test".into()));

    let mut body = fixture.open("GET", "events", &[], "").await.into_body();
    assert_eq!(read(&mut body, |text| text.contains("retry")).await, "retry: 1000\n\n");
    plane.transitions("shop", 2).await;
    let live = events(&read(&mut body, |text| text.contains("r1")).await);
    assert_eq!(kinds(&live), ["transition", "transition"]);
    let transition = &live[0].2;
    for (member, value) in [
        ("event", "transition"),
        ("upstream", "shop"),
        ("backend", "a"),
        ("address", "127.0.0.1:9001"),
        ("at", "2027-01-01T00:00:00Z"),
        ("input", "breaker"),
        ("from", "closed"),
        ("to", "open"),
        ("reason", "r0"),
        ("data_plane", &plane.id),
    ] {
        assert_eq!(transition[member], value, "{member}");
    }
    assert_eq!(live[0].1, kept[2].1 + 1);

    let id = live[0].1.to_string();
    for (path, fields) in [
        (format!("events?follow=false&after={id}"), vec![]),
        ("events?follow=false".to_owned(), vec![("last-event-id", id.as_str())]),
        ("events?follow=false&after=0".to_owned(), vec![("last-event-id", id.as_str())]),
    ] {
        let rest = events(&fixture.send("GET", &path, &fields, "").await.is(200).text);
        assert_eq!((rest.len(), rest[0].1), (1, live[1].1), "{path}");
    }
}

#[tokio::test]
async fn an_id_of_an_earlier_life_is_recognised() {
    let (fixture, _plane) = fixture().await;
    let last = events(&fixture.get("events?follow=false").await.text).last().unwrap().1;
    let fixture = fixture.restart().await;
    fixture.post("upstreams", r#"{"name":"other"}"#).await.is(201);
    let answer = fixture.send("GET", "events?follow=false", &[("last-event-id", &last.to_string())], "").await;
    let told = events(&answer.is(200).text);
    assert_eq!(kinds(&told), ["missed", "revision_committed"]);
    assert_eq!((&told[0].2["missed"], told[0].1), (&Value::Null, told[1].1 - 1));
    assert!(told[0].1 > last);
}

#[tokio::test]
async fn a_reader_of_one_upstream_sees_only_its_transitions() {
    let (fixture, mut plane) = fixture().await;
    plane.transitions("other", 1).await;
    plane.transitions("shop", 1).await;
    let mut body = fixture.open("GET", "events?upstream=shop&after=0", &[], "").await.into_body();
    let told = events(&read(&mut body, |text| text.contains("r0")).await);
    assert_eq!((kinds(&told), &told[0].2["upstream"]), (vec!["transition"], &"shop".into()));
}

#[tokio::test]
async fn a_slow_reader_is_told_how_much_it_missed_and_its_stream_ends() {
    let (fixture, mut plane) = fixture().await;
    let mut body = fixture.open("GET", "events", &[], "").await.into_body();
    read(&mut body, |text| text.contains("retry")).await;
    let mut other = fixture.open("GET", "events", &[], "").await.into_body();
    // More than are kept, and the reader does not read.
    for round in 0..17u64 {
        plane.transitions("shop", 256).await;
        let seen = read(&mut other, |text| text.matches("event: transition").count() == 256).await;
        assert_eq!(events(&seen).len(), 256, "round {round}");
    }
    let text = read(&mut body, |_| false).await;
    let told = events(&text);
    assert_eq!((kinds(&told), &told[0].2["missed"]), (vec!["missed"], &256.into()));
    // Who comes back behind that gets all that is kept, and is not told again.
    let id = told[0].1.to_string();
    let rest = events(&fixture.send("GET", "events?follow=false", &[("last-event-id", &id)], "").await.is(200).text);
    assert_eq!((rest.len(), rest[0].1), (4096, told[0].1 + 1));
    let metrics = fixture.get("/metrics").await.text;
    assert!(metrics.contains("tidegate_controlplane_event_readers_missed_total 1"), "{metrics}");
}

#[tokio::test]
async fn lost_transitions_are_told() {
    let (fixture, mut plane) = fixture().await;
    for events_lost in [3, 3, 5, 1] {
        plane.report(shared::protocol::Report { events_lost, ..Default::default() }).await;
    }
    let mut body = fixture.open("GET", "events?after=0", &[], "").await.into_body();
    let told = events(&read(&mut body, |text| text.matches("event: transitions_lost").count() == 3).await);
    let counts: Vec<_> = told.iter().filter_map(|(_, _, data)| data["count"].as_u64()).collect();
    assert_eq!(counts, [3, 2, 1]);
    eventually(&fixture, "data-planes", |shown| shown["items"][0]["lost_events"] == 1).await;
}

#[tokio::test]
async fn only_so_many_read_at_a_time_and_all_end_with_the_process() {
    let (fixture, _plane) = fixture().await;
    let mut readers = Vec::new();
    for _ in 0..64 {
        readers.push(fixture.open("GET", "events", &[], "").await.into_body());
    }
    fixture.get("events").await.is_problem(503, "too_many_readers");
    readers.pop();
    readers.push(fixture.open("GET", "events", &[], "").await.into_body());
    fixture.publisher.events().close();
    for mut reader in readers {
        assert_eq!(read(&mut reader, |_| false).await, "retry: 1000\n\n");
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let (fixture, mut plane) = fixture().await;
    let issued = fixture.post("tokens", r#"{"name":"watch","role":"viewer"}"#).await.is(201);
    let viewer = format!("Bearer {}", issued.json()["token"].as_str().unwrap());
    let mut body = fixture.open("GET", "events", &[("authorization", &viewer)], "").await.into_body();
    plane.transitions("shop", 1).await;
    read(&mut body, |text| text.contains("r0")).await;
    fixture.delete("tokens/watch").await.is(204);
    plane.transitions("shop", 1).await;
    assert_eq!(read(&mut body, |_| false).await, "");
}

#[tokio::test]
async fn viewers_may_read_events_and_what_is_no_id_is_refused() {
    let fixture = Fixture::new().await;
    let issued = fixture.post("tokens", r#"{"name":"watch","role":"viewer"}"#).await.is(201);
    let viewer = format!("Bearer {}", issued.json()["token"].as_str().unwrap());
    for path in ["events?follow=false", "status"] {
        fixture.send("GET", path, &[("authorization", &viewer)], "").await.is(200);
        fixture.send("GET", path, &[("authorization", "Bearer x")], "").await.is_problem(401, "unauthorized");
    }
    for path in ["events?after=x", "events?after=-1", "events?upstream=A%20b", "events?nope=1", "events?follow=maybe"] {
        fixture.get(path).await.is_problem(400, "malformed");
    }
    fixture.send("GET", "events", &[("last-event-id", "one")], "").await.is_problem(400, "malformed");
    // What a browser sends that has seen nothing.
    fixture.send("GET", "events?follow=false", &[("last-event-id", "")], "").await.is(200);
}
