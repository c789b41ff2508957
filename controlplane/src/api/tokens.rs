//! Who may call this API.

use axum::{
    extract::{Extension, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api,
    auth::Caller,
    body::{self, MediaType},
    endpoint::{Doc, Endpoint, LOCATION},
    place::Place,
    problem::Problem,
    query::{ListParams, NoParams, Params},
    write::{field, json},
};
use crate::service::tokens::{IssuedToken, NewToken, Token};

const TAG: &str = "tokens";
const BODY_LIMIT: usize = 1 << 20;

pub(super) fn routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    let list_doc = Doc::new(TAG, "list_tokens", "List tokens")
        .query::<ListParams>()
        .answers_page::<Token>("A page in order of names; without the tokens themselves.");
    let issue_doc = Doc::new(TAG, "issue_token", "Issue a token")
        .body::<NewToken>(&[MediaType::Json])
        .answers::<IssuedToken>(201, "The token; it cannot be shown again.", &[LOCATION]);
    let revoke_doc = Doc::new(TAG, "revoke_token", "Revoke a token")
        .description("The last token with the role admin cannot be revoked.")
        .answers_empty(204, "It is of no use any more.", &[]);
    let router = Endpoint::new("/tokens").get(list, list_doc).post(issue, issue_doc).mount(router);
    Endpoint::new("/tokens/{name}").delete(revoke, revoke_doc).mount(router)
}

async fn list(State(api): State<Api>, Params(params): Params<ListParams>) -> Result<Response, Problem> {
    Ok(json(&api.tokens.list(params.after.as_deref(), params.limit()?)))
}

async fn issue(
    State(api): State<Api>,
    Params(NoParams {}): Params<NoParams>,
    Extension(Caller(caller)): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let new: NewToken = body::typed(body::json(request, BODY_LIMIT, &[MediaType::Json]).await?)?;
    let issued = api.tokens.issue(new).await?;
    tracing::info!(actor = %caller.name, token = %issued.name, role = ?issued.role, "token issued");
    let mut response = (StatusCode::CREATED, json(&issued)).into_response();
    response.headers_mut().extend(field(header::LOCATION, format!("{}/tokens/{}", super::V1, issued.name)));
    response.headers_mut().extend(field(header::CACHE_CONTROL, "no-store"));
    Ok(response)
}

async fn revoke(
    State(api): State<Api>,
    Place(target): Place,
    Params(NoParams {}): Params<NoParams>,
    Extension(Caller(caller)): Extension<Caller>,
) -> Result<Response, Problem> {
    api.tokens.revoke(target.name.clone()).await?;
    tracing::info!(actor = %caller.name, token = target.name, "token revoked");
    Ok(StatusCode::NO_CONTENT.into_response())
}
