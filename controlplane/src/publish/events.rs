//! What happened lately, for everybody who asks: a bounded ring of events with increasing ids.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use shared::{
    protocol::{InstanceId, Revision},
    status::{self, Input},
    value::{Name, Timestamp},
};

/// Events that are kept; of more the oldest go.
const KEPT: usize = 4096;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Event {
    /// Its number. They increase, after a restart of the control plane too, and fit in 53 bits.
    pub id: u64,
    /// When, by the clock of whoever saw it.
    pub at: Timestamp,
    /// The data plane that it is about; absent for `revision_committed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_plane: Option<InstanceId>,
    /// What.
    #[serde(flatten)]
    pub what: Occurrence,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Occurrence {
    /// The state of an endpoint changed on a data plane.
    Transition {
        /// The upstream.
        upstream: Name,
        /// The backend.
        backend: Name,
        /// The endpoint's address.
        address: String,
        /// What of its state changed.
        input: Input,
        /// The state before.
        from: String,
        /// The state after.
        to: String,
        /// Why, in one word.
        reason: String,
    },
    /// A revision was committed.
    RevisionCommitted {
        /// Which.
        revision: Revision,
    },
    /// A revision acts on a data plane.
    RevisionApplied {
        /// Which.
        revision: Revision,
        /// From frame to last worker, in microseconds.
        duration_us: u64,
    },
    /// A data plane refused a revision.
    RevisionRejected {
        /// Which.
        revision: Revision,
        /// Why.
        reason: String,
    },
    /// A data plane connected.
    DataPlaneConnected {
        /// Its version.
        version: String,
    },
    /// A data plane's connection ended.
    DataPlaneDisconnected,
    /// A data plane had more transitions than it could tell.
    TransitionsLost {
        /// How many.
        count: u64,
    },
}

impl Occurrence {
    /// The word for it.
    fn word(&self) -> &'static str {
        match self {
            Self::Transition { .. } => "transition",
            Self::RevisionCommitted { .. } => "revision_committed",
            Self::RevisionApplied { .. } => "revision_applied",
            Self::RevisionRejected { .. } => "revision_rejected",
            Self::DataPlaneConnected { .. } => "data_plane_connected",
            Self::DataPlaneDisconnected => "data_plane_disconnected",
            Self::TransitionsLost { .. } => "transitions_lost",
        }
    }

    /// The upstream that it is about.
    fn upstream(&self) -> Option<&Name> {
        match self {
            Self::Transition { upstream, .. } => Some(upstream),
            _ => None,
        }
    }
}

impl From<status::Event> for Occurrence {
    fn from(event: status::Event) -> Self {
        let status::Transition { at: _, input, from, to, reason } = event.transition;
        Self::Transition {
            upstream: event.upstream,
            backend: event.backend,
            address: event.address,
            input,
            from,
            to,
            reason,
        }
    }
}

/// The ring. Writers never wait for readers.
pub(crate) struct EventLog {
    ring: Mutex<Ring>,
    /// Wakes readers; whether they are to end.
    changes: watch::Sender<bool>,
}

struct Ring {
    entries: VecDeque<Entry>,
    /// The id of the first event of this process.
    first: u64,
    /// The id of the next event.
    next: u64,
}

struct Entry {
    id: u64,
    upstream: Option<Name>,
    /// As Server-Sent Events have it, with the final blank line.
    text: Bytes,
}

/// What a reader gets at one time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// How many events were lost to the reader before these: it was too slow, or away for too long. They are gone.
    pub(crate) missed: Option<Missed>,
    /// The id behind which these come: that of the last event that was read, missed or passed over.
    pub(crate) behind: u64,
    /// Events as Server-Sent Events have them.
    pub(crate) texts: Vec<Bytes>,
}

/// Events that a reader will not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// So many.
    Count(u64),
    /// Nobody knows: the control plane was started anew since.
    Unknown,
}

/// A place in the ring.
pub(crate) struct Reader {
    log: Arc<EventLog>,
    changes: watch::Receiver<bool>,
    /// The id of the last event that was read, or passed over.
    last: u64,
    /// What the place was asked for and cannot be.
    missed: Option<Missed>,
    /// Only events about this one.
    upstream: Option<Name>,
}

