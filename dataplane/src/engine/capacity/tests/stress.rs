//! Threads like workers, with the real pool and real sockets, that take and give back connections at random.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use http1::ResponseHead;
use tokio::{io::AsyncReadExt, net::UnixStream, sync::mpsc, task::JoinSet};

use super::super::Grant;
use crate::{
    engine::{
        Wanted,
        capacity::Permit,
        pool::Pool,
        stream::{Stream, Upstream},
    },
    events::Events,
    instant::Instant,
    live::{EndpointAddress, EndpointLive, Live},
    metrics::Metrics,
};

const WORKERS: u64 = 4;
const CLIENTS: u64 = 8;
const ROUNDS: u64 = 400;
const PATIENCE: Duration = Duration::from_secs(60);

/// What the backend sees.
#[derive(Default)]
struct Seen {
    open: AtomicU32,
    most: AtomicU32,
}

/// What a client does with its connections.
#[derive(Clone, Copy)]
enum Manners {
    /// It gives back what it takes, and sometimes ends it in an orderly way.
    Orderly,
    /// It also cuts connections off, leaves while it waits, and one worker ends before its clients do.
    Rude,
}

struct Worker {
    pool: Pool,
    endpoint: Arc<EndpointLive>,
    seen: Arc<Seen>,
    accepts: mpsc::UnboundedSender<UnixStream>,
}

impl Worker {
    async fn acquire(&self, fresh: bool) -> Box<Upstream> {
        let wanted = Wanted { is_fresh: fresh, greeting: None, is_repeatable: true };
        if let Some(upstream) = self.pool.take(&self.endpoint, wanted, Instant::now()) {
            return upstream;
        }
        if let Some(permit) = self.endpoint.capacity.try_open() {
            return self.open(permit);
        }
        match self.endpoint.capacity.wait(self.pool.bell(), !fresh).await {
            Grant::Open(permit) => self.open(permit),
            Grant::Use(upstream) => Box::new(upstream),
        }
    }

    fn open(&self, permit: Permit<Upstream>) -> Box<Upstream> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let open = self.seen.open.fetch_add(1, SeqCst) + 1;
        self.seen.most.fetch_max(open, SeqCst);
        self.accepts.send(theirs).unwrap();
        Box::new(Upstream::new(Stream::Unix(ours), permit, Instant::now()))
    }

    async fn client(&self, mut random: u64, manners: Manners) {
        for _ in 0..ROUNDS {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let is_rude = matches!(manners, Manners::Rude);
            let acquired = self.acquire(random.is_multiple_of(11));
            let upstream = if is_rude && random.is_multiple_of(5) {
                // A client that goes away after a moment.
                let patience = Duration::from_micros(random % 700);
                let Ok(upstream) = tokio::time::timeout(patience, acquired).await else { continue };
                upstream
            } else {
                tokio::time::timeout(PATIENCE, acquired).await.expect("a lost wake-up")
            };
            for _ in 0..random % 3 {
                tokio::task::yield_now().await;
            }
            match random % 7 {
                0 if is_rude => drop(upstream),
                1 => crate::engine::retire(&self.endpoint, upstream),
                _ => self.pool.put(&self.endpoint, upstream, &ResponseHead::default(), Instant::now()),
            }
        }
    }
}

/// A backend's end of each connection, until ours ends.
async fn backend(mut accepted: mpsc::UnboundedReceiver<UnixStream>, seen: Arc<Seen>) {
    while let Some(mut stream) = accepted.recv().await {
        let seen = Arc::clone(&seen);
        tokio::task::spawn_local(async move {
            let _ = stream.read(&mut [0; 1]).await;
            seen.open.fetch_sub(1, SeqCst);
        });
    }
}

fn stress(cap: u32, manners: Manners) {
    let live = Live::new(Metrics::new(), Events::unheard());
    let address = EndpointAddress::Ip("127.0.0.1:1".parse().unwrap());
    let endpoint = live.endpoint(&"u".parse().unwrap(), &"b".parse().unwrap(), &address);
    endpoint.capacity.configure(Some(cap), u32::MAX, None);
    let seen = Arc::new(Seen::default());
    thread::scope(|scope| {
        for index in 0..WORKERS {
            let (endpoint, seen) = (Arc::clone(&endpoint), Arc::clone(&seen));
            scope.spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
                runtime.block_on(async move {
                    let (accepts, accepted) = mpsc::unbounded_channel();
                    tokio::task::spawn_local(backend(accepted, Arc::clone(&seen)));
                    let worker = Rc::new(Worker { pool: Pool::default(), endpoint, seen, accepts });
                    let bell = Rc::clone(&worker);
                    let listening = tokio::task::spawn_local(async move {
                        loop {
                            bell.pool.serve_waiting().await;
                        }
                    });
                    let mut clients = JoinSet::new();
                    for client in 0..CLIENTS {
                        let worker = Rc::clone(&worker);
                        clients.spawn_local(async move { worker.client(index * 97 + client * 31 + 7, manners).await });
                    }
                    if index == 0 && matches!(manners, Manners::Rude) {
                        // This worker ends in the middle, with busy and idle connections and clients that wait.
                        for _ in 0..CLIENTS / 2 {
                            clients.join_next().await;
                        }
                        return;
                    }
                    clients.join_all().await;
                    // The others may still want what lies here.
                    let end = Instant::now() + PATIENCE;
                    while worker.endpoint.capacity.open() > 0 {
                        assert!(Instant::now() < end, "{} stay open", worker.endpoint.capacity.open());
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        worker.endpoint.capacity.configure(Some(cap), u32::MAX, None);
                        if worker.endpoint.capacity.open() == worker.endpoint.capacity.idle() {
                            worker.endpoint.pool.set(&shared::config::Pool { max_idle: 0, ..Default::default() });
                        }
                        worker.pool.sweep_all();
                    }
                    listening.abort();
                });
            });
        }
    });
    assert_eq!((endpoint.capacity.open(), endpoint.capacity.idle()), (0, 0));
    match manners {
        Manners::Orderly => assert!(seen.most.load(SeqCst) <= cap, "{} open at a cap of {cap}", seen.most.load(SeqCst)),
        // What is cut off is gone here before the backend sees its end.
        Manners::Rude => {}
    }
}

#[test]
fn orderly_workers_never_exceed_the_cap_and_nobody_waits_for_ever() {
    for cap in [1, 3] {
        stress(cap, Manners::Orderly);
    }
}

#[test]
fn no_place_is_lost_when_connections_are_cut_off_waiters_leave_and_a_worker_ends() {
    for cap in [1, 3] {
        stress(cap, Manners::Rude);
    }
}
