use shared::protocol::{Held, Persisted, Report, Revision, StoreId, ToControl};
use uuid::Uuid;

use super::{
    super::{AdoptError, DataPlaneState},
    fixture::{Fixture, Scripted, UNREADABLE, eventually, snapshot},
};

/// A data plane that dials and holds `held`.
async fn holding(fixture: &Fixture, held: Held) -> Scripted {
    let mut data_plane = fixture.dial().await;
    data_plane.hello(Some(held)).await;
    eventually("it is connected", || fixture.publisher.connected() > 0).await;
    data_plane
}

/// The same data plane again, on a new connection.
async fn redial(fixture: &Fixture, gone: Scripted, held: Held) -> Scripted {
    let mut data_plane = fixture.dial().await;
    data_plane.instance = gone.instance;
    drop(gone);
    fixture.shown(data_plane.instance, |shown| shown.state == DataPlaneState::Disconnected).await;
    data_plane.hello(Some(held)).await;
    fixture.shown(data_plane.instance, |shown| shown.state == DataPlaneState::Connected).await;
    data_plane
}

#[tokio::test]
async fn each_rule_makes_foreign_and_nothing_else_does() {
    let fixture = Fixture::start().await;
    fixture.publish(5);
    let (ours, other) = (fixture.store, StoreId(Uuid::new_v4()));
    let hash = |revision| snapshot(ours, revision).hash;
    // Revision 4 as it was stored, 3 with another body, 2 no longer known; 5 was made by a version that wrote it otherwise.
    fixture.past.0.lock().unwrap().extend([(4, hash(4)), (3, hash(30)), (5, hash(50))].map(|(n, h)| (Revision(n), h)));
    for (store, revision, body, reason) in [
        (other, 5, 5, Some("another store")),
        (other, 1, 1, Some("another store")),
        (ours, 6, 6, Some("newest revision of this store is 5")),
        (ours, 3, 3, Some("its revision 3 has the hash")),
        (ours, 5, 6, Some("its revision 5 has the hash")),
        (ours, 5, 5, None),
        (ours, 5, 50, None),
        (ours, 4, 4, None),
        (ours, 2, 99, None),
    ] {
        let case = format!("revision {revision} with body {body} of {store}");
        let mut data_plane = fixture.dial().await;
        data_plane.hello(Some(Held { store, revision: Revision(revision), hash: hash(body) })).await;
        let shown = fixture.shown(data_plane.instance, |_| true).await;
        assert_eq!(shown.foreign, reason.is_some(), "{case}");
        match reason {
            Some(reason) => assert!(shown.foreign_reason.unwrap().contains(reason), "{case}"),
            None => {
                data_plane.material().await;
                assert!(!data_plane.snapshot().await.adopt, "{case}");
                assert_eq!(fixture.publisher.adopt(data_plane.instance), Err(AdoptError::NotForeign), "{case}");
            }
        }
    }
    assert_eq!(fixture.publisher.adopt(shared::protocol::InstanceId(Uuid::nil())), Err(AdoptError::Unknown));
}

#[tokio::test]
async fn what_cannot_be_judged_is_foreign() {
    let fixture = Fixture::start().await;
    fixture.publish(5_000);
    let hash = snapshot(fixture.store, UNREADABLE.0).hash;
    let data_plane = holding(&fixture, Held { store: fixture.store, revision: UNREADABLE, hash }).await;
    let shown = fixture.shown(data_plane.instance, |_| true).await;
    assert!(shown.foreign && shown.foreign_reason.unwrap().contains("cannot be read"));
}

#[tokio::test]
async fn a_foreign_one_is_left_alone_until_it_is_adopted() {
    let fixture = Fixture::start().await;
    let theirs = snapshot(StoreId(Uuid::new_v4()), 7);
    let mut data_plane = holding(&fixture, theirs.held()).await;
    // What it says of itself is shown; what it says of snapshots that it was not sent is not believed.
    data_plane.send(ToControl::Persisted(Persisted { revision: Revision(7) })).await;
    data_plane.apply(&fixture.snapshot(1), Vec::new()).await;
    fixture.publish(2);
    fixture.publisher.adopt(data_plane.instance).unwrap();
    assert_eq!(fixture.publisher.adopt(data_plane.instance), Err(AdoptError::NotForeign));
    // The first frames since its hello.
    data_plane.material().await;
    let first = data_plane.snapshot().await;
    assert_eq!((first.revision, first.adopt), (Revision(2), true));
    let shown = fixture.shown(data_plane.instance, |_| true).await;
    assert_eq!((shown.applied_revision, shown.applied_store), (Some(Revision(7)), Some(theirs.store)));

    // Not applied yet, so the next one is marked too, and only that one's answer ends it.
    fixture.publish(3);
    assert!(data_plane.snapshot().await.adopt);
    data_plane.apply(&first, Vec::new()).await;
    data_plane.send(ToControl::Report(Report { dropped: 1, ..Report::default() })).await;
    fixture.shown(data_plane.instance, |shown| shown.dropped_reports == 1).await;
    fixture.publish(4);
    assert!(data_plane.snapshot().await.adopt);
    data_plane.apply(&fixture.snapshot(4), Vec::new()).await;
    fixture.shown(data_plane.instance, |shown| shown.applied_revision == Some(Revision(4))).await;
    fixture.publish(5);
    let ordinary = data_plane.snapshot().await;
    assert_eq!((ordinary.revision, ordinary.adopt), (Revision(5), false));
}

#[tokio::test]
async fn it_stays_foreign_when_our_revisions_grow_past_its_own() {
    let fixture = Fixture::start().await;
    let theirs = snapshot(fixture.store, 6).held();
    let data_plane = holding(&fixture, theirs).await;
    fixture.shown(data_plane.instance, |shown| shown.foreign).await;
    for revision in 2..10 {
        fixture.publish(revision);
    }
    let data_plane = redial(&fixture, data_plane, theirs).await;
    assert!(fixture.shown(data_plane.instance, |_| true).await.foreign);
    // With another configuration it is judged anew.
    let data_plane = redial(&fixture, data_plane, fixture.snapshot(9).held()).await;
    assert!(!fixture.shown(data_plane.instance, |_| true).await.foreign);
}

#[tokio::test]
async fn an_adoption_outlives_a_reconnect_but_not_another_configuration() {
    let fixture = Fixture::start().await;
    let store = StoreId(Uuid::new_v4());
    let theirs = snapshot(store, 7).held();
    let data_plane = holding(&fixture, theirs).await;
    let instance = data_plane.instance;
    fixture.shown(instance, |shown| shown.foreign).await;
    drop(data_plane);
    fixture.shown(instance, |shown| shown.state == DataPlaneState::Disconnected).await;
    fixture.publisher.adopt(instance).unwrap();

    let mut data_plane = fixture.dial().await;
    data_plane.instance = instance;
    data_plane.hello(Some(theirs)).await;
    data_plane.material().await;
    assert!(data_plane.snapshot().await.adopt);
    let mut data_plane = redial(&fixture, data_plane, theirs).await;
    data_plane.material().await;
    assert!(data_plane.snapshot().await.adopt);

    let data_plane = redial(&fixture, data_plane, snapshot(store, 8).held()).await;
    assert!(fixture.shown(data_plane.instance, |_| true).await.foreign);
}