impl EventLog {
    /// An empty ring. Ids begin at the wall clock's milliseconds times 1024, so that no two lives of a control plane give the
    /// same, and those of an earlier one are recognised.
    pub(super) fn new() -> Self {
        let millis = u64::try_from(Timestamp::now().as_millis()).unwrap_or(0);
        Self::beginning_at(millis << 10)
    }

    fn beginning_at(first: u64) -> Self {
        let ring = Ring { entries: VecDeque::new(), first, next: first };
        Self { ring: Mutex::new(ring), changes: watch::Sender::default() }
    }

    /// Adds an event.
    pub(super) fn add(&self, at: Timestamp, data_plane: Option<InstanceId>, what: Occurrence) {
        self.add_all([(at, data_plane, what)]);
    }

    /// Adds events, in this order.
    pub(super) fn add_all(&self, events: impl IntoIterator<Item = (Timestamp, Option<InstanceId>, Occurrence)>) {
        let mut ring = self.lock();
        for (at, data_plane, what) in events {
            let (word, upstream) = (what.word(), what.upstream().cloned());
            let event = Event { id: ring.next, at, data_plane, what };
            let json = serde_json::to_string(&event).expect("events have string keys only");
            let text = format!("id: {}\nevent: {word}\ndata: {json}\n\n", event.id).into();
            if ring.entries.len() == KEPT {
                ring.entries.pop_front();
            }
            ring.entries.push_back(Entry { id: event.id, upstream, text });
            ring.next += 1;
        }
        drop(ring);
        self.changes.send_modify(|_| {});
    }

    /// Events since the start of the process.
    pub(crate) fn count(&self) -> u64 {
        let ring = self.lock();
        ring.next - ring.first
    }

    /// Ends all readers, once they have read what there is.
    pub(crate) fn close(&self) {
        self.changes.send_replace(true);
    }

