//! Resources of which there are many: the same six operations for all kinds.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api,
    body::{self, MediaType},
    endpoint::{Doc, ETAG, Endpoint, LOCATION, REVISION, WARNING},
    place::Place,
    problem::Problem,
    query::{ListParams, NoParams, Params, WriteParams},
    write::{Terms, answer, json, unless_known},
};
use crate::service::{Collection, collection};

/// Mounts the kind `R` at `path`; `one` is what ids and summaries call a single one.
pub(super) fn routes<R: Collection>(
    router: OpenApiRouter<Api>,
    path: &str,
    tag: &str,
    one: &str,
) -> OpenApiRouter<Api> {
    let words = one.replace('_', " ");
    let doc = |verb: &str, summary: String| Doc::new(tag, format!("{verb}_{one}"), summary);
    let write = |verb: &str, summary: String| conditional(doc(verb, summary).query::<WriteParams>());
    let items = Endpoint::new(path)
        .get(
            list::<R>,
            Doc::new(tag, format!("list_{one}s"), format!("List {words}s"))
                .query::<ListParams>()
                .answers_page::<R>("A page in order of names."),
        )
        .post(
            create::<R>,
            write("create", format!("Create a new {words}")).body::<R>(&[MediaType::Json]).answers::<R>(
                201,
                "It is committed.",
                &[LOCATION, ETAG, REVISION, WARNING],
            ),
        );
    let item = Endpoint::new(format!("{path}/{{name}}"))
        .get(get::<R>, known(doc("get", format!("Get one {words}"))).answers::<R>(200, "As it is now.", &[ETAG]))
        .put(
            put::<R>,
            write("put", format!("Create or replace one {words}"))
                .description("The name may be left out of the body; a name other than the path's is refused.")
                .body_named_by_path::<R>(&[MediaType::Json])
                .answers::<R>(200, "It is committed, or was the same before.", &[ETAG, REVISION, WARNING])
                .answers::<R>(201, "It is new, and committed.", &[LOCATION, ETAG, REVISION, WARNING]),
        )
        .patch(
            patch::<R>,
            write("patch", format!("Change one {words}"))
                .description("A JSON merge patch (RFC 7396): members replace, null takes away, lists are taken whole.")
                .body::<MergePatch>(&[MediaType::MergePatch, MediaType::Json])
                .answers::<R>(200, "It is committed, or was the same before.", &[ETAG, REVISION, WARNING]),
        )
        .delete(
            delete::<R>,
            write("delete", format!("Delete one {words}")).answers_empty(204, "It is gone.", &[REVISION]),
        );
    item.mount(items.mount(router))
}

/// Members to change.
#[derive(utoipa::ToSchema)]
#[schema(value_type = Object)]
pub(super) struct MergePatch(#[expect(dead_code, reason = "only its schema is used")] Value);

/// Documents the preconditions of a write.
pub(super) fn conditional(doc: Doc) -> Doc {
    doc.field("If-Match", "Only if the resource's ETag is one of these.")
        .field("If-None-Match", "Only if it is none of these; `*`: only if it does not exist.")
}

/// Documents a conditional GET.
pub(super) fn known(doc: Doc) -> Doc {
    doc.field("If-None-Match", "The ETag of the state that the client has.").answers_empty(
        304,
        "The client has this state.",
        &[ETAG],
    )
}

async fn list<R: Collection>(
    State(api): State<Api>,
    Place(target): Place,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    let page = collection::list::<R>(&api.service.current(), &target.parent, params.after.as_deref(), params.limit()?)?;
    Ok(json(&page))
}

async fn get<R: Collection>(
    State(api): State<Api>,
    Place(target): Place,
    Params(NoParams {}): Params<NoParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (item, etag) = collection::get::<R>(&api.service.current(), &target)?;
    Ok(unless_known(&headers, etag, || json(&item)))
}

async fn create<R: Collection>(
    State(api): State<Api>,
    Place(target): Place,
    terms: Terms,
    uri: Uri,
    request: Request,
) -> Result<Response, Problem> {
    let item: R = body::typed(body::json(request, R::BODY_LIMIT, &[MediaType::Json]).await?)?;
    let location = format!("{}/{}", uri.path(), item.name());
    let (intent, wait) = terms.split();
    let written = api.service.create(intent, target.parent, item).await?;
    answer(&api, wait, written, location).await
}

async fn put<R: Collection>(
    State(api): State<Api>,
    Place(target): Place,
    terms: Terms,
    uri: Uri,
    request: Request,
) -> Result<Response, Problem> {
    let mut value = body::json(request, R::BODY_LIMIT, &[MediaType::Json]).await?;
    if let Value::Object(members) = &mut value {
        members.entry("name").or_insert_with(|| Value::String(target.name.clone()));
    }
    let item: R = body::typed(value)?;
    let (intent, wait) = terms.split();
    let written = api.service.put(intent, target, item).await?;
    answer(&api, wait, written, uri.path()).await
}

async fn patch<R: Collection>(
    State(api): State<Api>,
    Place(target): Place,
    terms: Terms,
    uri: Uri,
    request: Request,
) -> Result<Response, Problem> {
    let patch = body::json(request, R::BODY_LIMIT, &[MediaType::MergePatch, MediaType::Json]).await?;
    let (intent, wait) = terms.split();
    let written = api.service.patch::<R>(intent, target, patch).await?;
    answer(&api, wait, written, uri.path()).await
}

async fn delete<R: Collection>(
    State(api): State<Api>,
    Place(target): Place,
    terms: Terms,
) -> Result<Response, Problem> {
    let (intent, wait) = terms.split();
    let written = api.service.delete::<R>(intent, target).await?;
    answer(&api, wait, written, "").await
}
