//! Following a control plane: the data plane's side of the snapshot protocol.

mod reporter;

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use shared::{
    Findings,
    config::SCHEMA,
    document,
    protocol::{
        Applied, Check, Checked, Command, FrameCodec, FrameError, Held, Hello, Material, Persisted, Rejected, Report,
        Revision, Snapshot, ToControl, ToData, VERSION,
    },
};
use tokio::{
    net::{UnixStream, unix::OwnedWriteHalf},
    sync::{mpsc, watch},
    task::{JoinHandle, yield_now},
    time::{MissedTickBehavior, interval, sleep, sleep_until, timeout},
};
use tokio_util::{
    codec::{FramedRead, FramedWrite},
    sync::CancellationToken,
};
use tracing::{info, warn};

use crate::{apply::Applier, events::Backlog, instant::Instant, state::StateDir};
use reporter::Reporter;

/// Waits between attempts to reach the control plane: from the first, doubled up to the last, each jittered.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often listeners that could not be bound are tried again, and reports made.
const TICK: Duration = Duration::from_secs(1);
/// How long the control plane may take to read a frame.
const WRITE: Duration = Duration::from_secs(10);
/// How long a transition may wait for others, to be reported with them.
const GATHER: Duration = Duration::from_millis(100);
/// Frames that may wait to be written; one that must not be lost and finds no place ends the connection.
const QUEUE: usize = 64;
/// Places in the queue that reports leave to other frames.
const RESERVED: usize = QUEUE / 2;
/// How long after a failed write of the disk copy it is tried again.
const SAVE_AGAIN: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the disk copy, beside open requests.
const LAST_SAVE: Duration = Duration::from_secs(2);

/// A data plane that follows a control plane.
pub(crate) struct Follower<'a> {
    applier: &'a mut Applier,
    state: Arc<StateDir>,
    /// What acts, and where it came from.
    held: Option<Held>,
    persisted: watch::Receiver<Option<Revision>>,
    save: watch::Sender<Option<Arc<Snapshot>>>,
    /// What came last, whether it is of the store that acts or of one that may be adopted next.
    material: Option<Arc<Material>>,
    save_material: watch::Sender<Option<Arc<Material>>>,
    /// Transitions that the control plane was not told of.
    backlog: Arc<Backlog>,
}

impl<'a> Follower<'a> {
    /// Starts from the state directory: the newest snapshot there that applies acts at once.
    pub(crate) async fn cold_start(applier: &'a mut Applier, state: Arc<StateDir>, backlog: Arc<Backlog>) -> Self {
        let (mut held, mut on_disk) = (None, None);
        for snapshot in state.snapshots() {
            match read(&snapshot).await {
                Ok(config) => {
                    if applier.apply(config, snapshot.revision).await.is_ok() {
                        info!(revision = %snapshot.revision, "started from disk");
                        (held, on_disk) = (Some(snapshot.held()), Some(snapshot.revision));
                        break;
                    }
                }
                Err(findings) => warn!(revision = %snapshot.revision, %findings, "a snapshot on disk is not used"),
            }
        }
        let material = state.material().map(Arc::new);
        let (persisted_sender, persisted) = watch::channel(on_disk);
        let (save, unsaved) = watch::channel(None);
        let disk = Arc::clone(&state);
        tokio::spawn(keep_saved(unsaved, move |snapshot: &Snapshot| {
            disk.save_snapshot(snapshot)?;
            persisted_sender.send_replace(Some(snapshot.revision));
            Ok(())
        }));
        let (save_material, unsaved) = watch::channel(material.clone());
        let disk = Arc::clone(&state);
        tokio::spawn(keep_saved(unsaved, move |material: &Material| disk.save_material(material)));
        Self { applier, state, held, persisted, save, material, save_material, backlog }
    }

