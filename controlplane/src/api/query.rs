//! Query parameters; those that an operation does not know are refused, or a typo would silently do something else.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::{Deserialize, de::DeserializeOwned};
use shared::value::{Name, TimeSpan};

use super::problem::Problem;
use crate::model::Kind;

/// The query as `T`.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(query) = Query::try_from_uri(&parts.uri)
            .map_err(|error| Problem::malformed(format!("the query: {}", error.body_text())))?;
        Ok(Self(query))
    }
}

/// For operations without parameters.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParams {}

/// Which page of a list.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Most items of the page, 1 to 1000; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The page begins after this item: `next` of the page before.
    pub(super) after: Option<String>,
}

/// Which entries of the audit, and which page of them.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditParams {
    /// Most items of the page, 1 to 1000; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The page begins after this entry: `next` of the page before.
    after: Option<String>,
    /// Only this kind of resource.
    pub(super) kind: Option<Kind>,
    /// Only resources of this name; a backend's is `upstream/backend`.
    pub(super) name: Option<String>,
    /// Only what this revision did.
    pub(super) revision: Option<u64>,
}

/// Which events.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventParams {
    /// Begins behind the event of this id; 0 with the oldest that is kept. Without it, and without `Last-Event-ID`, with what is new.
    #[param(value_type = Option<u64>)]
    pub(super) after: Option<u64>,
    /// Only transitions of this upstream.
    #[param(value_type = Option<Name>)]
    pub(super) upstream: Option<Name>,
    /// Whether the stream stays open for what is to come. Otherwise it ends with the newest event, and begins with the oldest unless
    /// `after` says otherwise.
    #[param(required = false, value_type = bool, default = true)]
    pub(super) follow: bool,
}

impl Default for EventParams {
    fn default() -> Self {
        Self { after: None, upstream: None, follow: true }
    }
}

/// Under which terms a write is done.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WriteParams {
    /// Checks everything and changes nothing. `Tidegate-Revision` then stays the current revision, there is no `ETag`.
    #[param(required = false)]
    pub(super) dry_run: bool,
    /// Answers only when each connected data plane acts on the write, or 504 `not_applied` after this time; at most `60s`.
    #[param(value_type = Option<TimeSpan>)]
    pub(super) wait: Option<TimeSpan>,
}

const LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

impl ListParams {
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        limit(self.limit)
    }

    /// `after` of a list that is paged by number.
    pub(super) fn after_number(&self) -> Result<Option<u64>, Problem> {
        number(self.after.as_deref())
    }
}

impl AuditParams {
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        limit(self.limit)
    }

    pub(super) fn after_number(&self) -> Result<Option<u64>, Problem> {
        number(self.after.as_deref())
    }
}

fn limit(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::malformed(format!("limit={limit}: from 1 to {MAX_LIMIT} items make a page")))
}

fn number(after: Option<&str>) -> Result<Option<u64>, Problem> {
    let parse = |text: &str| {
        text.parse().map_err(|_| Problem::malformed("after: send the number that was `next` of the page before"))
    };
    after.map(parse).transpose()
}
