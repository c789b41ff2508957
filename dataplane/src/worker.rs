//! One worker: a thread with its own runtime, listener sockets and upstream connections.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    io,
    net::TcpListener,
    panic::AssertUnwindSafe,
    rc::Rc,
    sync::Arc,
    thread,
    time::Duration,
};

use arc_swap::{ArcSwap, Cache};
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::error;

use crate::{
    access_log::{AccessLog, Lines},
    admission::Admission,
    clock::Clock,
    engine::{Buffers, Deadlines, KEPT_SCRATCH, Pipes, Pool, Scratch, Upload},
    h2::{Arena, Links, Tasks},
    listener,
    metrics::Metrics,
    snapshot::{Listener, Snapshot},
};

/// How often upstream connections are closed that have lain idle too long.
const SWEEP: Duration = Duration::from_secs(1);

/// Every how many sweeps all idle upstream connections are looked through.
const SWEEPS: u32 = 5;

/// What all workers share.
#[derive(Clone)]
pub(crate) struct Common {
    /// The snapshot that acts.
    pub(crate) snapshots: Arc<ArcSwap<Snapshot>>,
    /// Where access-log lines go.
    pub(crate) access_log: AccessLog,
    /// Counters.
    pub(crate) metrics: Metrics,
    /// All client connections, to wait for while draining.
    pub(crate) connections: TaskTracker,
}

/// A worker as its own tasks see it; never leaves its thread.
pub(crate) struct Worker {
    /// Idle upstream connections.
    pub(crate) pool: Pool,
    /// Connections to HTTP/2 backends.
    pub(crate) links: Links,
    /// Tasks that wait for a stream of an HTTP/2 client.
    pub(crate) tasks: Tasks,
    /// Memory for the heads and short bodies of HTTP/2.
    pub(crate) arena: Arena,
    /// Memory for the frames of HTTP/2.
    pub(crate) memory: Rc<http2::Memory>,
    /// Buffers of connections that have something in them.
    pub(crate) buffers: Buffers,
    /// Pipes of large bodies.
    pub(crate) pipes: Pipes,
    /// Time-outs of connections.
    pub(crate) deadlines: Deadlines,
    /// Moments, dates and request ids.
    pub(crate) clock: Clock,
    /// Access-log lines on their way.
    pub(crate) access_log: Lines,
    /// Counters.
    pub(crate) metrics: Metrics,
    /// All client connections of the process.
    pub(crate) connections: TaskTracker,
    /// Whether the process ends, and with it what is still open.
    pub(crate) is_ending: Cell<bool>,
    snapshot: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    #[expect(clippy::vec_box, reason = "moved between a request and this list at the price of a pointer")]
    scratches: RefCell<Vec<Box<Scratch>>>,
}

impl Worker {
    /// Memory for a request, from the last one that ended.
    pub(crate) fn scratch(&self) -> Box<Scratch> {
        self.scratches.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes the memory of a request that ended.
    pub(crate) fn give_back(&self, mut scratch: Box<Scratch>) {
        // The connection may have ended inside a head.
        scratch.request.forget();
        // What was kept of a body goes with its request.
        scratch.upload = Upload::default();
        let mut scratches = self.scratches.borrow_mut();
        if scratches.len() < KEPT_SCRATCH {
            scratch.shrink();
            scratches.push(scratch);
        }
    }

    /// Looks at the snapshot that acts now. Without a clone: workers that count references to one snapshot slow each other
    /// down. `look` must not ask for the snapshot again.
    pub(crate) fn with_snapshot<T>(&self, look: impl FnOnce(&Arc<Snapshot>) -> T) -> T {
        look(self.snapshot.borrow_mut().load())
    }

    /// The snapshot that acts now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(self.snapshot.borrow_mut().load())
    }

