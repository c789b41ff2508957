use std::time::{Duration, Instant};

use uuid::Uuid;

use shared::protocol::{Report, Revision, StoreId, ToControl};

use super::{
    super::{DataPlaneState, NotApplied},
    fixture::{DEADLINE, Fixture, fault, snapshot},
};

const SHORT: Duration = Duration::from_millis(50);

/// The reasons in one text.
fn reasons(result: Result<(), NotApplied>) -> String {
    result.expect_err("not applied").reasons.join("\n")
}

/// Starts to wait for `revision` and lets `act` happen meanwhile.
async fn wait_while<T>(fixture: &Fixture, revision: u64, act: impl Future<Output = T>) -> (Result<(), NotApplied>, T) {
    let started = Instant::now();
    let (result, acted) = tokio::join!(fixture.publisher.wait_applied(Revision(revision), DEADLINE), act);
    assert!(started.elapsed() < DEADLINE, "the wait ended by itself");
    (result, acted)
}

#[tokio::test]
async fn nobody_connected_fails_at_once() {
    let fixture = Fixture::start().await;
    let result = fixture.publisher.wait_applied(Revision(1), Duration::MAX).await;
    assert_eq!(reasons(result), "no data plane is connected");
}

#[tokio::test]
async fn it_ends_when_all_have_applied() {
    let fixture = Fixture::start().await;
    let (mut one, mut two) = (fixture.data_plane().await, fixture.data_plane().await);
    one.apply(&fixture.snapshot(1), Vec::new()).await;
    let result = fixture.publisher.wait_applied(Revision(1), SHORT).await;
    let reasons = reasons(result);
    assert!(reasons.contains(&two.instance.to_string()) && reasons.contains("it has none yet"), "{reasons}");
    assert!(!reasons.contains(&one.instance.to_string()), "{reasons}");

    let (result, ()) = wait_while(&fixture, 1, two.apply(&fixture.snapshot(1), Vec::new())).await;
    assert_eq!(result, Ok(()));
    // A later revision has it too.
    fixture.publish(2);
    for data_plane in [&mut one, &mut two] {
        data_plane.snapshot().await;
        data_plane.apply(&fixture.snapshot(2), Vec::new()).await;
    }
    let (result, ()) = wait_while(&fixture, 1, async {}).await;
    assert_eq!(result, Ok(()));
}

#[tokio::test]
async fn what_a_hello_says_to_be_applied_counts() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.dial().await;
    data_plane.hello(Some(fixture.snapshot(1).held())).await;
    data_plane.material().await;
    let (result, ()) = wait_while(&fixture, 1, async {}).await;
    assert_eq!(result, Ok(()));
}

#[tokio::test]
async fn a_rejection_fails_at_once_with_its_findings() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.data_plane().await;
    data_plane.apply(&fixture.snapshot(1), Vec::new()).await;
    fixture.publish(2);
    data_plane.snapshot().await;
    let (result, ()) = wait_while(&fixture, 2, data_plane.reject(2, "a bad regex")).await;
    let text = reasons(result);
    assert!(text.contains("rejected revision 2") && text.contains("/upstreams/0: a bad regex"), "{text}");
    // The revision before is not touched by it.
    assert_eq!(fixture.publisher.wait_applied(Revision(1), SHORT).await, Ok(()));
    // A later one is asked for anew.
    let text = reasons(fixture.publisher.wait_applied(Revision(3), SHORT).await);
    assert!(text.contains("has not applied revision 3: it still has revision 1"), "{text}");
}

#[tokio::test]
async fn a_listener_that_does_not_accept_holds_it_up() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.data_plane().await;
    data_plane.apply(&fixture.snapshot(1), vec![fault()]).await;
    fixture.shown(data_plane.instance, |shown| shown.applied_at.is_some()).await;
    let text = reasons(fixture.publisher.wait_applied(Revision(1), SHORT).await);
    assert!(text.contains("listener web 127.0.0.1:8080 is not accepting: address in use"), "{text}");

    let report = ToControl::Report(Report::default());
    let (result, ()) = wait_while(&fixture, 1, data_plane.send(report)).await;
    assert_eq!(result, Ok(()));
}

#[tokio::test]
async fn one_that_goes_is_missing_until_it_is_back() {
    let fixture = Fixture::start().await;
    let mut stays = fixture.data_plane().await;
    stays.apply(&fixture.snapshot(1), Vec::new()).await;
    let goes = fixture.data_plane().await;
    let instance = goes.instance;
    let leave = async {
        drop(goes);
        fixture.shown(instance, |shown| shown.state == DataPlaneState::Disconnected).await;
    };
    let (result, ()) = tokio::join!(fixture.publisher.wait_applied(Revision(1), Duration::from_secs(1)), leave);
    assert_eq!(reasons(result), format!("data plane {instance} is not connected"));

    // Again, but it comes back in time.
    let mut goes = fixture.dial().await;
    goes.instance = instance;
    goes.hello(None).await;
    goes.material().await;
    let leave_and_return = async {
        drop(goes);
        fixture.shown(instance, |shown| shown.state == DataPlaneState::Disconnected).await;
        let mut back = fixture.dial().await;
        back.instance = instance;
        back.hello(Some(fixture.snapshot(1).held())).await;
        back.material().await;
        back
    };
    let (result, _back) = wait_while(&fixture, 1, leave_and_return).await;
    assert_eq!(result, Ok(()));
}

#[tokio::test]
async fn a_foreign_one_fails_at_once_and_names_adopt() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.dial().await;
    data_plane.hello(Some(snapshot(StoreId(Uuid::new_v4()), 5).held())).await;
    fixture.shown(data_plane.instance, |shown| shown.foreign).await;
    let (result, ()) = wait_while(&fixture, 1, async {}).await;
    let text = reasons(result);
    let path = format!("POST /api/v1/data-planes/{}/adopt", data_plane.instance);
    assert!(text.contains("is foreign: it holds revision 5 of another store") && text.contains(&path), "{text}");

    // Adopted, it is waited for like any other, and its own revision 5 does not count.
    fixture.publisher.adopt(data_plane.instance).unwrap();
    let text = reasons(fixture.publisher.wait_applied(Revision(1), SHORT).await);
    assert!(text.contains("was adopted and still has its foreign configuration"), "{text}");
    let (result, ()) = wait_while(&fixture, 1, data_plane.apply(&fixture.snapshot(1), Vec::new())).await;
    assert_eq!(result, Ok(()));
}

#[tokio::test]
async fn it_ends_within_moments_of_the_frame() {
    let fixture = Fixture::start().await;
    let mut data_plane = fixture.data_plane().await;
    let mut fastest = Duration::MAX;
    for revision in 2..50 {
        fixture.publish(revision);
        data_plane.snapshot().await;
        let waiting = fixture.publisher.clone();
        let waiting = tokio::spawn(async move { waiting.wait_applied(Revision(revision), DEADLINE).await });
        let sent = Instant::now();
        data_plane.apply(&fixture.snapshot(revision), Vec::new()).await;
        assert_eq!(waiting.await.unwrap(), Ok(()));
        fastest = fastest.min(sent.elapsed());
    }
    // Far above what it takes and far below what polling would.
    assert!(fastest < Duration::from_millis(5), "{fastest:?}");
}
