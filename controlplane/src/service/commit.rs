//! The one way in which the configuration changes.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use shared::{
    Finding, Findings,
    config::{Config, Listener},
    document::MAX_DOCUMENT,
    protocol::{BodyHash, Revision, Snapshot, StoreId},
    value::{ListenAddress, Name, Timestamp},
};

use super::{Condition, Current, Refusal, Service, detached, findings::Focus, material, startup};
use crate::{
    model::{Change, Key, diff},
    publish::CheckFault,
    store::{NewRevision, StoreError},
};

/// How long a write waits for those before it.
const WRITER_TIME: Duration = Duration::from_secs(5);

/// Who writes, and under which terms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    /// For the revision and the audit rows.
    pub(crate) actor: String,
    /// Check everything, change nothing.
    pub(crate) dry_run: bool,
    pub(crate) condition: Condition,
}

/// What a write came to.
pub(crate) struct Committed<T> {
    /// What the edit answered.
    pub(crate) answer: T,
    /// The configuration with the write in it; on a dry run it is nobody's.
    pub(crate) state: Arc<Current>,
    /// The current revision after the write: a new one, or the old one if nothing changed or it was a dry run.
    pub(crate) revision: Revision,
    /// Warnings about what was sent.
    pub(crate) warnings: Vec<Finding>,
}

impl<T> Committed<T> {
    /// The `ETag` of a resource after the write; none if it has none, as on a dry run.
    pub(crate) fn etag(&self, key: &Key) -> Option<Revision> {
        if self.state.revision == self.revision { self.state.last_change(key) } else { None }
    }
}

impl Committed<bool> {
    /// Takes the answer out.
    pub(super) fn split(self) -> (bool, Committed<()>) {
        let Self { answer, state, revision, warnings } = self;
        (answer, Committed { answer: (), state, revision, warnings })
    }
}

/// What a write would do; made without any I/O.
struct Prepared<T> {
    answer: T,
    warnings: Vec<Finding>,
    /// None: the configuration is the same as before.
    effect: Option<Effect>,
}

struct Effect {
    state: Arc<Current>,
    changes: Vec<Change>,
    snapshot: Arc<Snapshot>,
    /// The listeners in the order of the configuration before it became canonical, if their addresses are others than before.
    sent_listeners: Option<Vec<Name>>,
}

impl Service {
    /// Applies `edit` to the configuration: validated, checked by the data planes, durable, current, published, in this order.
    ///
    /// A write that changes nothing makes no revision. Runs to its end even if the caller goes away.
    pub(crate) async fn commit<T: Send + 'static>(
        self: &Arc<Self>,
        intent: Intent,
        summary: String,
        focus: Focus,
        edit: impl FnOnce(&Current, &mut Config) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Committed<T>, Refusal> {
        let service = self.clone();
        detached(async move { service.commit_to_its_end(intent, summary, focus, edit).await }).await
    }

    async fn commit_to_its_end<T: Send + 'static>(
        &self,
        intent: Intent,
        summary: String,
        focus: Focus,
        edit: impl FnOnce(&Current, &mut Config) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Committed<T>, Refusal> {
        // One deadline for all who wait: else the last of ten writers before a locked database is refused after a minute.
        let writer = tokio::time::timeout(WRITER_TIME, self.writer.lock()).await;
        let _writer = writer.map_err(|_| StoreError::Busy { seconds: WRITER_TIME.as_secs() })?;
        if self.replaced.is_cancelled() {
            return Err(StoreError::Replaced.into());
        }
        let started = Instant::now();
        let current = self.current();
        let store_id = self.store_id;
        let prepared = {
            let (current, focus) = (current.clone(), focus.clone());
            // A large configuration takes tens of milliseconds here: not on a thread that answers others.
            tokio::task::spawn_blocking(move || prepare(&current, store_id, &focus, edit))
        };
        let Prepared { answer, warnings, effect } = prepared.await.map_err(|_| Refusal::Internal)??;
        let Some(effect) = effect else {
            return Ok(Committed { answer, revision: current.revision, state: current, warnings });
        };
        if let Some(sent) = &effect.sent_listeners {
            let faults = self.publisher.check(&effect.state.config).await;
            refuse_faults(faults, &focus, sent, &effect.state.config)?;
        }
        if intent.dry_run {
            return Ok(Committed { answer, revision: current.revision, state: effect.state, warnings });
        }
        self.make_durable(&intent.actor, &summary, current.hash, &effect).await?;
        self.metrics.commit(started);
        Ok(Committed { answer, revision: effect.state.revision, state: effect.state, warnings })
    }

