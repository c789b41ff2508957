//! Writes with a data plane connected: a scripted one, over the real control socket.

use std::{path::Path, time::Duration};

use futures_util::{SinkExt, StreamExt};
use shared::{
    Findings,
    config::SCHEMA,
    protocol::{Applied, Checked, FrameCodec, Hello, InstanceId, ListenerFault, Rejected, ToControl, ToData, VERSION},
};
use tokio::net::UnixStream;
use tokio_util::{codec::Framed, sync::CancellationToken};
use uuid::Uuid;

use super::fixture::Fixture;

const DEADLINE: Duration = Duration::from_secs(20);
/// The data plane of these tests cannot bind this one.
const TAKEN: &str = "127.0.0.1:8099";
/// Nor does it apply a configuration with this upstream.
const REJECTED: &str = "rejected";

/// The API, its control socket, and one data plane that follows it.
async fn followed() -> Fixture {
    let fixture = Fixture::new().await;
    let socket = fixture.directory.path().join("control.sock");
    tokio::spawn(fixture.publisher.clone().serve(socket.clone(), CancellationToken::new()));
    tokio::spawn(data_plane(connect(&socket).await));
    wait_for(async || (fixture.publisher.connected() > 0).then_some(())).await;
    fixture
}

async fn connect(socket: &Path) -> UnixStream {
    wait_for(async || UnixStream::connect(socket).await.ok()).await
}

/// Asks `condition` again and again until it gives a value; fails after [`DEADLINE`].
async fn wait_for<T>(mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let met = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        loop {
            looks.tick().await;
            if let Some(value) = condition().await {
                return value;
            }
        }
    };
    tokio::time::timeout(DEADLINE, met).await.unwrap()
}

async fn data_plane(stream: UnixStream) {
    let mut frames = Framed::new(stream, FrameCodec::<ToData, ToControl>::default());
    let hello = Hello {
        protocol: VERSION,
        schema: SCHEMA,
        version: "test".to_owned(),
        instance: InstanceId(Uuid::new_v4()),
        applied: None,
        persisted: None,
    };
    frames.send(&ToControl::Hello(hello)).await.unwrap();
    while let Some(Ok(frame)) = frames.next().await {
        let answer = match frame {
            ToData::Check(check) => {
                let listeners = if check.body.get().contains(TAKEN) { vec![fault()] } else { Vec::new() };
                ToControl::Checked(Checked { id: check.id, findings: Findings::new(), listeners })
            }
            ToData::Snapshot(snapshot) if snapshot.body.get().contains(REJECTED) => {
                let findings = Findings::of_error("/upstreams/0", "not on this machine");
                ToControl::Rejected(Rejected { revision: snapshot.revision, findings })
            }
            ToData::Snapshot(snapshot) => ToControl::Applied(Applied {
                revision: snapshot.revision,
                hash: snapshot.hash,
                duration_us: 1,
                listeners: Vec::new(),
            }),
            ToData::Material(_) | ToData::Command(_) => continue,
        };
        frames.send(&answer).await.unwrap();
    }
}

fn fault() -> ListenerFault {
    let (name, address) = ("web".parse().unwrap(), TAKEN.parse().unwrap());
    ListenerFault { name, address, error: "address in use".to_owned() }
}

#[tokio::test]
async fn a_write_waits_until_it_is_applied() {
    let fixture = followed().await;
    assert_eq!(fixture.put("upstreams/u?wait=20s", "{}").await.is(201).revision(), 2);
    let shown = fixture.get("data-planes").await.is(200).json();
    assert_eq!(shown["items"][0]["applied_revision"], 2, "{shown}");
    // The same again is no write, and applied already.
    assert_eq!(fixture.put("upstreams/u?wait=20s", "{}").await.is(200).revision(), 2);

    let answer = fixture.put(&format!("upstreams/{REJECTED}?wait=20s"), "{}").await;
    answer.is_problem(504, "not_applied");
    assert!(answer.json()["reasons"][0].as_str().unwrap().contains("not on this machine"), "{}", answer.text);
    let id = shown["items"][0]["id"].as_str().unwrap();
    fixture.post(&format!("data-planes/{id}/adopt"), "").await.is_problem(409, "conflict");
}

#[tokio::test]
async fn a_listener_that_cannot_be_bound_is_not_committed() {
    let fixture = followed().await;
    let revision = fixture.revision().await;
    let body = format!(r#"{{"name":"web","address":"{TAKEN}"}}"#);
    for answer in [fixture.post("listeners", &body).await, fixture.put("listeners/web?dry_run=true", &body).await] {
        answer.is_problem(422, "listener_unavailable");
        assert_eq!(answer.pointers(), ["/address"]);
        assert!(answer.text.contains("cannot bind 127.0.0.1:8099: address in use"), "{}", answer.text);
    }
    let config =
        format!(r#"{{"listeners":[{{"name":"web","address":"{TAKEN}"}},{{"name":"a","address":"127.0.0.1:8098"}}]}}"#);
    let answer = fixture.put("config", &config).await;
    answer.is_problem(422, "listener_unavailable");
    assert_eq!(answer.pointers(), ["/listeners/0/address"]);
    assert_eq!(fixture.revision().await, revision);
    fixture.put("listeners/web", r#"{"address":"127.0.0.1:8097"}"#).await.is(201);
}

/// A backup that is restored under the running process: no answer may say that traffic follows, and traffic stays as it is.
#[tokio::test]
async fn a_store_that_goes_back_while_running_ends_the_process() {
    let fixture = followed().await.with_shop().await;
    fixture.put("upstreams/a?wait=10s", "{}").await.is(201);
    fixture.put("upstreams/b?wait=10s", "{}").await.is(201);
    fixture.store.pragma("DELETE FROM audit WHERE revision > 3").await;
    fixture.store.pragma("DELETE FROM resources WHERE created_in > 3").await;
    fixture.store.pragma("DELETE FROM revisions WHERE number > 3").await;
    fixture.put("upstreams/c", "{}").await.is_problem(503, "store_unavailable");
    fixture.service.replaced().await;
    fixture.put("upstreams/c?wait=2s", "{}").await.is_problem(503, "store_unavailable");
    assert_eq!(fixture.publisher.data_planes()[0].applied_revision.map(|revision| revision.0), Some(5));
}
