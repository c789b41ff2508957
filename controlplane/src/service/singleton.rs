//! Resources of which there is exactly one, or one for each upstream.

use std::sync::Arc;

use serde_json::Value;
use shared::protocol::Revision;

use super::{
    Current, Intent, Refusal, Service, Singleton, Written,
    collection::{merged, no_parent},
    findings::Focus,
};

/// The singleton, and the revision of its last change.
pub(crate) fn get<S: Singleton>(current: &Current, parent: &str) -> Result<(S, Revision), Refusal> {
    let body = S::get(&current.config, parent).ok_or_else(|| no_parent(parent))?;
    Ok((body.clone(), current.last_change(&S::key(parent)).unwrap_or_default()))
}

impl Service {
    /// Replaces the singleton.
    pub(crate) async fn put_singleton<S: Singleton>(
        self: &Arc<Self>,
        intent: Intent,
        parent: String,
        body: S,
    ) -> Result<Written<S>, Refusal> {
        self.edit_singleton(intent, "put", parent, |_| Ok(body)).await
    }

    /// Changes the singleton by a JSON merge patch.
    pub(crate) async fn patch_singleton<S: Singleton>(
        self: &Arc<Self>,
        intent: Intent,
        parent: String,
        patch: Value,
    ) -> Result<Written<S>, Refusal> {
        self.edit_singleton(intent, "patch", parent, |body: &S| merged(body, patch)).await
    }

    /// Sets the singleton to its defaults.
    pub(crate) async fn reset_singleton<S: Singleton>(
        self: &Arc<Self>,
        intent: Intent,
        parent: String,
    ) -> Result<Written<S>, Refusal> {
        let written = self.edit_singleton(intent, "reset", parent, |_| Ok(S::default())).await?;
        Ok(Written { body: None, ..written })
    }

    async fn edit_singleton<S: Singleton>(
        self: &Arc<Self>,
        intent: Intent,
        verb: &str,
        parent: String,
        edit: impl FnOnce(&S) -> Result<S, Refusal> + Send + 'static,
    ) -> Result<Written<S>, Refusal> {
        let key = S::key(&parent);
        let condition = intent.condition.clone();
        let (place, edited) = (parent.clone(), key.clone());
        let focus = Focus::Resource(key.clone());
        let committed = self
            .commit(intent, format!("{verb} {key}"), focus, move |current, config| {
                let body = S::get_mut(config, &place).ok_or_else(|| no_parent(&place))?;
                condition.check(current.last_change(&edited))?;
                *body = edit(body)?;
                Ok(false)
            })
            .await?;
        let body = S::get(&committed.state.config, &parent).cloned();
        let (created, committed) = committed.split();
        Ok(Written { key, body, created, committed })
    }
}
