//! The life of a snapshot: validate, compile, swap, open listeners, refresh workers, close listeners, forget the old one.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use shared::{
    Findings, Origin,
    config::{self, Config},
    protocol::{ListenerFault, Revision},
};
use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use crate::{
    access_log::{AccessLog, Destination, Output},
    listener_set::ListenerSet,
    live::Live,
    snapshot::Snapshot,
    worker::{Command, Common, WorkerHandle},
};

/// How often a replaced snapshot is looked at until no request holds it.
const RELEASE: Duration = Duration::from_millis(100);

/// Brings configurations to act. There is one; whoever has it decides what acts.
pub(crate) struct Applier {
    origin: Origin,
    live: Arc<Live>,
    snapshots: Arc<ArcSwap<Snapshot>>,
    workers: Vec<WorkerHandle>,
    listeners: ListenerSet,
    access_log: AccessLog,
    destination: Destination,
    log_dir: PathBuf,
    config: Arc<Config>,
    status: watch::Sender<Status>,
}

/// What readiness is judged by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// The revision that acts; none before the first.
    pub(crate) revision: Option<Revision>,
    /// Listeners that should accept and do not.
    pub(crate) faults: Vec<ListenerFault>,
    /// Whether the process is ending.
    pub(crate) draining: bool,
}

impl Applier {
    /// Starts `workers` workers that serve nothing yet.
    ///
    /// # Errors
    /// A thread or a runtime cannot be made.
    pub(crate) fn start(
        workers: usize,
        origin: Origin,
        log_dir: PathBuf,
        live: Live,
        common: Common,
    ) -> std::io::Result<Self> {
        let (snapshots, access_log) = (Arc::clone(&common.snapshots), common.access_log.clone());
        let workers = (0..workers).map(|index| WorkerHandle::start(index, common.clone()));
        Ok(Self {
            origin,
            live: Arc::new(live),
            snapshots,
            workers: workers.collect::<std::io::Result<_>>()?,
            listeners: ListenerSet::default(),
            access_log,
            destination: Destination::Stdout,
            log_dir,
            config: Arc::default(),
            status: watch::Sender::default(),
        })
    }

    /// Readiness, and its changes.
    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Whether `config` would apply here. Its new listeners are bound and held for a moment.
    pub(crate) async fn check(&mut self, config: Config) -> (Findings, Vec<ListenerFault>) {
        let origin = self.origin;
        let checked = tokio::task::spawn_blocking(move || (shared::validate(&config, origin), config)).await;
        let Ok((findings, config)) = checked else { return (internal_fault(), Vec::new()) };
        if findings.has_errors() {
            return (findings, Vec::new());
        }
        let faults = self.listeners.hold(&config.listeners, self.workers.len());
        (findings, faults)
    }

    /// Brings `config` to act as `revision`. When this returns, every request that starts sees it.
    ///
    /// # Errors
    /// Findings; what acted before goes on.
    pub(crate) async fn apply(&mut self, config: Config, revision: Revision) -> Result<(), Findings> {
        let started = Instant::now();
        let previous = self.snapshots.load_full();
        let compiled = {
            let (origin, live, previous) = (self.origin, Arc::clone(&self.live), Arc::clone(&previous));
            tokio::task::spawn_blocking(move || compile(config, origin, revision, &live, &previous)).await
        };
        let (config, snapshot) = compiled.unwrap_or_else(|_| Err(internal_fault())).inspect_err(|findings| {
            self.live.metrics().rejected.inc();
            warn!(%revision, %findings, "a configuration was refused");
        })?;
        self.open_access_log(&config.settings.access_log).inspect_err(|findings| {
            self.live.metrics().rejected.inc();
            warn!(%revision, %findings, "a configuration was refused");
        })?;

        self.snapshots.store(Arc::clone(&snapshot));
        self.live.metrics().revision.set(revision.0);
        snapshot.forget_replaced(&previous, &self.live);
        let live = Arc::clone(&self.live);
        self.listeners.open(&config.listeners, &snapshot, |address| live.listener_slot(address), &self.workers);
        self.refresh_workers().await;
        self.listeners.close_others(&config.listeners).await;
        self.config = Arc::new(config);
        release(previous);

        self.live.metrics().applied.inc();
        self.publish_status(Some(revision));
        info!(%revision, duration_us = started.elapsed().as_micros() as u64, "configuration applied");
        Ok(())
    }

