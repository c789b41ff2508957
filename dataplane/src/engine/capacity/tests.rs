mod stress;

use futures_util::FutureExt;

use super::*;

/// A connection that is nothing but its place.
struct Connection(Permit<Self>);

fn capacity(cap: Option<u32>) -> Arc<Capacity<Connection>> {
    let capacity = Arc::new(Capacity::new(1, &Arc::default()));
    set_cap(&capacity, cap);
    capacity
}

fn set_cap(capacity: &Capacity<Connection>, cap: Option<u32>) {
    capacity.configure(cap, u32::MAX, None);
}

/// Waits for a connection that may have fallen idle on `worker`, or only for a new one.
fn wait(capacity: &Arc<Capacity<Connection>>, worker: Option<&Arc<Bell>>) -> Waiting<Connection> {
    capacity.wait(worker.unwrap_or(&Arc::default()), worker.is_some())
}

fn granted(waiting: &mut Waiting<Connection>) -> Option<Grant<Connection>> {
    waiting.now_or_never()
}

#[test]
fn without_a_cap_everybody_gets_a_place() {
    let capacity = capacity(None);
    let permits: Vec<_> = (0..1000).map(|_| capacity.try_open().unwrap()).collect();
    assert!(!capacity.is_capped() && capacity.open() == 1000);
    drop(permits);
    assert_eq!(capacity.open(), 0);
}

#[test]
fn places_go_to_who_came_first_and_past_who_left() {
    let capacity = capacity(Some(1));
    let first = capacity.try_open().unwrap();
    assert!(capacity.try_open().is_none());
    let mut waiting: Vec<_> = (0..4).map(|_| wait(&capacity, None)).collect();
    // Who leaves the queue, and who was granted a place and leaves before seeing it.
    drop(waiting.remove(0));
    drop(first);
    assert!(capacity.try_open().is_none(), "nobody overtakes the queue");
    drop(waiting.remove(0));
    let Some(Grant::Open(permit)) = granted(&mut waiting[0]) else { panic!("the third is next") };
    assert!(granted(&mut waiting[1]).is_none());
    drop(permit);
    let Some(Grant::Open(last)) = granted(&mut waiting[1]) else { panic!("the fourth is next") };
    drop((waiting, last));
    assert_eq!((capacity.open(), capacity.places.is_waited_for()), (0, false));
}

#[test]
fn an_idle_connection_is_given_to_its_own_worker_and_closed_for_another() {
    let capacity = capacity(Some(2));
    let (mine, other) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    let [one, two] = [(); 2].map(|()| Connection(capacity.try_open().unwrap()));
    assert!(matches!(capacity.turn_of_idle(&mine), Turn::Keep));

    let mut waiting = [&other, &mine, &mine].map(|bell| wait(&capacity, Some(bell)));
    let Turn::Close = capacity.turn_of_idle(&mine) else { panic!("the first is of another worker") };
    // While that one closes, the next connection is for the second in the queue.
    let Turn::Give(waiter) = capacity.turn_of_idle(&mine) else { panic!("the second is of this worker") };
    assert!(waiter.send(Grant::Use(two)).is_ok());
    let Some(Grant::Use(two)) = granted(&mut waiting[1]) else { panic!("it was given") };
    let mut closing = one.0;
    closing.closes();
    drop(closing);
    let Some(Grant::Open(place)) = granted(&mut waiting[0]) else { panic!("the place of the closed one") };
    // Only a new connection does for somebody whose pooled one was stale.
    let mut fresh = wait(&capacity, None);
    drop(waiting);
    assert!(matches!(capacity.turn_of_idle(&mine), Turn::Close));
    let mut closing = two.0;
    closing.closes();
    drop(closing);
    assert!(matches!(granted(&mut fresh), Some(Grant::Open(_))));
    drop((place, fresh));
    assert_eq!(capacity.open(), 0);
}

#[tokio::test]
async fn workers_with_idle_connections_are_told() {
    let capacity = capacity(Some(1));
    let (idle, none) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    let shelves = [capacity.count_idle_of(&idle), capacity.count_idle_of(&none)];
    let permit = capacity.try_open().unwrap();
    shelves[0].set(1, true);
    let _waiting = [wait(&capacity, Some(&none)), wait(&capacity, Some(&none))];
    assert_eq!(idle.heard().now_or_never(), Some(vec![1]));
    assert_eq!(none.heard().now_or_never(), None);
    assert_eq!(capacity.idle(), 1);
    capacity.forget(&shelves[0]);
    assert_eq!(capacity.idle(), 0);
    drop(permit);
}

#[test]
fn a_changed_cap_acts_at_once_and_surplus_goes_as_it_falls_idle() {
    let capacity = capacity(Some(1));
    let bell = Arc::new(Bell::default());
    let mut permits = vec![capacity.try_open().unwrap()];
    let mut waiting: Vec<_> = (0..3).map(|_| wait(&capacity, Some(&bell))).collect();
    set_cap(&capacity, Some(3));
    for waiting in &mut waiting[..2] {
        let Some(Grant::Open(permit)) = granted(waiting) else { panic!("there is room for two more") };
        permits.push(permit);
    }
    assert!(granted(&mut waiting[2]).is_none());
    drop(waiting);
    set_cap(&capacity, Some(1));
    for _ in 0..2 {
        assert!(matches!(capacity.turn_of_idle(&bell), Turn::Close));
        let mut permit = permits.pop().unwrap();
        permit.closes();
        drop(permit);
    }
    assert!(matches!(capacity.turn_of_idle(&bell), Turn::Keep));
    assert!(capacity.try_open().is_none());
    set_cap(&capacity, None);
    assert!(capacity.try_open().is_some());
}