    /// Runs `task` on this worker. A panic in it is counted and ends nothing else.
    pub(crate) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let worker = Rc::clone(self);
        // No async block: it would have room for the task twice, before it begins and while it runs.
        tokio::task::spawn_local(AssertUnwindSafe(task).catch_unwind().map(move |ended| {
            if ended.is_err() {
                worker.metrics.panics.inc();
                error!("a connection ended by a panic; this is a bug");
            }
        }));
    }
}

/// What a worker is told.
pub(crate) enum Command {
    /// Accept connections on a socket.
    Listen(Listen),
    /// Let go of the snapshot before this one and of connections to endpoints that are no more; then say so.
    Refresh(oneshot::Sender<()>),
}

/// A socket to accept on.
pub(crate) struct Listen {
    /// Bound and listening.
    pub(crate) socket: TcpListener,
    /// Where snapshots hold the listener.
    pub(crate) slot: usize,
    /// The listener as it is when the socket opens.
    pub(crate) listener: Arc<Listener>,
    /// Cancelled when the listener goes: accept what waits, then close.
    pub(crate) stop: CancellationToken,
    /// How many connections the listener has, on all workers.
    pub(crate) admission: Arc<Admission>,
    /// Dropped when the socket is closed.
    pub(crate) open: mpsc::Sender<()>,
}

/// A worker as others see it.
pub(crate) struct WorkerHandle {
    commands: mpsc::UnboundedSender<Command>,
    thread: thread::JoinHandle<()>,
}

impl WorkerHandle {
    /// Starts worker number `index`.
    ///
    /// # Errors
    /// The thread or its runtime cannot be made.
    pub(crate) fn start(index: usize, common: Common) -> io::Result<Self> {
        let (commands, queue) = mpsc::unbounded_channel();
        let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()) {
                Ok(runtime) => {
                    let _ = ready.send(Ok(()));
                    runtime.block_on(run(common, queue));
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
        is_ready.recv().map_err(io::Error::other)??;
        Ok(Self { commands, thread })
    }

    /// Tells the worker something; it acts on commands in order.
    pub(crate) fn tell(&self, command: Command) {
        // Fails only when the worker is gone, and then the process is ending.
        let _ = self.commands.send(command);
    }

    /// Ends the worker and waits for its thread. What it still has open is cut off.
    pub(crate) fn end(self) {
        drop(self.commands);
        let _ = self.thread.join();
    }
}

async fn run(common: Common, mut commands: mpsc::UnboundedReceiver<Command>) {
    common.metrics.watch_tasks();
    let worker = Rc::new(Worker {
        pool: Pool::default(),
        links: Links::default(),
        tasks: Tasks::default(),
        arena: Arena::default(),
        memory: Rc::default(),
        buffers: Buffers::default(),
        pipes: Pipes::default(),
        deadlines: Deadlines::new(),
        clock: Clock::new(),
        scratches: RefCell::default(),
        access_log: Lines::new(common.access_log),
        metrics: common.metrics,
        connections: common.connections,
        is_ending: Cell::new(false),
        snapshot: RefCell::new(Cache::new(common.snapshots)),
    });
    let deadlines = worker.deadlines.clone();
    tokio::task::spawn_local(async move { deadlines.run().await });
    let logging = Rc::clone(&worker);
    tokio::task::spawn_local(async move { logging.access_log.run().await });
    let mut sweep = tokio::time::interval(SWEEP);
    let mut sweeps = 0;
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Listen(listen)) => worker.spawn(listener::accept(Rc::clone(&worker), listen)),
                Some(Command::Refresh(done)) => {
                    drop(worker.snapshot());
                    worker.pool.sweep_all();
                    worker.links.sweep();
                    let _ = done.send(());
                }
                None => return worker.is_ending.set(true),
            },
            _ = sweep.tick() => {
                sweeps += 1;
                if sweeps % SWEEPS == 0 { worker.pool.sweep_all() } else { worker.pool.sweep() }
                worker.links.sweep();
            }
            endpoints = worker.pool.serve_waiting() => worker.links.serve_waiting(&endpoints),
        }
    }
}
