//! What was committed, and the way back.

use axum::{extract::State, response::Response};
use serde::Serialize;
use shared::{config::Config, protocol::Revision};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api,
    collections::conditional,
    endpoint::{Doc, Endpoint, REVISION, WARNING},
    place::Place,
    problem::Problem,
    query::{ListParams, NoParams, Params, WriteParams},
    write::{Terms, finish, json},
};
use crate::store::RevisionInfo;

const TAG: &str = "revisions";

pub(super) fn routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    let list_doc = Doc::new(TAG, "list_revisions", "List revisions, the newest first")
        .query::<ListParams>()
        .answers_page::<RevisionInfo>("A page; `after` is a revision's number.");
    let get_doc = Doc::new(TAG, "get_revision", "Get one revision with its whole configuration")
        .answers::<RevisionWithConfig>(200, "The revision.", &[]);
    let rollback_doc = conditional(Doc::new(TAG, "roll_back", "Go back to a revision"))
        .description("Commits that revision's configuration as a new revision, after validating it again.")
        .query::<WriteParams>()
        .answers::<RevisionInfo>(
            200,
            "The current revision: a new one, or the old one if the configuration is the same, or on a dry run.",
            &[REVISION, WARNING],
        );
    let router = Endpoint::new("/revisions").get(list, list_doc).mount(router);
    let router = Endpoint::new("/revisions/{number}").get(get, get_doc).mount(router);
    Endpoint::new("/revisions/{number}/rollback").post(roll_back, rollback_doc).mount(router)
}

/// A revision with its content.
#[derive(Serialize, utoipa::ToSchema)]
struct RevisionWithConfig {
    #[serde(flatten)]
    info: RevisionInfo,
    /// The whole configuration.
    config: Config,
}

async fn list(State(api): State<Api>, Params(params): Params<ListParams>) -> Result<Response, Problem> {
    Ok(json(&api.service.revisions(params.after_number()?, params.limit()?).await?))
}

async fn get(
    State(api): State<Api>,
    Place(target): Place,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    let (info, config) = api.service.revision(number(&target.name)?).await?;
    Ok(json(&RevisionWithConfig { info, config }))
}

async fn roll_back(State(api): State<Api>, Place(target): Place, terms: Terms) -> Result<Response, Problem> {
    let (intent, wait) = terms.split();
    let committed = api.service.roll_back(intent, number(&target.name)?).await?;
    let info = api.service.revision_info(committed.revision).await?;
    finish(&api, wait, &committed, json(&info)).await
}

fn number(text: &str) -> Result<Revision, Problem> {
    text.parse().map(Revision).map_err(|_| Problem::not_found(format!("there is no revision `{text}`: send a number")))
}
