use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::timeout};

use shared::{
    Findings,
    config::Config,
    protocol::{Checked, StoreId, ToControl, ToData},
};

use super::{
    super::Limits,
    fixture::{DEADLINE, Fixture, Scripted, config, fault, snapshot},
};

/// The id of the check that comes next, which must ask for `upstream`.
async fn asked(data_plane: &mut Scripted, upstream: &str) -> u64 {
    let Some(ToData::Check(check)) = data_plane.next().await else { panic!("a check") };
    assert_eq!(check.body.get(), serde_json::to_string(&config(upstream)).unwrap());
    check.id
}

async fn short() -> Fixture {
    Fixture::with_limits(Limits { check: Duration::from_millis(100), ..Limits::default() }).await
}

#[tokio::test]
async fn nobody_connected_has_no_objection() {
    assert_eq!(Fixture::start().await.publisher.check(&config("a")).await, Vec::new());
}

#[tokio::test]
async fn faults_come_back_with_the_name_of_the_data_plane() {
    let fixture = Fixture::start().await;
    let (mut fine, mut busy) = (fixture.data_plane().await, fixture.data_plane().await);
    let (mut invalid, mut uneasy) = (fixture.data_plane().await, fixture.data_plane().await);
    let findings = Findings::of_error("/listeners/0", "unknown field");
    let mut warning = Findings::new();
    warning.warning("/upstreams/0", "empty");
    let candidate = config("candidate");
    let (mut faults, ()) = tokio::join!(fixture.publisher.check(&candidate), async {
        for (data_plane, findings, listeners) in [
            (&mut fine, Findings::new(), Vec::new()),
            (&mut busy, Findings::new(), vec![fault()]),
            (&mut invalid, findings.clone(), Vec::new()),
            (&mut uneasy, warning, Vec::new()),
        ] {
            let id = asked(data_plane, "candidate").await;
            data_plane.send(ToControl::Checked(Checked { id, findings, listeners })).await;
        }
    });
    faults.sort_by_key(|fault| fault.findings.is_empty());
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_eq!((faults[0].instance, &faults[0].findings), (invalid.instance, &findings));
    assert_eq!((faults[1].instance, &faults[1].listeners), (busy.instance, &vec![fault()]));
}

#[tokio::test]
async fn each_check_has_an_id_of_its_own_and_answers_find_their_asker() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.data_plane().await;
    let (a, b) = (config("a"), config("b"));
    let (first, second, ()) = tokio::join!(fixture.publisher.check(&a), fixture.publisher.check(&b), async {
        let (first, second) = (asked(&mut data_plane, "a").await, asked(&mut data_plane, "b").await);
        assert_ne!(first, second);
        // In the other order, and one that nobody asked for.
        for (id, listeners) in [(u64::MAX, vec![fault()]), (second, vec![fault()]), (first, Vec::new())] {
            data_plane.send(ToControl::Checked(Checked { id, findings: Findings::new(), listeners })).await;
        }
    });
    assert_eq!((first.len(), second.len()), (0, 1));
}

#[tokio::test]
async fn silence_is_no_objection_after_the_limit() {
    let fixture = short().await;
    let mut data_plane = fixture.data_plane().await;
    for round in ["a", "b"] {
        let started = Instant::now();
        assert_eq!(fixture.publisher.check(&config(round)).await, Vec::new());
        assert!(started.elapsed() >= Duration::from_millis(100));
        // The answer is late: it is dropped.
        let id = asked(&mut data_plane, round).await;
        data_plane.send(ToControl::Checked(Checked { id, findings: Findings::new(), listeners: vec![fault()] })).await;
    }
    assert_eq!(fixture.publisher.connected(), 1);
}

#[tokio::test]
async fn a_connection_that_ends_ends_its_check() {
    let fixture = Fixture::with_limits(Limits { check: DEADLINE, ..Limits::default() }).await;
    let mut data_plane = fixture.data_plane().await;
    let started = Instant::now();
    let candidate = config("a");
    let (faults, ()) = tokio::join!(fixture.publisher.check(&candidate), async {
        asked(&mut data_plane, "a").await;
        drop(data_plane);
    });
    assert_eq!(faults, Vec::new());
    assert!(started.elapsed() < DEADLINE);
}

#[tokio::test]
async fn a_data_plane_that_does_not_read_its_checks_does_not_gather_them() {
    let fixture = Fixture::with_limits(Limits { check: 10 * DEADLINE, ..Limits::default() }).await;
    let _silent = fixture.data_plane().await;
    let large: Vec<_> = (0..50_000).map(|i| serde_json::json!({"name": format!("u{i}")})).collect();
    let large: Arc<Config> = Arc::new(serde_json::from_value(serde_json::json!({ "upstreams": large })).unwrap());
    let mut checks = JoinSet::new();
    for _ in 0..20 {
        let (publisher, large) = (fixture.publisher.clone(), large.clone());
        checks.spawn(async move { publisher.check(&large).await });
    }
    // Eight wait and one is being written; the others are told at once that there is no room.
    for _ in 0..11 {
        let check = timeout(DEADLINE, checks.join_next()).await.expect("in time").unwrap();
        assert_eq!(check.unwrap(), Vec::new());
    }
}

#[tokio::test]
async fn a_foreign_one_is_not_asked_until_it_is_adopted() {
    let fixture = Fixture::with_limits(Limits { check: DEADLINE, ..Limits::default() }).await;
    let mut data_plane = fixture.dial().await;
    data_plane.hello(Some(snapshot(StoreId(uuid::Uuid::new_v4()), 1).held())).await;
    fixture.shown(data_plane.instance, |shown| shown.foreign).await;
    let started = Instant::now();
    assert_eq!(fixture.publisher.check(&config("a")).await, Vec::new());
    assert!(started.elapsed() < DEADLINE, "nobody was asked");

    fixture.publisher.adopt(data_plane.instance).unwrap();
    data_plane.material().await;
    data_plane.snapshot().await;
    let candidate = config("b");
    let (faults, ()) = tokio::join!(fixture.publisher.check(&candidate), async {
        let id = asked(&mut data_plane, "b").await;
        data_plane.send(ToControl::Checked(Checked { id, findings: Findings::new(), listeners: vec![fault()] })).await;
    });
    assert_eq!(faults.len(), 1);
}
