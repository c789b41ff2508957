//! The life of a snapshot: validate, compile, swap, open listeners, refresh workers, close listeners, forget the old one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use shared::{
    Findings, Origin,
    config::{self, Config},
    protocol::{ListenerFault, Revision},
    value::Name,
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tracing::{error, info, warn};

use crate::{
    access_log::{AccessLog, Destination},
    dns::Dns,
    instant::Instant,
    listener_set::ListenerSet,
    live::Live,
    metrics::Metrics,
    snapshot::Snapshot,
    worker::{Command, Common, WorkerHandle},
};

/// How often a replaced snapshot is looked at until no request holds it.
const RELEASE: Duration = Duration::from_millis(100);

/// How long opening the access log's file may take before the change goes on without it.
const OPEN_LOG: Duration = Duration::from_secs(5);

/// Brings configurations to act. There is one; whoever has it decides what acts.
pub(crate) struct Applier {
    origin: Origin,
    live: Arc<Live>,
    dns: Dns,
    snapshots: Arc<ArcSwap<Snapshot>>,
    workers: Vec<WorkerHandle>,
    listeners: ListenerSet,
    access_log: AccessLog,
    /// Where the access log should go and does not, for it cannot be opened.
    log_missing: Option<Destination>,
    /// An attempt to open it that has not ended in time.
    log_switch: Option<JoinHandle<std::io::Result<()>>>,
    log_dir: PathBuf,
    /// The listeners of the configuration that acts.
    wanted: Vec<config::Listener>,
    status: watch::Sender<Status>,
}

/// What readiness is judged by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// The revision that acts; none before the first.
    pub(crate) revision: Option<Revision>,
    /// Listeners that should accept and do not.
    pub(crate) faults: Vec<ListenerFault>,
    /// Why access-log lines do not go where they should; no reason to be unready.
    pub(crate) log_fault: Option<String>,
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
        live: Arc<Live>,
        common: Common,
    ) -> std::io::Result<Self> {
        let (snapshots, access_log) = (Arc::clone(&common.snapshots), common.access_log.clone());
        let workers = (0..workers).map(|index| WorkerHandle::start(index, common.clone()));
        Ok(Self {
            origin,
            dns: Dns::start(&live),
            live,
            snapshots,
            workers: workers.collect::<std::io::Result<_>>()?,
            listeners: ListenerSet::default(),
            access_log,
            log_missing: None,
            log_switch: None,
            log_dir,
            wanted: Vec::new(),
            status: watch::Sender::default(),
        })
    }

    /// Readiness, and its changes.
    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Whether `config` would apply here. Its new listeners are bound and held for a moment, its log file is opened.
    pub(crate) async fn check(&mut self, config: Config) -> (Findings, Vec<ListenerFault>) {
        let (origin, log) = (self.origin, self.log_destination(&config));
        let checked = tokio::task::spawn_blocking(move || {
            let findings = shared::validate(&config, origin);
            let openable = if findings.has_errors() { Ok(()) } else { log.open().map(drop) };
            let findings = openable.map_or_else(|error| unopenable(&error), |()| findings);
            (findings, config)
        })
        .await;
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
        self.log_missing = Some(self.log_destination(&config));
        self.switch_access_log().await;

        self.dns.prepare(&config.settings.dns, &snapshot).await;
        self.dns.swap(&snapshot, || {
            snapshot.configure_live();
            self.snapshots.store(Arc::clone(&snapshot));
            self.live.metrics().revision.set(revision.0);
            snapshot.forget_replaced(&previous, &self.live);
        });
        self.wanted = config.listeners;
        self.listeners.open(&self.wanted, &snapshot, &self.live, &self.workers);
        // They were held for this change, or for one that did not come.
        self.listeners.release_held();
        self.refresh_workers().await;
        self.listeners.close_others(&self.wanted).await;
        release(previous);

        self.live.metrics().applied.inc();
        self.publish_status(Some(revision));
        info!(%revision, duration_us = started.elapsed().as_micros() as u64, "configuration applied");
        Ok(())
    }

    /// Closes the breakers of all endpoints of `backend`, as if no call had ever been made.
    ///
    /// # Errors
    /// Why none was.
    pub(crate) fn reset_breaker(&self, upstream: &Name, backend: &Name) -> Result<(), &'static str> {
        let mut endpoints = self.live.endpoints_of(upstream);
        endpoints.retain(|endpoint| endpoint.backend == *backend);
        if endpoints.is_empty() {
            return Err("no endpoint of this backend is known here");
        }
        let now = Instant::now();
        let resets = endpoints.iter().filter(|endpoint| endpoint.gate.reset(now)).count();
        if resets > 0 { Ok(()) } else { Err("breaker_override keeps the breaker open") }
    }

    /// Listeners that should accept and do not.
    pub(crate) fn faults(&self) -> &[ListenerFault] {
        self.listeners.faults()
    }

    /// To be called every second or so: tries listeners again that could not be bound, and the access log that could not
    /// be opened; lets go of sockets held in vain.
    pub(crate) async fn tick(&mut self) {
        self.listeners.release_expired();
        self.switch_access_log().await;
        if !self.listeners.faults().is_empty() {
            self.listeners.open(&self.wanted, &self.snapshots.load(), &self.live, &self.workers);
            // Not within the call: it takes the lock that `borrow` holds.
            let revision = self.status.borrow().revision;
            self.publish_status(revision);
        }
    }

    /// The counters.
    pub(crate) fn metrics(&self) -> &Metrics {
        self.live.metrics()
    }

    /// What acts.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.load_full()
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
            let next = Status { revision, faults, ..status.clone() };
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

    fn log_destination(&self, config: &Config) -> Destination {
        match &config.settings.access_log.file {
            Some(file) if config.settings.access_log.enabled => Destination::File(self.log_dir.join(file)),
            _ => Destination::Stdout,
        }
    }

    /// Turns the access log to where it should go. Where that cannot be opened, traffic is served all the same: lines go
    /// where they went before, and it is tried again with every tick.
    async fn switch_access_log(&mut self) {
        let Some(destination) = self.log_missing.clone() else { return };
        // At most one thread hangs in a dead file system.
        if self.log_switch.as_ref().is_some_and(|switch| !switch.is_finished()) {
            return;
        }
        let access_log = self.access_log.clone();
        let mut switch = tokio::task::spawn_blocking(move || access_log.switch(&destination));
        let reason = match tokio::time::timeout(OPEN_LOG, &mut switch).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(error))) => Some(unopenable(&error).to_string()),
            Ok(Err(_)) => Some("opening the access log panicked; this is a bug in the data plane".to_owned()),
            Err(_) => {
                self.log_switch = Some(switch);
                Some("opening the access log takes too long".to_owned())
            }
        };
        if reason.is_none() {
            self.log_missing = None;
        }
        self.status.send_if_modified(|status| {
            let changed = status.log_fault != reason;
            if let Some(reason) = reason.as_ref().filter(|_| changed) {
                error!(reason, "access-log lines go where they went before; trying again and again");
            }
            status.log_fault = reason;
            changed
        });
    }
}

fn unopenable(error: &std::io::Error) -> Findings {
    Findings::of_error("/settings/access_log/file", format!("the data plane cannot open this file: {error}"))
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
