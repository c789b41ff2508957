//! Who changed what.

use axum::{extract::State, response::Response};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api,
    endpoint::{Doc, Endpoint},
    problem::Problem,
    query::{AuditParams, Params},
    write::json,
};
use crate::store::{AuditEntry, AuditFilter};

pub(super) fn routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    let doc = Doc::new("revisions", "list_audit", "List what was changed, the newest first")
        .query::<AuditParams>()
        .answers_page::<AuditEntry>("A page; `after` is an entry's id.");
    Endpoint::new("/audit").get(list, doc).mount(router)
}

async fn list(State(api): State<Api>, Params(params): Params<AuditParams>) -> Result<Response, Problem> {
    let (after, limit) = (params.after_number()?, params.limit()?);
    let filter = AuditFilter { kind: params.kind, name: params.name, revision: params.revision };
    Ok(json(&api.service.audit(&filter, after, limit).await?))
}