    /// Follows the control plane at `socket`, whenever it is there, until `shutdown`; answers what is still to be saved.
    pub(crate) async fn follow(mut self, socket: &Path, shutdown: &CancellationToken) -> Unsaved {
        let mut wait = BACKOFF.0;
        let mut told = false;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !shutdown.is_cancelled() {
            match UnixStream::connect(socket).await {
                Ok(stream) => {
                    info!(socket = %socket.display(), "connected to the control plane");
                    let since = Instant::now();
                    match self.session(stream, shutdown).await {
                        Ok(()) if shutdown.is_cancelled() => break,
                        Ok(()) => warn!("the control plane closed the connection"),
                        Err(error) => warn!(%error, "the connection to the control plane failed"),
                    }
                    told = false;
                    if since.elapsed() > BACKOFF.1 {
                        wait = BACKOFF.0;
                    }
                }
                Err(error) => {
                    if !told {
                        warn!(socket = %socket.display(), %error, "the control plane cannot be reached; trying again and again");
                    }
                    told = true;
                }
            }
            let pause = sleep(jittered(wait));
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    _ = tick.tick() => self.applier.tick().await,
                    () = shutdown.cancelled() => break,
                }
            }
            wait = (wait * 2).min(BACKOFF.1);
        }
        Unsaved { save: self.save, persisted: self.persisted }
    }

    /// One connection, until it ends or `shutdown`. Nothing that was begun with a frame is left half done.
    async fn session(&mut self, stream: UnixStream, shutdown: &CancellationToken) -> Result<(), FrameError> {
        let (reading, writing) = stream.into_split();
        let mut frames = FramedRead::new(reading, FrameCodec::<ToData, ToControl>::default());
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let out = Outgoing { queue: outgoing, dropped: 0 };
        let mut writer = tokio::spawn(write(writing, queue));
        let ended = self.converse(&mut frames, out, &mut writer, shutdown).await;
        writer.abort();
        ended
    }

    async fn converse<R>(
        &mut self,
        frames: &mut R,
        mut out: Outgoing,
        writer: &mut JoinHandle<Result<(), FrameError>>,
        shutdown: &CancellationToken,
    ) -> Result<(), FrameError>
    where
        R: StreamExt<Item = Result<ToData, FrameError>> + Unpin,
    {
        out.must(ToControl::Hello(Hello {
            protocol: VERSION,
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: self.state.instance,
            applied: self.held,
            persisted: *self.persisted.borrow_and_update(),
        }))?;
        let mut reporter = Reporter::new();
        let backlog = Arc::clone(&self.backlog);
        // When transitions that wait are reported.
        let mut gathered = None;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                written = &mut *writer => return written.unwrap_or(Err(FrameError::Truncated)),
                frame = frames.next() => match frame {
                    None => return Ok(()),
                    Some(frame) => match frame? {
                        ToData::Check(check) => out.must(ToControl::Checked(self.check(check).await))?,
                        ToData::Snapshot(snapshot) => out.must(self.snapshot(snapshot).await)?,
                        ToData::Material(material) => self.material(material),
                        ToData::Command(Command::Report) => {
                            reporter = Reporter::new();
                            reporter.begin(&self.applier.snapshot(), Instant::now());
                        }
                        ToData::Command(Command::ResetBreaker { id, upstream, backend }) => {
                            let refused = self.applier.reset_breaker(&upstream, &backend).err();
                            let findings = refused.map_or_else(Findings::default, |why| Findings::of_error("", why));
                            out.must(ToControl::Checked(Checked { id, findings, listeners: Vec::new() }))?;
                        }
                    },
                },
                changed = self.persisted.changed() => {
                    let revision = *self.persisted.borrow_and_update();
                    if let (Ok(()), Some(revision)) = (changed, revision) {
                        out.must(ToControl::Persisted(Persisted { revision }))?;
                    }
                }
                _ = tick.tick() => {
                    self.applier.tick().await;
                    reporter.begin(&self.applier.snapshot(), Instant::now());
                    self.report(&mut reporter, &mut out);
                }
                // What one report has no room for. Other frames have their turn in between.
                () = yield_now(), if reporter.has_more() && out.has_room() => self.report(&mut reporter, &mut out),
                () = backlog.arrived(), if gathered.is_none() => gathered = Some(tokio::time::Instant::now() + GATHER),
                () = until(gathered) => {
                    self.report(&mut reporter, &mut out);
                    gathered = (backlog.len() > 0).then(|| tokio::time::Instant::now() + GATHER);
                }
            }
        }
    }

    /// Sends one report; without a place for it what it would have told comes in a later one.
    fn report(&self, reporter: &mut Reporter, out: &mut Outgoing) {
        if !out.has_room() {
            out.dropped += 1;
            self.applier.metrics().reports_dropped.inc();
            return;
        }
        let events = self.backlog.take(Report::MAX_EVENTS);
        reporter.hurry(events.iter().map(|event| &event.upstream));
        let report = Report {
            listeners: self.applier.faults().to_vec(),
            dropped: out.dropped,
            events,
            events_lost: self.backlog.lost(),
            ..reporter.next(&self.applier.snapshot(), Instant::now())
        };
        // There is room, and nobody else sends.
        let _ = out.queue.try_send(ToControl::Report(report));
    }

    async fn check(&mut self, check: Check) -> Checked {
        let body = check.body;
        let parsed = tokio::task::spawn_blocking(move || document::from_json(body.get().as_bytes())).await;
        let (findings, listeners) = match parsed {
            Ok(Ok(config)) => self.applier.check(config).await,
            Ok(Err(findings)) => (findings, Vec::new()),
            Err(_) => (
                Findings::of_error("", "reading the configuration panicked; this is a bug in the data plane"),
                Vec::new(),
            ),
        };
        Checked { id: check.id, findings, listeners }
    }

    /// Brings a snapshot to act, or says why not.
    async fn snapshot(&mut self, snapshot: Snapshot) -> ToControl {
        let started = Instant::now();
        let (revision, hash) = (snapshot.revision, snapshot.hash);
        match self.apply(snapshot).await {
            Ok(()) => ToControl::Applied(Applied {
                revision,
                hash,
                duration_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
                listeners: self.applier.faults().to_vec(),
            }),
            Err(findings) => ToControl::Rejected(Rejected { revision, findings }),
        }
    }

    async fn apply(&mut self, snapshot: Snapshot) -> Result<(), Findings> {
        let next = snapshot.held();
        if let Some(held) = self.held {
            if held == next {
                return Ok(());
            }
            // The control plane asks an operator first; this guards live traffic should it forget.
            if !snapshot.adopt && (held.store != next.store || next.revision <= held.revision) {
                let reason = format!(
                    "the data plane holds revision {} ({}) of store {}; revision {} ({}) of store {} must be adopted first",
                    held.revision, held.hash, held.store, next.revision, next.hash, next.store
                );
                warn!(reason, "a snapshot was refused");
                return Err(Findings::of_error("", reason));
            }
        }
        let config = read(&snapshot)
            .await
            .inspect_err(|findings| warn!(revision = %next.revision, %findings, "a snapshot was refused"))?;
        self.applier.apply(config, next.revision).await?;
        self.held = Some(next);
        self.keep_material();
        self.save.send_replace(Some(Arc::new(snapshot)));
        Ok(())
    }

    /// Keeps material. It comes before its snapshot, and replaces the copy on disk only if that acts.
    fn material(&mut self, material: Material) {
        self.material = Some(Arc::new(material));
        self.keep_material();
    }

    fn keep_material(&self) {
        let (Some(material), Some(held)) = (&self.material, self.held) else { return };
        if material.store == held.store {
            self.save_material.send_if_modified(|saved| {
                let changed = saved.as_ref() != Some(material);
                *saved = Some(Arc::clone(material));
                changed
            });
        }
    }
}

