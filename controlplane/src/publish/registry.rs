//! All data planes that are known.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use shared::{
    protocol::{Checked, Held, Hello, InstanceId, Report, Revision},
    value::{Name, Timestamp},
};

use super::{
    bounds,
    data_plane::DataPlane,
    entry::{Entry, Link, Progress, Push},
    events::{EventLog, Occurrence},
    status::DataPlaneLive,
};

/// Check frames that may wait for a slow data plane.
const WAITING_CHECKS: usize = 8;

/// Why a data plane was not adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// No data plane of this id was seen.
    #[error("no data plane with this id is known")]
    Unknown,
    /// Its configuration is this store's already, or it was adopted before.
    #[error("the data plane is not foreign")]
    NotForeign,
}

/// The data planes by their ids, the disconnected ones of the last while included.
pub(super) struct Registry {
    entries: Mutex<BTreeMap<InstanceId, Entry>>,
    changes: watch::Sender<()>,
    connections: AtomicU64,
    most: usize,
    events: Arc<EventLog>,
}

impl Registry {
    /// Nobody; at most `most` will be remembered.
    pub(super) fn new(most: usize, events: Arc<EventLog>) -> Self {
        let (entries, changes) = (Mutex::default(), watch::Sender::new(()));
        Self { entries, changes, connections: AtomicU64::new(0), most, events }
    }

    /// Enters a data plane that said hello; its older connection ends. `foreign` as in [`Entry::connect`].
    pub(super) fn join(self: &Arc<Self>, hello: &Hello, foreign: Option<String>) -> (Member, Inbox) {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        let (checks, waiting_checks) = mpsc::channel(WAITING_CHECKS);
        let wake = Arc::new(Notify::new());
        let replaced = CancellationToken::new();
        let link = Link {
            connection,
            replaced: replaced.clone(),
            wake: wake.clone(),
            checks,
            asked: HashMap::new(),
            sent: None,
        };
        let foreign = {
            let mut entries = self.lock();
            if entries.len() >= self.most && !entries.contains_key(&hello.instance) {
                forget_one(&mut entries);
            }
            let entry = entries.entry(hello.instance).or_insert_with(|| Entry::new(hello));
            entry.connect(hello, foreign, link);
            entry.foreign().map(str::to_owned)
        };
        let (data_plane, revision) = (hello.instance, hello.applied.map(|held| held.revision.0));
        let version = bounds::text(&hello.version, bounds::VERSION);
        info!(%data_plane, revision, version, "data plane connected");
        self.tell(data_plane, Occurrence::DataPlaneConnected { version });
        if let Some(reason) = foreign {
            warn!(%data_plane, revision, reason, "data plane is foreign and left alone until it is adopted");
        }
        self.changes.send_replace(());
        let member = Member { registry: self.clone(), instance: hello.instance, connection };
        (member, Inbox { replaced, wake, checks: waiting_checks })
    }

    /// Wakes at every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Who is connected.
    pub(super) fn connected(&self) -> Vec<InstanceId> {
        self.lock().iter().filter(|(_, entry)| entry.link.is_some()).map(|(instance, _)| *instance).collect()
    }

    /// All that is shown.
    pub(super) fn data_planes(&self) -> Vec<DataPlane> {
        self.lock().values().map(Entry::shown).collect()
    }

    /// What is known of the upstream `name`.
    pub(super) fn live(&self, name: &Name) -> Vec<DataPlaneLive> {
        self.lock().values().filter_map(|entry| entry.live(name)).collect()
    }

    /// Adds an event about `data_plane`.
    fn tell(&self, data_plane: InstanceId, what: Occurrence) {
        self.events.add(Timestamp::now(), Some(data_plane), what);
    }

    /// See [`super::Publisher::adopt`].
    pub(super) fn adopt(&self, instance: InstanceId) -> Result<(), AdoptError> {
        if !self.lock().get_mut(&instance).ok_or(AdoptError::Unknown)?.adopt() {
            return Err(AdoptError::NotForeign);
        }
        info!(data_plane = %instance, "data plane is adopted");
        self.changes.send_replace(());
        Ok(())
    }

