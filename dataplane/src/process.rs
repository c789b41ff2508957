//! The data plane as a process: start, serve, drain, end.

use std::{io, sync::Arc, thread::available_parallelism, time::Duration};

use anyhow::Context;
use arc_swap::ArcSwap;
use rustix::process::{Pid, Resource, Rlimit, getppid, getrlimit, setrlimit};
use shared::{Origin, telemetry};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    access_log::AccessLog,
    admin::{Admin, Sources},
    apply::Applier,
    control::Follower,
    events::{Backlog, Events},
    file, health,
    live::Live,
    metrics::Metrics,
    options::Options,
    snapshot::Snapshot,
    state::StateDir,
    worker::Common,
};

/// Threads of the runtime beside the workers.
const SIDE_THREADS: usize = 2;

/// How long open requests may take to finish after the death of the parent.
const ORPHAN_DRAIN: Duration = Duration::from_secs(1);

/// Runs a data plane until SIGTERM or Ctrl-C, then drains it.
///
/// # Errors
/// It cannot start: a sentence that says why and what to do.
pub fn run(options: Options) -> anyhow::Result<()> {
    telemetry::init(&options.log_filter, options.log_format).map_err(anyhow::Error::msg)?;
    if let Some(parent) = options.exit_with_parent {
        exit_with_parent(parent)?;
    }
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SIDE_THREADS)
        .thread_name("side")
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(options));
    // Blocking threads may hang in a dead file system; the process does not wait for them.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

async fn serve(options: Options) -> anyhow::Result<()> {
    // All handlers first: a signal without one ends the process.
    let signals = Signals::install()?;
    let hurry = signals.hurry.clone();
    tokio::select! {
        ended = serve_until(options, signals) => ended,
        () = hurry.cancelled() => anyhow::bail!("a second signal: open requests are cut off"),
    }
}

async fn serve_until(options: Options, signals: Signals) -> anyhow::Result<()> {
    let Signals { shutdown, hangup, reopen, .. } = signals;
    let metrics = Metrics::new();
    metrics.watch_tasks();
    let (events, published) = Events::channel(&metrics);
    let backlog = Arc::new(Backlog::new(&metrics));
    // A file's data plane has nobody to tell.
    tokio::spawn(published.write_down(options.config.is_none().then(|| Arc::clone(&backlog))));
    let live = Arc::new(Live::new(metrics.clone(), events));
    tokio::spawn(health::watch(Arc::clone(&live)));
    let common = Common {
        snapshots: Arc::new(ArcSwap::from_pointee(Snapshot::empty(&live))),
        access_log: AccessLog::start(metrics.access_log_dropped.clone()).context("the access log cannot be started")?,
        metrics: metrics.clone(),
        connections: TaskTracker::new(),
    };
    let (connections, snapshots) = (common.connections.clone(), Arc::clone(&common.snapshots));
    let workers = options.workers.map_or_else(|| available_parallelism().map_or(1, usize::from), usize::from);
    let origin = if options.config.is_some() { Origin::File } else { Origin::Store };
    let admin = Admin::bind(options.admin_address).await?;
    let mut applier = Applier::start(workers, origin, options.log_dir.clone(), live, common)
        .context("the workers cannot be started")?;
    let sources = Sources { metrics, status: applier.status(), snapshots };
    let admin = tokio::spawn(admin.serve(sources));
    info!(workers, admin = %options.admin_address, "the data plane is up");
    reopen_on_signal(reopen, &applier);

    let unsaved = match &options.config {
        Some(path) => {
            file::follow(&mut applier, path, hangup, &shutdown).await?;
            None
        }
        None => {
            ignore_hangup(hangup);
            let state = Arc::new(StateDir::open(&options.state_dir)?);
            let follower = Follower::cold_start(&mut applier, state, backlog).await;
            Some(follower.follow(&options.control_socket, &shutdown).await)
        }
    };

    let drain_timeout = drain_timeout(&options);
    info!(timeout = ?drain_timeout, "draining");
    applier.close_listeners().await;
    connections.close();
    let draining = async {
        if tokio::time::timeout(drain_timeout, connections.wait()).await.is_err() {
            warn!(open = connections.len(), "connections did not finish in time and are cut off");
        }
    };
    let saving = async {
        if let Some(unsaved) = unsaved {
            unsaved.finish().await;
        }
    };
    tokio::join!(draining, saving);
    let ended = tokio::task::spawn_blocking(move || applier.end()).await;
    admin.abort();
    ended.context("a worker panicked at its end")
}

/// What signals ask for.
struct Signals {
    /// Cancelled by the first SIGTERM or Ctrl-C: drain and end.
    shutdown: CancellationToken,
    /// Cancelled by the second: end at once.
    hurry: CancellationToken,
    hangup: Signal,
    reopen: Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        let (shutdown, hurry) = (CancellationToken::new(), CancellationToken::new());
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let tokens = [shutdown.clone(), hurry.clone()];
        tokio::spawn(async move {
            for token in tokens {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                token.cancel();
            }
        });
        let (hangup, reopen) = (signal(SignalKind::hangup())?, signal(SignalKind::user_defined1())?);
        Ok(Self { shutdown, hurry, hangup, reopen })
    }
}

/// SIGUSR1 opens the access log's file anew.
fn reopen_on_signal(mut reopen: Signal, applier: &Applier) {
    let access_log = applier.access_log();
    tokio::spawn(async move {
        while reopen.recv().await.is_some() {
            let access_log = access_log.clone();
            let _ = tokio::task::spawn_blocking(move || access_log.reopen()).await;
        }
    });
}

/// SIGHUP asks to read a file again, and a data plane that follows a control plane has none.
fn ignore_hangup(mut hangup: Signal) {
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            info!("SIGHUP is ignored: the configuration comes from the control plane; SIGUSR1 reopens the access log");
        }
    });
}

/// Has the kernel send SIGTERM when `parent` ends; covers a parent that ended before this call.
fn exit_with_parent(parent: Pid) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    anyhow::ensure!(getppid() == Some(parent), "the parent process {parent} has ended");
    Ok(())
}

/// As many descriptors as the system grants: two for each request on its way, and the usual 1,024 are soon used up.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        warn!(%error, current = limit.current, "the limit of open files could not be raised");
    }
}

/// How long open requests may take to finish: little after the parent's death, for its successor waits for the addresses.
fn drain_timeout(options: &Options) -> Duration {
    let is_orphan = options.exit_with_parent.is_some_and(|parent| getppid() != Some(parent));
    let given = options.drain_timeout.duration();
    if is_orphan { given.min(ORPHAN_DRAIN) } else { given }
}
