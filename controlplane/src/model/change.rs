use serde::{Deserialize, Serialize};
use shared::config::{Breaker, Config, Named, Settings, Upstream};

use super::{Key, Kind};

/// One row that a revision writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: Key,
    /// The body as JSON before; none: created.
    pub(crate) before: Option<String>,
    /// The body as JSON after; none: deleted.
    pub(crate) after: Option<String>,
}

/// What happened to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditAction)]
pub(crate) enum Action {
    /// It is new.
    Create,
    /// It is different.
    Update,
    /// It is gone.
    Delete,
}

impl Action {
    /// The word in the store and in JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl Change {
    /// None for an upstream that is only written again because a backend or the breaker changed: then it has a new `ETag`,
    /// but nothing to audit.
    pub(crate) fn action(&self) -> Option<Action> {
        match (&self.before, &self.after) {
            (None, _) => Some(Action::Create),
            (_, None) => Some(Action::Delete),
            (before, after) => (before != after).then_some(Action::Update),
        }
    }
}

/// What must be written to come from `old` to `new`, both canonical.
pub(crate) fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    named(Kind::Listener, &old.listeners, &new.listeners, &mut changes);
    upstreams(&old.upstreams, &new.upstreams, &mut changes);
    named(Kind::Route, &old.routes, &new.routes, &mut changes);
    named(Kind::IpRule, &old.ip_rules, &new.ip_rules, &mut changes);
    if old.settings != new.settings {
        let body = |settings: &Settings| (*settings != Settings::default()).then(|| json(settings));
        changes.push(Change { key: Key::settings(), before: body(&old.settings), after: body(&new.settings) });
    }
    changes
}

fn named<T: Named + PartialEq + Serialize>(kind: Kind, old: &[T], new: &[T], changes: &mut Vec<Change>) {
    for_each_pair(old, new, |name, old, new| {
        changes.push(Change { key: Key::new(kind, name), before: old.map(json), after: new.map(json) });
    });
}

fn upstreams(old: &[Upstream], new: &[Upstream], changes: &mut Vec<Change>) {
    for_each_pair(old, new, |upstream, old, new| {
        changes.push(Change {
            key: Key::new(Kind::Upstream, upstream),
            before: old.map(own_body),
            after: new.map(own_body),
        });
        let backends = |upstream: Option<&Upstream>| upstream.map(|upstream| upstream.backends.clone());
        for_each_pair(&backends(old).unwrap_or_default(), &backends(new).unwrap_or_default(), |name, old, new| {
            changes.push(Change { key: Key::backend(upstream, name), before: old.map(json), after: new.map(json) });
        });
        let breaker = |upstream: Option<&Upstream>| {
            upstream.map(|upstream| &upstream.breaker).filter(|breaker| **breaker != Breaker::default()).map(json)
        };
        let (before, after) = (breaker(old), breaker(new));
        if before != after {
            changes.push(Change { key: Key::new(Kind::Breaker, upstream), before, after });
        }
    });
}

/// The upstream without what has rows of its own.
fn own_body(upstream: &Upstream) -> String {
    json(&Upstream { backends: Vec::new(), breaker: Breaker::default(), ..upstream.clone() })
}

/// Calls `differs` for each name whose item is only in one of the lists, or not the same in both. Both are in order of names.
fn for_each_pair<T: Named + PartialEq>(old: &[T], new: &[T], mut differs: impl FnMut(&str, Option<&T>, Option<&T>)) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(old), Some(new)) => old.name().cmp(&new.name()),
        };
        let before = if order.is_le() { old.next() } else { None };
        let after = if order.is_ge() { new.next() } else { None };
        if before != after
            && let Some(item) = before.or(after)
        {
            differs(item.name().as_str(), before, after);
        }
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("configuration types have string keys only")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        shared::document::read_config(text).unwrap()
    }

    fn summary(changes: &[Change]) -> Vec<String> {
        let word = |change: &Change| change.action().map_or("touch", Action::as_str);
        changes.iter().map(|change| format!("{} {}", word(change), change.key)).collect()
    }

    #[test]
    fn only_what_differs_is_written() {
        let old = config(
            "{upstreams: [{name: a, backends: [{name: x, address: 'unix:/x'}]}, {name: b}], settings: {access_log: {enabled: false}}}",
        );
        let new = config(
            "{listeners: [{name: web, address: '127.0.0.1:80'}], upstreams: [{name: a, backends: [{name: x, address: 'unix:/y'}, {name: z, address: 'unix:/z'}]}, {name: c, breaker: {failure_rate_threshold: 10}}]}",
        );
        assert_eq!(
            summary(&diff(&old, &new)),
            [
                "create listener `web`",
                "touch upstream `a`",
                "update backend `a/x`",
                "create backend `a/z`",
                "delete upstream `b`",
                "create upstream `c`",
                "create breaker `c`",
                "delete settings",
            ]
        );
        assert_eq!(diff(&new, &new), []);
    }
}
