use std::{collections::HashMap, sync::Arc};

use shared::{
    config::{Config, Named},
    protocol::{BodyHash, Revision},
};

use crate::model::{Change, Key, Kind, Row};

/// One committed configuration in memory: what reads are answered from.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) revision: Revision,
    /// Canonical.
    pub(crate) config: Arc<Config>,
    pub(crate) hash: BodyHash,
    last_changes: HashMap<Key, Revision>,
}

impl Current {
    /// The state of `revision`, which consists of `rows`.
    pub(crate) fn new(revision: Revision, config: Config, hash: BodyHash, rows: &[Row]) -> Self {
        let last_changes = rows.iter().map(|row| (row.key.clone(), Revision(row.created_in))).collect();
        Self { revision, config: Arc::new(config), hash, last_changes }
    }

    /// The revision of the last change of a resource: its `ETag`. None: it does not exist.
    ///
    /// A singleton at its defaults has no row: the breaker then has the upstream's, which changes whenever the breaker does.
    pub(crate) fn last_change(&self, key: &Key) -> Option<Revision> {
        self.last_changes.get(key).copied().or_else(|| match key.kind {
            Kind::Settings => Some(Revision::default()),
            Kind::Breaker => self.last_changes.get(&Key::new(Kind::Upstream, &*key.name)).copied(),
            _ => None,
        })
    }

    /// The state after `changes` became `revision`.
    pub(crate) fn after(&self, revision: Revision, config: Arc<Config>, hash: BodyHash, changes: &[Change]) -> Self {
        let mut last_changes = self.last_changes.clone();
        for change in changes {
            match change.after {
                Some(_) => last_changes.insert(change.key.clone(), revision),
                None => last_changes.remove(&change.key),
            };
        }
        Self { revision, config, hash, last_changes }
    }
}

/// The position of the item `name` in a list that is in order of names.
pub(crate) fn position<T: Named>(list: &[T], name: &str) -> Option<usize> {
    list.binary_search_by(|item| item.name().as_str().cmp(name)).ok()
}
