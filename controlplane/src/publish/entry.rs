//! One data plane: what it last said, whether its configuration is ours, and the way to it while it is connected.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use shared::{
    Findings,
    protocol::{Applied, Checked, Held, Hello, ListenerFault, Persisted, Rejected, Report, Revision},
    value::{Name, Timestamp},
};

use super::{
    bounds,
    data_plane::{DataPlane, DataPlaneState, Rejection},
    live::{LiveState, Shown},
    status::DataPlaneLive,
};

/// What the registry knows of one data plane.
pub(super) struct Entry {
    /// All that is shown, but for what `standing` says.
    shown: DataPlane,
    standing: Standing,
    live: LiveState,
    /// When it reported last.
    reported: Option<(Instant, Timestamp)>,
    /// There while it is connected.
    pub(super) link: Option<Link>,
}

/// Whether a data plane's configuration is ours to replace.
enum Standing {
    /// It is.
    Ordinary,
    /// It is not, and stays so while `held` is what it holds, however far our own revisions grow.
    Foreign { held: Held, reason: String },
    /// It may replace `held`, but has not done so yet.
    Adopting { held: Held },
}

/// The way to a connected data plane.
pub(super) struct Link {
    /// Which connection: another one of the same data plane replaces it.
    pub(super) connection: u64,
    /// Ends the connection.
    pub(super) replaced: CancellationToken,
    /// Tells its writer that the standing changed.
    pub(super) wake: Arc<Notify>,
    /// Check frames for its writer.
    pub(super) checks: mpsc::Sender<Bytes>,
    /// Who waits for the answers, by the id of the check.
    pub(super) asked: HashMap<u64, oneshot::Sender<Checked>>,
    /// The newest snapshot that was sent, or is being sent, on this connection.
    pub(super) sent: Option<Held>,
}

/// How the newest snapshot goes to a data plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Push {
    /// As it is.
    Plain,
    /// Marked to replace a foreign configuration.
    Adopt,
    /// Not at all.
    Withheld,
}

/// What a data plane has of a revision that somebody waits for.
pub(super) enum Progress {
    /// It acts, and all listeners accept.
    Applied,
    /// Not yet; why.
    Missing(Vec<String>),
    /// Not by waiting; why.
    Refused(Vec<String>),
}

impl Entry {
    /// A data plane that was not known before `hello`.
    pub(super) fn new(hello: &Hello) -> Self {
        let now = Timestamp::now();
        let shown = DataPlane {
            id: hello.instance,
            version: String::new(),
            schema: hello.schema,
            protocol: hello.protocol,
            state: DataPlaneState::Disconnected,
            foreign: false,
            foreign_reason: None,
            applied_store: None,
            applied_revision: None,
            applied_hash: None,
            applied_at: None,
            apply_duration_us: None,
            persisted_revision: None,
            last_rejection: None,
            listeners: Vec::new(),
            connected_since: now,
            disconnected_at: None,
            last_seen: now,
            dropped_reports: 0,
            lost_events: 0,
        };
        Self { shown, standing: Standing::Ordinary, live: LiveState::default(), reported: None, link: None }
    }

    /// It dialled: `foreign` is why it would be foreign if it were seen for the first time.
    pub(super) fn connect(&mut self, hello: &Hello, foreign: Option<String>, link: Link) {
        let standing = std::mem::replace(&mut self.standing, Standing::Ordinary);
        self.standing = match (standing, hello.applied, foreign) {
            (Standing::Foreign { held, reason }, Some(holds), _) if holds == held => Standing::Foreign { held, reason },
            (Standing::Adopting { held }, Some(holds), _) if holds == held => Standing::Adopting { held },
            (_, Some(held), Some(reason)) => Standing::Foreign { held, reason },
            _ => Standing::Ordinary,
        };
        if let Some(old) = self.link.replace(link) {
            old.replaced.cancel();
        }

        let now = Timestamp::now();
        let shown = &mut self.shown;
        shown.version = bounds::text(&hello.version, bounds::VERSION);
        shown.schema = hello.schema;
        shown.protocol = hello.protocol;
        shown.state = DataPlaneState::Connected;
        shown.persisted_revision = hello.persisted;
        shown.connected_since = now;
        shown.disconnected_at = None;
        shown.last_seen = now;
        shown.dropped_reports = 0;
        if self.held() != hello.applied {
            self.set_held(hello.applied);
            self.shown.applied_at = None;
            self.shown.apply_duration_us = None;
        }
    }

