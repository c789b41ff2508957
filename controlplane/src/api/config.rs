//! The whole configuration as one resource.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use shared::{
    config::Config,
    document::{MAX_DOCUMENT, to_yaml},
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api,
    body::{self, MediaType, prefers_yaml},
    collections::{conditional, known},
    endpoint::{Doc, ETAG, Endpoint, REVISION, WARNING},
    problem::Problem,
    query::{NoParams, Params, WriteParams},
    write::{Terms, field, finish, json, quoted, unless_known},
};
use crate::service::Refusal;

pub(super) fn routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    Endpoint::new("/config")
        .get(
            get,
            known(Doc::new("config", "get_config", "Get the whole configuration")).answers_document::<Config>(
                "The configuration; as YAML if Accept asks for it. The ETag is the current revision.",
                &[ETAG],
            ),
        )
        .put(
            put,
            conditional(Doc::new("config", "put_config", "Replace the whole configuration"))
                .description("All of it or nothing, as one revision. What the document leaves out is removed.")
                .query::<WriteParams>()
                .body::<Config>(&[MediaType::Json, MediaType::Yaml])
                .answers_document::<Config>("It is committed, or was the same before.", &[ETAG, REVISION, WARNING]),
        )
        .mount(router)
}

async fn get(
    State(api): State<Api>,
    Params(NoParams {}): Params<NoParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let current = api.service.current();
    let mut response = unless_known(&headers, current.revision, || document(&headers, &*current.config));
    response.headers_mut().extend(field(header::VARY, "Accept"));
    Ok(response)
}

async fn put(State(api): State<Api>, terms: Terms, request: Request) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let config: Config = body::document(request, MAX_DOCUMENT).await?;
    let (intent, wait) = terms.split();
    let committed = api.service.replace_config(intent, config).await?;
    let mut response = document(&headers, &*committed.state.config);
    if committed.state.revision == committed.revision {
        response.headers_mut().extend(field(header::ETAG, quoted(committed.revision)));
    }
    finish(&api, wait, &committed, response).await
}

/// A value in JSON or YAML, as the client accepts.
pub(super) fn document<T: Serialize>(headers: &HeaderMap, value: &T) -> Response {
    if !prefers_yaml(headers) {
        return json(value);
    }
    match to_yaml(value) {
        Ok(text) => ([(header::CONTENT_TYPE, MediaType::Yaml.names()[0])], text).into_response(),
        Err(error) => {
            tracing::error!(error, "a configuration cannot be written as YAML");
            Problem::from(Refusal::Internal).into_response()
        }
    }
}
