use std::{sync::Arc, time::Duration};

use shared::protocol::{Persisted, Report, Revision, Snapshot, ToControl, ToData};

use super::{
    super::{DataPlaneState, Limits},
    fixture::{Fixture, config, fault, material},
};

#[tokio::test]
async fn material_and_snapshot_come_right_after_hello() {
    let fixture = Fixture::start().await;
    fixture.publisher.publish(fixture.snapshot(1), material("s3cret"));
    let mut data_plane = fixture.dial().await;
    data_plane.hello(None).await;
    assert_eq!(data_plane.material().await, material("s3cret"));
    let snapshot = data_plane.snapshot().await;
    assert_eq!((snapshot.held(), snapshot.adopt), (fixture.snapshot(1).held(), false));
    assert_eq!(snapshot.config().unwrap(), config("u1"));
    assert_eq!(fixture.publisher.connected(), 1);
}

#[tokio::test]
async fn each_publish_is_pushed_and_material_only_when_it_differs() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.data_plane().await;
    fixture.publish(2);
    assert_eq!(data_plane.snapshot().await.revision, Revision(2));
    fixture.publisher.publish(fixture.snapshot(3), material("new"));
    assert_eq!(data_plane.material().await, material("new"));
    assert_eq!(data_plane.snapshot().await.revision, Revision(3));
    // The same revision again: a renewed secret makes no revision.
    fixture.publisher.publish(fixture.snapshot(3), material("newer"));
    assert_eq!(data_plane.material().await, material("newer"));
    assert_eq!(data_plane.snapshot().await.revision, Revision(3));
    fixture.publisher.publish(fixture.snapshot(4), material("newer"));
    assert_eq!(data_plane.snapshot().await.revision, Revision(4));
}

#[tokio::test]
async fn a_writer_that_was_overtaken_does_not_bring_an_old_revision_back() {
    let fixture = Fixture::start().await;
    fixture.publish(3);
    fixture.publish(2);
    let mut data_plane = fixture.dial().await;
    data_plane.hello(None).await;
    data_plane.material().await;
    assert_eq!(data_plane.snapshot().await.revision, Revision(3));
}

/// A snapshot that no socket buffer holds.
fn large(fixture: &Fixture, revision: u64) -> Arc<Snapshot> {
    let upstreams: Vec<_> = (0..100_000).map(|i| serde_json::json!({"name": format!("u{revision}-{i}")})).collect();
    let config = serde_json::from_value(serde_json::json!({ "upstreams": upstreams })).unwrap();
    Arc::new(Snapshot::new(fixture.store, Revision(revision), &config))
}

#[tokio::test]
async fn a_slow_reader_gets_the_latest_and_stalls_nobody() {
    let fixture = Fixture::start().await;
    let mut slow = fixture.data_plane().await;
    let mut quick = fixture.data_plane().await;
    fixture.publisher.publish(large(&fixture, 2), material(""));
    for revision in 3..=20 {
        fixture.publish(revision);
    }
    // Large frames stand in the slow one's way; the quick one has read everything.
    while quick_revision(quick.next().await) != Some(20) {}

    let mut got = Vec::new();
    while got.last() != Some(&20) {
        got.extend(quick_revision(slow.next().await));
    }
    assert!(got.len() <= 3, "what was overtaken is not sent: {got:?}");
}

fn quick_revision(frame: Option<ToData>) -> Option<u64> {
    match frame.expect("the connection stays") {
        ToData::Snapshot(snapshot) => Some(snapshot.revision.0),
        _ => None,
    }
}

#[tokio::test]
async fn a_reader_without_progress_is_closed() {
    let limits = Limits { write: Duration::from_millis(50), ..Limits::default() };
    let fixture = Fixture::with_limits(limits).await;
    let mut stuck = fixture.data_plane().await;
    fixture.publisher.publish(large(&fixture, 2), material(""));
    fixture.shown(stuck.instance, |shown| shown.state == DataPlaneState::Disconnected).await;
    // It finds half a frame and the end.
    while let Some(Ok(_)) = futures_util::StreamExt::next(&mut stuck.frames).await {}
}