    /// Listeners that should accept and do not.
    pub(crate) fn faults(&self) -> &[ListenerFault] {
        self.listeners.faults()
    }

    /// To be called every second or so: tries listeners again that could not be bound, lets go of sockets held in vain.
    pub(crate) fn tick(&mut self) {
        self.listeners.release_expired();
        if !self.listeners.faults().is_empty() {
            let (snapshot, live) = (self.snapshots.load_full(), Arc::clone(&self.live));
            self.listeners.open(
                &self.config.listeners,
                &snapshot,
                |address| live.listener_slot(address),
                &self.workers,
            );
            // Not within the call: it takes the lock that `borrow` holds.
            let revision = self.status.borrow().revision;
            self.publish_status(revision);
        }
    }

    /// The access log.
    pub(crate) fn access_log(&self) -> AccessLog {
        self.access_log.clone()
    }

    /// Takes no new connections; those that are open finish the request under way and close.
    pub(crate) async fn close_listeners(&mut self) {
        self.status.send_modify(|status| status.draining = true);
        self.listeners.close_others(&[]).await;
    }

    /// Ends the workers; what they still have open is cut off.
    pub(crate) fn end(self) {
        for worker in self.workers {
            worker.end();
        }
        self.access_log.flush();
    }

    fn publish_status(&self, revision: Option<Revision>) {
        let faults = self.listeners.faults().to_vec();
        self.status.send_if_modified(|status| {
            let next = Status { revision, faults, draining: status.draining };
            let changed = *status != next;
            *status = next;
            changed
        });
    }

    async fn refresh_workers(&self) {
        let mut done = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (refreshed, is_refreshed) = oneshot::channel();
            worker.tell(Command::Refresh(refreshed));
            done.push(is_refreshed);
        }
        for is_refreshed in done {
            // Fails only when the worker is gone, and then the process is ending.
            let _ = is_refreshed.await;
        }
    }

    fn open_access_log(&mut self, settings: &config::AccessLog) -> Result<(), Findings> {
        let destination = match &settings.file {
            Some(file) if settings.enabled => Destination::File(self.log_dir.join(file)),
            _ => Destination::Stdout,
        };
        if destination == self.destination {
            return Ok(());
        }
        let output = Output::open(&destination).map_err(|error| {
            Findings::of_error("/settings/access_log/file", format!("the data plane cannot open this file: {error}"))
        })?;
        self.access_log.switch(output);
        self.destination = destination;
        Ok(())
    }
}

fn compile(
    mut config: Config,
    origin: Origin,
    revision: Revision,
    live: &Live,
    previous: &Snapshot,
) -> Result<(Config, Arc<Snapshot>), Findings> {
    config.canonicalize();
    let findings = shared::validate(&config, origin);
    if findings.has_errors() {
        return Err(findings);
    }
    let snapshot = Snapshot::compile(&config, revision, live, previous);
    Ok((config, Arc::new(snapshot)))
}

fn internal_fault() -> Findings {
    Findings::of_error("", "compiling the configuration panicked; this is a bug in the data plane")
}

/// Frees `snapshot` on a blocking thread once no request holds it: freeing 100,000 routes takes milliseconds.
fn release(snapshot: Arc<Snapshot>) {
    tokio::spawn(async move {
        while Arc::strong_count(&snapshot) > 1 {
            tokio::time::sleep(RELEASE).await;
        }
        tokio::task::spawn_blocking(move || drop(snapshot));
    });
}
