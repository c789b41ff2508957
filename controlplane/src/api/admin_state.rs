//! Whether a backend takes requests, by one call each: what a rolling deploy does before and after it restarts one.

use axum::{
    extract::{Request, State},
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    config::Backend,
    status::AdminState,
    value::{TimeSpan, Timestamp},
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api,
    body::{self, MediaType},
    collections::conditional,
    endpoint::{Doc, ETAG, Endpoint, REVISION, WARNING},
    place::Place,
    problem::Problem,
    query::WriteParams,
    write::{Terms, answer},
};

/// Bytes of a body.
const BODY_LIMIT: usize = 4 << 10;

/// How a backend is drained.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"deadline": "10m"}))]
struct Drain {
    /// How long its sessions stay, from now on; then they move to other backends. None: until it is disabled, enabled or deleted.
    deadline: Option<TimeSpan>,
}

/// For calls that say all by their path.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Nothing {}

/// Mounts the three.
pub(super) fn routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    let doc = |verb: &str, summary: &str, description: &str| {
        let doc = Doc::new("upstreams", format!("{verb}_backend"), summary).description(description);
        conditional(doc.query::<WriteParams>()).answers::<Backend>(
            200,
            "It is committed, or was the same before.",
            &[ETAG, REVISION, WARNING],
        )
    };
    let drain_doc = doc(
        "drain",
        "Drain one backend",
        "It finishes what is open and keeps its sessions, until the deadline if there is one, and takes nothing new. The same as \
         PATCH with `state: draining` and `drain_until`.",
    );
    let enable_doc = doc("enable", "Let one backend take requests", "The same as PATCH with `state: active`.");
    let disable_doc = doc(
        "disable",
        "Let one backend take no requests",
        "It finishes what is open; its sessions move. The same as PATCH with `state: disabled`.",
    );
    let at = |verb: &str| Endpoint::new(format!("/upstreams/{{upstream}}/backends/{{name}}/{verb}"));
    let router = at("drain").post(drain, drain_doc.optional_body::<Drain>(&[MediaType::Json])).mount(router);
    let router = at("enable").post(enable, enable_doc).mount(router);
    at("disable").post(disable, disable_doc).mount(router)
}

async fn drain(State(api): State<Api>, place: Place, terms: Terms, request: Request) -> Result<Response, Problem> {
    let Drain { deadline } = body::optional(request, BODY_LIMIT, &[MediaType::Json]).await?;
    let until = deadline.and_then(|deadline| {
        let millis = i64::try_from(deadline.duration().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(Timestamp::now().as_millis().saturating_add(millis))
    });
    set(&api, place, terms, json!({"state": AdminState::Draining, "drain_until": until})).await
}

async fn enable(State(api): State<Api>, place: Place, terms: Terms, request: Request) -> Result<Response, Problem> {
    let Nothing {} = body::optional(request, BODY_LIMIT, &[MediaType::Json]).await?;
    set(&api, place, terms, json!({"state": AdminState::Active, "drain_until": null})).await
}

async fn disable(State(api): State<Api>, place: Place, terms: Terms, request: Request) -> Result<Response, Problem> {
    let Nothing {} = body::optional(request, BODY_LIMIT, &[MediaType::Json]).await?;
    set(&api, place, terms, json!({"state": AdminState::Disabled, "drain_until": null})).await
}

async fn set(api: &Api, Place(target): Place, terms: Terms, patch: Value) -> Result<Response, Problem> {
    let (intent, wait) = terms.split();
    let written = api.service.patch::<Backend>(intent, target, patch).await?;
    answer(api, wait, written, "").await
}
