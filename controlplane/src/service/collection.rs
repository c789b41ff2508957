//! Resources of which there are many: one implementation for all kinds.

use std::sync::Arc;

use serde_json::Value;
use shared::{Findings, config::Config, protocol::Revision};

use super::{
    Collection, Committed, Current, Intent, Refusal, Service, current::position, findings::Focus, merge_patch,
};
use crate::model::{Key, Page};

/// The place of one resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    /// The upstream's name for backends and breakers; empty for all others.
    pub(crate) parent: String,
    /// Empty for singletons.
    pub(crate) name: String,
}

/// What a write of one resource came to.
pub(crate) struct Written<R> {
    pub(crate) key: Key,
    /// The resource as it is now; none: it was deleted.
    pub(crate) body: Option<R>,
    /// Whether it did not exist before.
    pub(crate) created: bool,
    pub(crate) committed: Committed<()>,
}

/// At most `limit` items in order of names, all after the name `after`.
pub(crate) fn list<R: Collection>(
    current: &Current,
    parent: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<R>, Refusal> {
    let list = R::list(&current.config, parent).ok_or_else(|| no_parent(parent))?;
    let start = after.map_or(0, |after| list.partition_point(|item| item.name().as_str() <= after));
    let items = list[start..].iter().take(limit + 1).cloned().collect();
    Ok(Page::of(items, limit, |item: &R| item.name().to_string()))
}

/// One item, and the revision of its last change.
pub(crate) fn get<R: Collection>(current: &Current, target: &Target) -> Result<(R, Revision), Refusal> {
    let key = R::key(&target.parent, &target.name);
    if R::list(&current.config, &target.parent).is_none() {
        return Err(no_parent(&target.parent));
    }
    let item = R::find(&current.config, &target.parent, &target.name).ok_or_else(|| missing(&key))?;
    Ok((item.clone(), current.last_change(&key).unwrap_or(current.revision)))
}

impl Service {
    /// Adds an item; it must not exist.
    pub(crate) async fn create<R: Collection>(
        self: &Arc<Self>,
        intent: Intent,
        parent: String,
        body: R,
    ) -> Result<Written<R>, Refusal> {
        let target = Target { parent, name: body.name().to_string() };
        self.edit_item(intent, "create", target, move |key, item| match item {
            None => Ok(Some(body)),
            Some(_) => Err(Refusal::AlreadyExists(format!("{key} exists; PUT replaces it, PATCH changes it"))),
        })
        .await
    }

    /// Puts an item in the place of the one of the same name, or adds it.
    pub(crate) async fn put<R: Collection>(
        self: &Arc<Self>,
        intent: Intent,
        target: Target,
        body: R,
    ) -> Result<Written<R>, Refusal> {
        same_name(&target, &body)?;
        self.edit_item(intent, "put", target, move |_, _| Ok(Some(body))).await
    }

    /// Changes an item by a JSON merge patch.
    pub(crate) async fn patch<R: Collection>(
        self: &Arc<Self>,
        intent: Intent,
        target: Target,
        patch: Value,
    ) -> Result<Written<R>, Refusal> {
        let place = target.clone();
        self.edit_item(intent, "patch", target, move |key, item| {
            let body: R = merged(item.ok_or_else(|| missing(key))?, patch)?;
            same_name(&place, &body)?;
            Ok(Some(body))
        })
        .await
    }

    /// Removes an item; nothing else may name it.
    pub(crate) async fn delete<R: Collection>(
        self: &Arc<Self>,
        intent: Intent,
        target: Target,
    ) -> Result<Written<R>, Refusal> {
        self.edit_item(intent, "delete", target, |key, item: Option<&R>| item.map(|_| None).ok_or_else(|| missing(key)))
            .await
    }

    /// Puts what `edit` makes of an item in its place.
    async fn edit_item<R: Collection>(
        self: &Arc<Self>,
        intent: Intent,
        verb: &str,
        target: Target,
        edit: impl FnOnce(&Key, Option<&R>) -> Result<Option<R>, Refusal> + Send + 'static,
    ) -> Result<Written<R>, Refusal> {
        let key = R::key(&target.parent, &target.name);
        let focus = if verb == "delete" { Focus::Nothing } else { Focus::Resource(key.clone()) };
        let condition = intent.condition.clone();
        let (place, edited) = (target.clone(), key.clone());
        let committed = self
            .commit(intent, format!("{verb} {key}"), focus, move |current, config| {
                let item = R::find(config, &place.parent, &place.name);
                let existed = item.is_some();
                if R::list(config, &place.parent).is_none() {
                    return Err(no_parent(&place.parent));
                }
                let body = match edit(&edited, item) {
                    Err(refusal @ (Refusal::NotFound(_) | Refusal::AlreadyExists(_))) => return Err(refusal),
                    body => body,
                };
                // After those two and before all others, RFC 9110 §13.2.1.
                condition.check(current.last_change(&edited).filter(|_| existed))?;
                let body = body?;
                if body.is_none() {
                    refuse_used::<R>(config, &edited, &place.name)?;
                }
                let list = R::list_mut(config, &place.parent).ok_or_else(|| no_parent(&place.parent))?;
                replace(list, &place.name, body);
                Ok(!existed)
            })
            .await?;
        let body = R::find(&committed.state.config, &target.parent, &target.name).cloned();
        let (created, committed) = committed.split();
        Ok(Written { key, body, created, committed })
    }
}

/// Puts `body` where the item `name` is or would be.
fn replace<R: Collection>(list: &mut Vec<R>, name: &str, body: Option<R>) {
    match (position(list, name), body) {
        (Some(position), Some(body)) => list[position] = body,
        (Some(position), None) => drop(list.remove(position)),
        (None, Some(body)) => {
            let position = list.partition_point(|item| item.name().as_str() < name);
            list.insert(position, body);
        }
        (None, None) => {}
    }
}

/// A value changed by a merge patch.
pub(super) fn merged<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T, patch: Value) -> Result<T, Refusal> {
    let mut value = serde_json::to_value(value).expect("configuration types have string keys only");
    merge_patch::merge(&mut value, patch);
    shared::document::from_value(value).map_err(Refusal::Invalid)
}

fn same_name<R: Collection>(target: &Target, body: &R) -> Result<(), Refusal> {
    if body.name().as_str() == target.name {
        return Ok(());
    }
    Err(Refusal::Invalid(Findings::of_error(
        "/name",
        format!("the body's name is `{}`, the path's `{}`: they must be the same", body.name(), target.name),
    )))
}

fn refuse_used<R: Collection>(config: &Config, key: &Key, name: &str) -> Result<(), Refusal> {
    let users = R::users(config, name);
    if users.is_empty() {
        return Ok(());
    }
    Err(Refusal::InUse { resource: key.to_string(), users: users.iter().map(Key::to_string).collect() })
}

fn missing(key: &Key) -> Refusal {
    Refusal::NotFound(format!("there is no {key}"))
}

/// The parent of a backend or a breaker does not exist.
pub(super) fn no_parent(parent: &str) -> Refusal {
    Refusal::NotFound(format!("there is no upstream `{parent}`"))
}