/// What may not lie on disk yet when a follower ends.
pub(crate) struct Unsaved {
    save: watch::Sender<Option<Arc<Snapshot>>>,
    persisted: watch::Receiver<Option<Revision>>,
}

impl Unsaved {
    /// Waits until the newest snapshot lies on disk, for a while.
    pub(crate) async fn finish(mut self) {
        let Some(newest) = self.save.borrow().as_ref().map(|snapshot| snapshot.revision) else { return };
        let saved = self.persisted.wait_for(|persisted| *persisted == Some(newest));
        if timeout(LAST_SAVE, saved).await.is_err() {
            warn!(revision = %newest, "the newest snapshot could not be saved before the end");
        }
    }
}

/// Reads a snapshot's body off the runtime's threads.
async fn read(snapshot: &Snapshot) -> Result<shared::config::Config, Findings> {
    let snapshot = snapshot.clone();
    let parsed = tokio::task::spawn_blocking(move || snapshot.config()).await;
    parsed.unwrap_or_else(|_| {
        Err(Findings::of_error("", "reading the snapshot panicked; this is a bug in the data plane"))
    })
}

/// Saves the newest of `unsaved` whenever there is a new one; those in between are passed over.
async fn keep_saved<T: Send + Sync + 'static>(
    mut unsaved: watch::Receiver<Option<Arc<T>>>,
    save: impl Fn(&T) -> std::io::Result<()> + Send + Sync + 'static,
) {
    let save = Arc::new(save);
    while unsaved.changed().await.is_ok() {
        loop {
            let Some(newest) = unsaved.borrow_and_update().clone() else { break };
            let save = Arc::clone(&save);
            match tokio::task::spawn_blocking(move || save(&newest)).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => warn!(
                    %error,
                    "the copy for a start without the control plane could not be saved; trying again"
                ),
                Err(_) => warn!("saving panicked; trying again"),
            }
            // A newer one ends the wait.
            if let Ok(Err(_)) = timeout(SAVE_AGAIN, unsaved.changed()).await {
                return;
            }
        }
    }
}

/// Frames on their way to the control plane.
struct Outgoing {
    queue: mpsc::Sender<ToControl>,
    dropped: u64,
}

impl Outgoing {
    /// Queues a frame that must arrive.
    fn must(&self, frame: ToControl) -> Result<(), FrameError> {
        self.queue.try_send(frame).map_err(|_| FrameError::Io(std::io::Error::other("the control plane does not read")))
    }

    /// Whether there is a place for a report.
    fn has_room(&self) -> bool {
        self.queue.capacity() > RESERVED
    }
}

/// Waits until `moment`; forever if there is none.
async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn write(socket: OwnedWriteHalf, mut queue: mpsc::Receiver<ToControl>) -> Result<(), FrameError> {
    let mut frames = FramedWrite::new(socket, FrameCodec::<ToData, ToControl>::default());
    while let Some(frame) = queue.recv().await {
        let written = timeout(WRITE, frames.send(&frame)).await;
        written.map_err(|_| FrameError::Io(std::io::ErrorKind::TimedOut.into()))??;
    }
    Ok(())
}

/// Half to all of `wait`, so that many data planes do not come back at one moment.
fn jittered(wait: Duration) -> Duration {
    let [random] = shared::seal::random::<1>();
    wait / 2 + (wait / 2).mul_f64(f64::from(random) / 255.0)
}