    /// Writes, then makes current and publishes what was written.
    async fn make_durable(&self, actor: &str, summary: &str, after: BodyHash, effect: &Effect) -> Result<(), Refusal> {
        let material = material::of(&self.store, &self.secret_key, &effect.snapshot).await?;
        let revision = NewRevision {
            store: self.store_id,
            after: Some(after),
            number: effect.state.revision,
            created_at: Timestamp::now(),
            actor,
            summary,
            hash: effect.state.hash,
            changes: &effect.changes,
        };
        if let Err(error) = self.store.commit(&revision).await {
            return Err(match error {
                StoreError::Diverged { .. } => self.diverged(error).await,
                StoreError::Replaced => self.end_replaced(),
                error => error,
            }
            .into());
        }
        self.replace_current(effect.state.clone());
        self.publisher.publish(effect.snapshot.clone(), material);
        tracing::info!(revision = revision.number.0, actor, changes = effect.changes.len(), "committed: {summary}");
        Ok(())
    }

    /// Makes memory and store agree again: takes over what came on top, or asks for the end of this process.
    async fn diverged(&self, error: StoreError) -> StoreError {
        match self.take_over().await {
            Ok(true) => error,
            Ok(false) => self.end_replaced(),
            Err(error) => {
                tracing::error!(%error, "the store holds another revision than this process, and it cannot be loaded");
                error
            }
        }
    }

    fn end_replaced(&self) -> StoreError {
        self.replaced.cancel();
        StoreError::Replaced
    }

    /// Takes over what the store holds on top of what is in memory: after a commit that failed in its last step and was
    /// durable all the same.
    ///
    /// False if what is in memory is no part of the store's past. Then nothing may be published: the data planes were judged
    /// by that past when they connected, and only new connections are judged anew.
    async fn take_over(&self) -> Result<bool, StoreError> {
        let known = self.current();
        let past = self.store.revision(known.revision).await?;
        if self.store.stored_id().await? != Some(self.store_id) || past.is_none_or(|past| past.hash != known.hash) {
            return Ok(false);
        }
        let Some(state) = startup::load(&self.store).await? else { return Ok(false) };
        let snapshot = Arc::new(Snapshot::new(self.store_id, state.revision, &state.config));
        let material = material::of(&self.store, &self.secret_key, &snapshot).await?;
        tracing::warn!(revision = state.revision.0, "took over the revision that the store holds");
        self.replace_current(Arc::new(state));
        self.publisher.publish(snapshot, material);
        Ok(true)
    }
}

fn prepare<T>(
    current: &Current,
    store_id: StoreId,
    focus: &Focus,
    edit: impl FnOnce(&Current, &mut Config) -> Result<T, Refusal>,
) -> Result<Prepared<T>, Refusal> {
    let mut config = (*current.config).clone();
    let answer = edit(current, &mut config)?;
    // Before it becomes canonical: the pointers must fit the order in which it was sent.
    let findings = validate(&config, focus.pointer(&config));
    let findings = focus.tell(findings, &config);
    if findings.has_errors() {
        return Err(Refusal::Invalid(findings));
    }
    let warnings = findings.into_iter().collect();
    let sent_listeners =
        (addresses(&config.listeners) != addresses(&current.config.listeners)).then(|| names(&config.listeners));
    config.canonicalize();
    if config == *current.config {
        return Ok(Prepared { answer, warnings, effect: None });
    }
    let changes = diff(&current.config, &config);
    let revision = Revision(current.revision.0 + 1);
    let snapshot = Snapshot::new(store_id, revision, &config);
    let bytes = snapshot.body.get().len();
    if bytes > MAX_DOCUMENT {
        return Err(Refusal::TooLarge { bytes });
    }
    let state = Arc::new(current.after(revision, Arc::new(config), snapshot.hash, &changes));
    let effect = Effect { state, changes, snapshot: Arc::new(snapshot), sent_listeners };
    Ok(Prepared { answer, warnings, effect: Some(effect) })
}

