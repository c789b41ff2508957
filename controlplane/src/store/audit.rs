use serde::Serialize;
use serde_json::value::RawValue;
use shared::{protocol::Revision, value::Timestamp};
use sqlx::{QueryBuilder, Sqlite};

use super::{Store, StoreError};
use crate::model::{Action, Kind};

/// What one revision did to one resource.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AuditEntry {
    /// Counted up; what the list pages by.
    pub(crate) id: u64,
    /// The revision that did it.
    pub(crate) revision: Revision,
    /// When.
    pub(crate) at: Timestamp,
    /// The name of the token that did it, or `startup`.
    pub(crate) actor: String,
    /// What kind of resource.
    pub(crate) kind: Kind,
    /// Its name; a backend's is `upstream/backend`.
    pub(crate) name: String,
    /// What happened to it.
    pub(crate) action: Action,
    /// The body before; null if it is new.
    #[schema(value_type = Option<Object>)]
    pub(crate) before: Option<Box<RawValue>>,
    /// The body after; null if it is gone.
    #[schema(value_type = Option<Object>)]
    pub(crate) after: Option<Box<RawValue>>,
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditFilter {
    pub(crate) kind: Option<Kind>,
    pub(crate) name: Option<String>,
    pub(crate) revision: Option<u64>,
}

type Columns = (i64, i64, i64, String, String, String, String, Option<String>, Option<String>);

impl Store {
    /// At most `limit` entries, the newest first, all older than entry `before`.
    pub(crate) async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new(
            "SELECT id, revision, at, actor, kind, name, action, before, after FROM audit WHERE id < ",
        );
        query.push_bind(before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX));
        if let Some(kind) = filter.kind {
            query.push(" AND kind = ").push_bind(kind.as_str());
        }
        if let Some(name) = &filter.name {
            query.push(" AND name = ").push_bind(name);
        }
        if let Some(revision) = filter.revision {
            query.push(" AND revision = ").push_bind(i64::try_from(revision).unwrap_or(-1));
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit as i64);
        let rows: Vec<Columns> = query.build_query_as().fetch_all(&self.read).await?;
        rows.into_iter()
            .map(|columns| {
                let id = columns.0;
                entry(columns).ok_or_else(|| StoreError::Content(format!("the audit row {id} cannot be read")))
            })
            .collect()
    }
}

fn entry((id, revision, at, actor, kind, name, action, before, after): Columns) -> Option<AuditEntry> {
    let raw = |body: Option<String>| body.map(RawValue::from_string).transpose();
    Some(AuditEntry {
        id: id.cast_unsigned(),
        revision: Revision(revision.cast_unsigned()),
        at: Timestamp::from_millis(at)?,
        actor,
        kind: kind.parse().ok()?,
        name,
        action: [Action::Create, Action::Update, Action::Delete]
            .into_iter()
            .find(|candidate| candidate.as_str() == action)?,
        before: raw(before).ok()?,
        after: raw(after).ok()?,
    })
}