#[tokio::test]
async fn what_a_data_plane_says_is_shown() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.data_plane().await;
    data_plane.apply(&fixture.snapshot(1), vec![fault()]).await;
    data_plane.send(ToControl::Persisted(Persisted { revision: Revision(1) })).await;
    let shown = fixture.shown(data_plane.instance, |shown| shown.persisted_revision.is_some()).await;
    assert_eq!(shown.applied_store, Some(fixture.store));
    assert_eq!((shown.applied_revision, shown.applied_hash), (Some(Revision(1)), Some(fixture.snapshot(1).hash)));
    assert_eq!((shown.apply_duration_us, shown.applied_at.is_some()), (Some(42), true));
    assert_eq!((shown.listeners, shown.state, shown.foreign), (vec![fault()], DataPlaneState::Connected, false));

    data_plane.send(ToControl::Report(Report { dropped: 7, ..Report::default() })).await;
    let shown = fixture.shown(data_plane.instance, |shown| shown.dropped_reports == 7).await;
    assert!(shown.listeners.is_empty());

    fixture.publish(2);
    data_plane.reject(2, "no such thing").await;
    let shown = fixture.shown(data_plane.instance, |shown| shown.last_rejection.is_some()).await;
    let rejection = shown.last_rejection.unwrap();
    assert_eq!((rejection.revision, shown.applied_revision), (Revision(2), Some(Revision(1))));
    assert!(rejection.findings.to_string().contains("no such thing"));
    fixture.publish(3);
    while data_plane.snapshot().await.revision != Revision(3) {}
    data_plane.apply(&fixture.snapshot(3), Vec::new()).await;
    fixture.shown(data_plane.instance, |shown| shown.last_rejection.is_none()).await;

    let instance = data_plane.instance;
    drop(data_plane);
    let shown = fixture.shown(instance, |shown| shown.state == DataPlaneState::Disconnected).await;
    assert!(shown.disconnected_at.is_some_and(|at| at >= shown.connected_since));
    assert_eq!((shown.applied_revision, fixture.publisher.connected()), (Some(Revision(3)), 0));
}

#[tokio::test]
async fn what_cannot_be_is_ignored() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.data_plane().await;
    data_plane.apply(&fixture.snapshot(9), Vec::new()).await;
    data_plane.reject(9, "unheard of").await;
    data_plane.send(ToControl::Persisted(Persisted { revision: Revision(9) })).await;
    let mut altered = Snapshot::clone(&fixture.snapshot(1));
    altered.hash = fixture.snapshot(2).hash;
    data_plane.apply(&altered, Vec::new()).await;
    data_plane.send(ToControl::Report(Report { dropped: 1, ..Report::default() })).await;
    let shown = fixture.shown(data_plane.instance, |shown| shown.dropped_reports == 1).await;
    assert_eq!((shown.applied_revision, shown.persisted_revision, shown.last_rejection), (None, None, None));
}

#[tokio::test]
async fn a_newer_connection_replaces_the_older() {
    let fixture = Fixture::start().await;
    let mut older = fixture.data_plane().await;
    let mut newer = fixture.dial().await;
    newer.instance = older.instance;
    newer.hello(None).await;
    older.closed().await;
    newer.material().await;
    newer.snapshot().await;
    newer.apply(&fixture.snapshot(1), Vec::new()).await;
    let shown = fixture.shown(newer.instance, |shown| shown.applied_revision.is_some()).await;
    assert_eq!((shown.state, fixture.publisher.data_planes().len()), (DataPlaneState::Connected, 1));
}

#[tokio::test]
async fn a_reconnect_keeps_what_is_still_true() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.data_plane().await;
    data_plane.apply(&fixture.snapshot(1), vec![fault()]).await;
    let before = fixture.shown(data_plane.instance, |shown| shown.applied_at.is_some()).await;
    let mut again = fixture.dial().await;
    again.instance = data_plane.instance;
    again.hello(Some(fixture.snapshot(1).held())).await;
    again.material().await;
    let after = fixture.shown(again.instance, |shown| shown.connected_since > before.connected_since).await;
    assert_eq!((after.applied_at, after.listeners), (before.applied_at, before.listeners));
}