    /// A reader of what comes after the event `after`, of everything that is kept if that is 0, of what is new if there is none.
    pub(crate) fn read(self: &Arc<Self>, after: Option<u64>, upstream: Option<Name>) -> Reader {
        let ring = self.lock();
        let newest = ring.next - 1;
        let oldest = ring.entries.front().map_or(ring.next, |entry| entry.id);
        let (last, missed) = match after {
            None => (newest, None),
            Some(0) => (oldest - 1, None),
            // What is lost within this life is found when it is read.
            Some(after) if (ring.first - 1..=newest).contains(&after) => (after, None),
            // Of an earlier life, or nobody's: all that is kept is new to the reader.
            Some(_) => (oldest - 1, Some(Missed::Unknown)),
        };
        drop(ring);
        Reader { log: Arc::clone(self), changes: self.changes.subscribe(), last, missed, upstream }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // Nothing in here panics half-way through a change.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// Most events of one batch.
    const BATCH: usize = 64;

    /// What there is to read now; nothing if there is nothing new. What was missed comes first.
    pub(crate) fn take(&mut self) -> Batch {
        self.changes.mark_unchanged();
        let ring = self.log.lock();
        let mut missed = self.missed.take();
        let oldest = ring.entries.front().map_or(ring.next, |entry| entry.id);
        if self.last + 1 < oldest {
            missed.get_or_insert(Missed::Count(oldest - 1 - self.last));
            self.last = oldest - 1;
        }
        let mut batch = Batch { missed, behind: self.last, texts: Vec::new() };
        let read = usize::try_from(self.last + 1 - oldest).unwrap_or(usize::MAX);
        for entry in ring.entries.iter().skip(read) {
            if batch.texts.len() == Self::BATCH {
                break;
            }
            self.last = entry.id;
            if self.upstream.is_none() || self.upstream == entry.upstream {
                batch.texts.push(entry.text.clone());
            }
        }
        batch
    }

    /// Whether nothing is left to read now.
    pub(crate) fn is_at_end(&self) -> bool {
        self.last + 1 == self.log.lock().next
    }

    /// Waits until there may be something to read; false when there will be nothing any more.
    pub(crate) async fn wait(&mut self) -> bool {
        if *self.changes.borrow() {
            return false;
        }
        self.changes.changed().await.is_ok() && !*self.changes.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(count: u64) -> Arc<EventLog> {
        let log = Arc::new(EventLog::beginning_at(1000));
        add(&log, count);
        log
    }

    fn add(log: &EventLog, count: u64) {
        let committed = |revision| Occurrence::RevisionCommitted { revision: Revision(revision) };
        (0..count).for_each(|number| log.add(Timestamp::now(), None, committed(number)));
    }

    fn ids(batch: &Batch) -> Vec<u64> {
        let id = |text: &Bytes| {
            let text = std::str::from_utf8(text).unwrap();
            text.strip_prefix("id: ").unwrap().split('\n').next().unwrap().parse().unwrap()
        };
        batch.texts.iter().map(id).collect()
    }

    #[test]
    fn readers_begin_where_they_ask_to() {
        let log = log(3);
        for (after, missed, expected) in [
            (None, None, vec![]),
            (Some(0), None, vec![1000, 1001, 1002]),
            (Some(999), None, vec![1000, 1001, 1002]),
            (Some(1001), None, vec![1002]),
            (Some(1002), None, vec![]),
            // Of an earlier life, and of none.
            (Some(17), Some(Missed::Unknown), vec![1000, 1001, 1002]),
            (Some(1003), Some(Missed::Unknown), vec![1000, 1001, 1002]),
            (Some(u64::MAX), Some(Missed::Unknown), vec![1000, 1001, 1002]),
        ] {
            let batch = log.read(after, None).take();
            assert_eq!((batch.missed, ids(&batch)), (missed, expected), "{after:?}");
        }
    }

    #[test]
    fn who_is_too_slow_is_told_how_many_are_gone() {
        let log = log(2);
        let mut reader = log.read(None, None);
        assert_eq!(reader.take(), Batch { missed: None, behind: 1001, texts: Vec::new() });
        add(&log, KEPT as u64 + 5);
        let batch = reader.take();
        assert_eq!((batch.missed, batch.behind, ids(&batch)[0]), (Some(Missed::Count(5)), 1006, 1007));
        assert_eq!(batch.texts.len(), Reader::BATCH);
        let next = reader.take();
        assert_eq!((next.missed, ids(&next)[0]), (None, 1007 + Reader::BATCH as u64));
    }

    #[test]
    fn a_reader_of_one_upstream_sees_no_others() {
        let log = log(1);
        for upstream in ["a", "b", "a"] {
            let transition = Occurrence::Transition {
                upstream: upstream.parse().unwrap(),
                backend: "x".parse().unwrap(),
                address: "127.0.0.1:1".to_owned(),
                input: Input::Breaker,
                from: "closed".to_owned(),
                to: "open".to_owned(),
                reason: "failure_rate".to_owned(),
            };
            log.add("2027-01-01T00:00:00Z".parse().unwrap(), None, transition);
        }
        let batch = log.read(Some(0), Some("a".parse().unwrap())).take();
        assert_eq!(ids(&batch), [1001, 1003]);
        assert_eq!(
            batch.texts[0],
            "id: 1001\nevent: transition\ndata: {\"id\":1001,\"at\":\"2027-01-01T00:00:00Z\",\"event\":\"transition\",\
             \"upstream\":\"a\",\"backend\":\"x\",\"address\":\"127.0.0.1:1\",\"input\":\"breaker\",\"from\":\"closed\",\
             \"to\":\"open\",\"reason\":\"failure_rate\"}\n\n"
        );
    }

    #[test]
    fn ids_fit_in_a_number_of_javascript_and_increase_from_life_to_life() {
        let first = EventLog::new().lock().next;
        let mut second = first;
        // The next millisecond comes.
        while second == first {
            second = EventLog::new().lock().next;
        }
        assert!(first < second && second < 1 << 53);
    }

    #[tokio::test]
    async fn a_closed_log_ends_its_readers() {
        let log = log(1);
        let mut reader = log.read(Some(0), None);
        assert_eq!(reader.take().texts.len(), 1);
        add(&log, 1);
        assert!(reader.wait().await);
        assert_eq!(reader.take().texts.len(), 1);
        log.close();
        assert!(!reader.wait().await);
    }
}
