//! Resources of which there is exactly one, or one for each upstream: they always exist, and DELETE sets them to their defaults.

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api,
    body::{self, MediaType},
    collections::{MergePatch, conditional, known},
    endpoint::{Doc, ETAG, Endpoint, REVISION, WARNING},
    place::Place,
    problem::Problem,
    query::{NoParams, Params, WriteParams},
    write::{Terms, answer, json, unless_known},
};
use crate::service::{Singleton, singleton};

const BODY_LIMIT: usize = 1 << 20;

/// Mounts the kind `S` at `path`.
pub(super) fn routes<S: Singleton>(router: OpenApiRouter<Api>, path: &str, tag: &str, one: &str) -> OpenApiRouter<Api> {
    let doc = |verb: &str, summary: String| Doc::new(tag, format!("{verb}_{one}"), summary);
    let write = |verb: &str, summary: String| conditional(doc(verb, summary).query::<WriteParams>());
    let fields = &[ETAG, REVISION, WARNING];
    Endpoint::new(path)
        .get(get::<S>, known(doc("get", format!("Get the {one}"))).answers::<S>(200, "As it is now.", &[ETAG]))
        .put(
            put::<S>,
            write("put", format!("Replace the {one}")).body::<S>(&[MediaType::Json]).answers::<S>(
                200,
                "It is committed, or was the same before.",
                fields,
            ),
        )
        .patch(
            patch::<S>,
            write("patch", format!("Change the {one}"))
                .description("A JSON merge patch (RFC 7396): members replace, null takes away, lists are taken whole.")
                .body::<MergePatch>(&[MediaType::MergePatch, MediaType::Json])
                .answers::<S>(200, "It is committed, or was the same before.", fields),
        )
        .delete(
            reset::<S>,
            write("reset", format!("Set the {one} to the defaults")).answers_empty(
                204,
                "The defaults hold.",
                &[REVISION],
            ),
        )
        .mount(router)
}

async fn get<S: Singleton>(
    State(api): State<Api>,
    Place(target): Place,
    Params(NoParams {}): Params<NoParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (body, etag) = singleton::get::<S>(&api.service.current(), &target.parent)?;
    Ok(unless_known(&headers, etag, || json(&body)))
}

async fn put<S: Singleton>(
    State(api): State<Api>,
    Place(target): Place,
    terms: Terms,
    request: Request,
) -> Result<Response, Problem> {
    let body: S = body::typed(body::json(request, BODY_LIMIT, &[MediaType::Json]).await?)?;
    let (intent, wait) = terms.split();
    let written = api.service.put_singleton(intent, target.parent, body).await?;
    answer(&api, wait, written, "").await
}

async fn patch<S: Singleton>(
    State(api): State<Api>,
    Place(target): Place,
    terms: Terms,
    request: Request,
) -> Result<Response, Problem> {
    let patch = body::json(request, BODY_LIMIT, &[MediaType::MergePatch, MediaType::Json]).await?;
    let (intent, wait) = terms.split();
    let written = api.service.patch_singleton::<S>(intent, target.parent, patch).await?;
    answer(&api, wait, written, "").await
}

async fn reset<S: Singleton>(State(api): State<Api>, Place(target): Place, terms: Terms) -> Result<Response, Problem> {
    let (intent, wait) = terms.split();
    let written = api.service.reset_singleton::<S>(intent, target.parent).await?;
    answer(&api, wait, written, "").await
}