    /// Its connection ended. Returns the revision that acts on it.
    pub(super) fn disconnect(&mut self) -> Option<Revision> {
        self.link = None;
        self.shown.state = DataPlaneState::Disconnected;
        self.shown.disconnected_at = Some(Timestamp::now());
        self.shown.applied_revision
    }

    /// It said something.
    pub(super) fn seen(&mut self) {
        self.shown.last_seen = Timestamp::now();
    }

    /// A snapshot acts on it.
    ///
    /// # Errors
    /// Why that cannot be.
    pub(super) fn applied(&mut self, applied: Applied) -> Result<(), &'static str> {
        let sent = self.sent(applied.revision)?;
        let held = Held { store: sent.store, revision: applied.revision, hash: applied.hash };
        if held.revision == sent.revision && held.hash != sent.hash {
            return Err("it was sent with another hash");
        }
        if let Standing::Adopting { .. } = self.standing {
            if held != sent {
                return Err("it is not the one that it was sent when it was adopted");
            }
            self.standing = Standing::Ordinary;
        }
        self.set_held(Some(held));
        self.shown.applied_at = Some(Timestamp::now());
        self.shown.apply_duration_us = Some(applied.duration_us);
        self.shown.listeners = bounds::listeners(applied.listeners);
        Ok(())
    }

    /// It refused a snapshot. Returns the findings as they are kept.
    ///
    /// # Errors
    /// Why that cannot be.
    pub(super) fn rejected(&mut self, rejected: Rejected) -> Result<Findings, &'static str> {
        self.sent(rejected.revision)?;
        let findings = bounds::findings(rejected.findings);
        let at = Timestamp::now();
        self.shown.last_rejection = Some(Rejection { revision: rejected.revision, findings: findings.clone(), at });
        Ok(findings)
    }

    /// A snapshot lies on its disk.
    ///
    /// # Errors
    /// Why that cannot be.
    pub(super) fn persisted(&mut self, persisted: Persisted) -> Result<(), &'static str> {
        if self.shown.applied_revision != Some(persisted.revision) {
            // Not what it has, which may be foreign: then it must be one that it was sent.
            self.sent(persisted.revision)?;
        }
        self.shown.persisted_revision = Some(persisted.revision);
        Ok(())
    }

    /// Its live state. Returns how many transitions it lost since the report before.
    pub(super) fn report(&mut self, mut report: Report) -> u64 {
        let now = Instant::now();
        self.reported = Some((now, self.shown.last_seen));
        self.live.take(&mut report, now);
        self.shown.listeners = bounds::listeners(report.listeners);
        self.shown.dropped_reports = report.dropped;
        let lost_before = std::mem::replace(&mut self.shown.lost_events, report.events_lost);
        // A number that went back is that of a new process.
        report.events_lost.checked_sub(lost_before).unwrap_or(report.events_lost)
    }

    /// What it reported of the upstream `name`.
    pub(super) fn live(&self, name: &Name) -> Option<DataPlaneLive> {
        let (now, (reported, reported_at)) = (Instant::now(), self.reported?);
        let Shown { panic, retry_budget, endpoints } = self.live.shown(name, now)?;
        Some(DataPlaneLive {
            data_plane: self.shown.id,
            state: self.shown.state,
            reported_at,
            age_ms: u64::try_from(now.duration_since(reported).as_millis()).unwrap_or(u64::MAX),
            panic,
            retry_budget,
            endpoints,
        })
    }

    /// The last snapshot that it was sent, if `revision` is not above it.
    fn sent(&self, revision: Revision) -> Result<Held, &'static str> {
        let sent = self.link.as_ref().and_then(|link| link.sent).ok_or("it was sent none on this connection")?;
        if revision > sent.revision { Err("it was sent no such revision") } else { Ok(sent) }
    }

    /// How the next snapshot goes to it.
    pub(super) fn push(&self) -> Push {
        match self.standing {
            Standing::Ordinary => Push::Plain,
            Standing::Adopting { .. } => Push::Adopt,
            Standing::Foreign { .. } => Push::Withheld,
        }
    }

    /// Lets its foreign configuration be replaced; false if it is not foreign.
    pub(super) fn adopt(&mut self) -> bool {
        let Standing::Foreign { held, .. } = self.standing else { return false };
        self.standing = Standing::Adopting { held };
        if let Some(link) = &self.link {
            link.wake.notify_one();
        }
        true
    }

    /// Why it is foreign.
    pub(super) fn foreign(&self) -> Option<&str> {
        match &self.standing {
            Standing::Foreign { reason, .. } => Some(reason),
            Standing::Ordinary | Standing::Adopting { .. } => None,
        }
    }

    /// What it has of `revision`.
    pub(super) fn progress(&self, revision: Revision) -> Progress {
        let id = self.shown.id;
        if self.link.is_none() {
            return Progress::Missing(vec![format!("data plane {id} is not connected")]);
        }
        if let Some(reason) = self.foreign() {
            return Progress::Refused(vec![format!(
                "data plane {id} is foreign: {reason}; let it be overwritten with POST /api/v1/data-planes/{id}/adopt"
            )]);
        }
        let ours = matches!(self.standing, Standing::Ordinary);
        if ours && self.shown.applied_revision.is_some_and(|applied| applied >= revision) {
            let faults = &self.shown.listeners;
            if faults.is_empty() {
                return Progress::Applied;
            }
            let fault = |fault: &ListenerFault| {
                format!("data plane {id}: listener {} {} is not accepting: {}", fault.name, fault.address, fault.error)
            };
            return Progress::Missing(faults.iter().map(fault).collect());
        }
        match &self.shown.last_rejection {
            Some(rejection) if rejection.revision >= revision => Progress::Refused(vec![format!(
                "data plane {id} rejected revision {}: {}",
                rejection.revision, rejection.findings
            )]),
            _ => {
                let has = match self.shown.applied_revision {
                    Some(applied) if ours => format!("still has revision {applied}"),
                    Some(_) => "was adopted and still has its foreign configuration".to_owned(),
                    None => "has none yet".to_owned(),
                };
                Progress::Missing(vec![format!("data plane {id} has not applied revision {revision}: it {has}")])
            }
        }
    }

    /// What is shown of it.
    pub(super) fn shown(&self) -> DataPlane {
        let foreign_reason = self.foreign().map(str::to_owned);
        DataPlane { foreign: foreign_reason.is_some(), foreign_reason, ..self.shown.clone() }
    }

    /// When its connection ended; none while it is connected.
    pub(super) fn disconnected_at(&self) -> Option<Timestamp> {
        self.shown.disconnected_at
    }

    fn held(&self) -> Option<Held> {
        let shown = &self.shown;
        Some(Held { store: shown.applied_store?, revision: shown.applied_revision?, hash: shown.applied_hash? })
    }

    fn set_held(&mut self, held: Option<Held>) {
        self.shown.applied_store = held.map(|held| held.store);
        self.shown.applied_revision = held.map(|held| held.revision);
        self.shown.applied_hash = held.map(|held| held.hash);
        // What it refused once is history when that revision, or a later one, acts after all.
        let ours = matches!(self.standing, Standing::Ordinary);
        self.shown
            .last_rejection
            .take_if(|rejection| ours && held.is_some_and(|held| held.revision >= rejection.revision));
    }
}