/// Checks a configuration as the store would hold it, for somebody who sent the part of it at `pointer`.
pub(super) fn validate(config: &Config, pointer: Option<String>) -> Findings {
    shared::validate_about(config, shared::Origin::Store, pointer)
}

fn addresses(listeners: &[Listener]) -> BTreeSet<ListenAddress> {
    listeners.iter().map(|listener| listener.address).collect()
}

fn names(listeners: &[Listener]) -> Vec<Name> {
    listeners.iter().map(|listener| listener.name.clone()).collect()
}

/// Refuses a configuration that a connected data plane would not take.
fn refuse_faults(faults: Vec<CheckFault>, focus: &Focus, sent: &[Name], config: &Config) -> Result<(), Refusal> {
    let canonical = names(&config.listeners);
    let order = if matches!(focus, Focus::Whole) { sent } else { &canonical };
    let unavailable = faults.iter().any(|fault| !fault.listeners.is_empty());
    let mut findings = Findings::new();
    for fault in faults {
        for listener in fault.listeners {
            let position = order.iter().position(|name| *name == listener.name).unwrap_or_default();
            findings.error(
                format!("/listeners/{position}/address"),
                format!("data plane {} cannot bind {}: {}", fault.instance, listener.address, listener.error),
            );
        }
        findings.extend(fault.findings);
    }
    match (unavailable, findings.has_errors()) {
        (true, _) => Err(Refusal::ListenerUnavailable(focus.tell(findings, config))),
        (false, true) => Err(Refusal::Invalid(focus.tell(findings, config))),
        (false, false) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use shared::protocol::{InstanceId, ListenerFault};

    use super::*;
    use crate::model::Kind;

    #[test]
    fn a_listener_that_cannot_be_bound_is_pointed_at_where_it_was_sent() {
        let config = shared::document::read_config(
            "listeners: [{name: a, address: '127.0.0.1:1'}, {name: b, address: '127.0.0.1:2'}]",
        )
        .unwrap();
        let fault = || {
            let listener = ListenerFault {
                name: "b".parse().unwrap(),
                address: "127.0.0.1:2".parse().unwrap(),
                error: "address in use".to_owned(),
            };
            let instance = InstanceId(uuid::Uuid::nil());
            vec![CheckFault { instance, findings: Findings::new(), listeners: vec![listener] }]
        };
        let sent: Vec<Name> = vec!["b".parse().unwrap(), "a".parse().unwrap()];
        for (focus, pointer) in [
            (Focus::Resource(Key::new(Kind::Listener, "b")), "/address"),
            (Focus::Resource(Key::new(Kind::Listener, "a")), "/listeners/1/address"),
            (Focus::Whole, "/listeners/0/address"),
            (Focus::Nothing, "/listeners/1/address"),
        ] {
            let Err(Refusal::ListenerUnavailable(findings)) = refuse_faults(fault(), &focus, &sent, &config) else {
                panic!("a refusal")
            };
            let finding = findings.iter().next().unwrap();
            assert_eq!(finding.pointer, pointer);
            assert!(finding.message.contains("cannot bind 127.0.0.1:2: address in use"), "{finding}");
        }
        assert!(refuse_faults(Vec::new(), &Focus::Whole, &sent, &config).is_ok());
    }
}