    /// What each of `waited` and of the connected ones has of `revision`.
    pub(super) fn progress(&self, revision: Revision, waited: &[InstanceId]) -> Vec<Progress> {
        let entries = self.lock();
        let forgotten = waited
            .iter()
            .filter(|instance| !entries.contains_key(instance))
            .map(|instance| Progress::Missing(vec![format!("data plane {instance} is not connected")]));
        let known = entries.iter().filter(|(instance, entry)| entry.link.is_some() || waited.contains(instance));
        known.map(|(_, entry)| entry.progress(revision)).chain(forgotten).collect()
    }

    /// Hands the check frame `frame` of number `id` to all connected data planes that are not foreign.
    ///
    /// A receiver fails when its data plane cannot take the frame or is gone.
    pub(super) fn ask(&self, id: u64, frame: &Bytes) -> Vec<(InstanceId, oneshot::Receiver<Checked>)> {
        let mut answers = Vec::new();
        for (instance, entry) in self.lock().iter_mut() {
            let withheld = entry.push() == Push::Withheld;
            let Some(link) = entry.link.as_mut().filter(|_| !withheld) else { continue };
            // Those who gave up waiting leave their senders behind.
            link.asked.retain(|_, asker| !asker.is_closed());
            let (asker, answer) = oneshot::channel();
            if link.checks.try_send(frame.clone()).is_ok() {
                link.asked.insert(id, asker);
            }
            answers.push((*instance, answer));
        }
        answers
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Entry>> {
        // No code that can panic leaves an entry half changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room: of the disconnected ones the one that was longest gone. More can be remembered than connected.
fn forget_one(entries: &mut BTreeMap<InstanceId, Entry>) {
    let gone = entries.iter().filter_map(|(instance, entry)| Some((entry.disconnected_at()?, *instance)));
    if let Some((_, instance)) = gone.min() {
        entries.remove(&instance);
    }
}

/// What the registry tells a connection.
pub(super) struct Inbox {
    /// Ends when a newer connection of the same data plane took the place.
    pub(super) replaced: CancellationToken,
    /// Notified when [`Member::sending`] may answer otherwise.
    pub(super) wake: Arc<Notify>,
    /// Check frames to write.
    pub(super) checks: mpsc::Receiver<Bytes>,
}

/// A connection's place in the registry, given up when it is dropped.
pub(super) struct Member {
    registry: Arc<Registry>,
    pub(super) instance: InstanceId,
    connection: u64,
}

impl Member {
    /// Changes the data plane's entry and wakes who waits; none if another connection took the place.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let changed = {
            let mut entries = self.registry.lock();
            let entry = entries.get_mut(&self.instance)?;
            entry.link.as_ref().filter(|link| link.connection == self.connection)?;
            change(entry)
        };
        self.registry.changes.send_replace(());
        Some(changed)
    }

    /// Adds an event about the data plane.
    pub(super) fn tell(&self, what: Occurrence) {
        self.registry.tell(self.instance, what);
    }

    /// Adds what the data plane says happened, and what it says is lost of that.
    pub(super) fn tell_transitions(&self, events: Vec<shared::status::Event>, lost: u64) {
        let data_plane = Some(self.instance);
        if lost > 0 {
            self.tell(Occurrence::TransitionsLost { count: lost });
        }
        let events = events.into_iter().take(Report::MAX_EVENTS).map(bounds::event);
        self.registry.events.add_all(events.map(|event| (event.transition.at, data_plane, event.into())));
    }

    /// How `held` goes to the data plane, asked right before it is sent: an answer to it may come while it is still written.
    pub(super) fn sending(&self, held: Held) -> Push {
        let mark = |entry: &mut Entry| {
            let push = entry.push();
            if let Some(link) = entry.link.as_mut().filter(|_| push != Push::Withheld) {
                link.sent = Some(held);
            }
            push
        };
        self.with(mark).unwrap_or(Push::Withheld)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        match self.with(Entry::disconnect) {
            Some(applied) => {
                let revision = applied.map(|revision| revision.0);
                info!(data_plane = %self.instance, revision, "data plane disconnected");
                self.tell(Occurrence::DataPlaneDisconnected);
            }
            None => info!(data_plane = %self.instance, "a newer connection of the data plane replaced the older"),
        }
    }
}