#[tokio::test]
async fn endpoints_of_a_backend_share_its_places() {
    let places = Arc::default();
    let [one, two] = [1, 2].map(|endpoint| Arc::new(Capacity::<Connection>::new(endpoint, &places)));
    set_cap(&one, Some(2));
    let [first, second] = [&one, &two].map(|endpoint| Connection(endpoint.try_open().unwrap()));
    assert_eq!((one.open(), two.open()), (1, 1));
    assert!(one.try_open().is_none() && two.try_open().is_none());

    let bell = Arc::new(Bell::default());
    let shelf = one.count_idle_of(&bell);
    shelf.set(1, true);
    assert_eq!((one.idle(), two.idle()), (1, 0));
    let mut waiting = wait(&two, Some(&bell));
    assert_eq!(bell.heard().now_or_never(), Some(vec![1]), "the connection to the other endpoint goes");
    let Turn::Close = one.turn_of_idle(&bell) else { panic!("it leads to the wrong endpoint") };
    let mut closing = first.0;
    closing.closes();
    drop(closing);
    let Some(Grant::Open(third)) = granted(&mut waiting) else { panic!("there is a place") };
    assert_eq!((one.open(), two.open()), (0, 2));
    drop((second, third));
    assert_eq!((one.open(), two.open()), (0, 0));
}

#[test]
fn so_many_requests_wait_and_those_besides_for_whom_there_is_a_place_in_a_moment() {
    let capacity = capacity(Some(2));
    capacity.configure(Some(2), 2, None);
    let mut permits = [(); 2].map(|()| capacity.try_open().unwrap());
    let mut pending = vec![capacity.pend().unwrap(), capacity.pend().unwrap()];
    assert!(capacity.pend().is_none());
    // Who leaves makes room, and a lower limit sends nobody away.
    pending.pop();
    capacity.configure(Some(2), 0, None);
    assert_eq!(capacity.pending(), 1);
    pending.clear();
    assert!(capacity.pend().is_none());
    // One connection lies idle.
    let bell = Arc::new(Bell::default());
    let shelf = capacity.count_idle_of(&bell);
    shelf.set(1, true);
    pending.push(capacity.pend().unwrap());
    assert!(capacity.pend().is_none(), "there is one for one");
    // Then it is being closed for the one who waits, and then its place is free.
    let mut waiting = wait(&capacity, None);
    shelf.set(0, true);
    assert!(matches!(capacity.turn_of_idle(&bell), Turn::Close));
    assert!(capacity.pend().is_none());
    permits[0].closes();
    let [first, _second] = permits;
    drop(first);
    assert!(matches!(granted(&mut waiting), Some(Grant::Open(_))));
    pending.clear();
    assert!(capacity.pend().is_some(), "a place became free before anybody waited");
    // One that is closed for a reason of its own, said twice.
    let mut leaving = capacity.try_open().unwrap();
    assert!(capacity.pend().is_none());
    leaving.leaves();
    leaving.leaves();
    pending.push(capacity.pend().unwrap());
    assert!(capacity.pend().is_none(), "there is one for one");
    drop((leaving, pending));
    assert_eq!((capacity.pending(), capacity.queue_timeout()), (0, None));
    capacity.configure(Some(2), 0, Some(Duration::from_millis(7)));
    assert_eq!(capacity.queue_timeout(), Some(Duration::from_millis(7)));
}

#[test]
fn a_shared_connection_gives_way_to_others_and_not_to_its_own_worker() {
    let capacity = capacity(Some(2));
    let (mine, other) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    let mut permits: Vec<_> = (0..2).map(|_| capacity.try_open().unwrap()).collect();
    let own = capacity.wait(&mine, false);
    assert!(!capacity.gives_way(&mine));
    let mut theirs = capacity.wait(&other, false);
    assert!(capacity.gives_way(&mine));
    permits[0].closes();
    assert!(capacity.gives_way(&mine), "the place of the first is for who waits longer");
    permits[1].closes();
    assert!(!capacity.gives_way(&mine), "there is a place for both");
    drop(own);
    permits.clear();
    assert!(matches!(granted(&mut theirs), Some(Grant::Open(_))));
    // More than may be.
    let mut permits = [(); 2].map(|()| capacity.try_open().unwrap());
    assert!(!capacity.gives_way(&mine));
    set_cap(&capacity, Some(1));
    assert!(capacity.gives_way(&mine));
    permits[0].closes();
    assert!(!capacity.gives_way(&mine));
    drop(permits);
    // One that was to close, and does not for its requests are long.
    let permit = capacity.try_open().unwrap();
    let _theirs = capacity.wait(&other, false);
    assert!(capacity.gives_way(&mine) && !capacity.gives_way(&mine));
    capacity.stays();
    assert!(capacity.gives_way(&mine));
    capacity.stays();
    drop(permit);
}
