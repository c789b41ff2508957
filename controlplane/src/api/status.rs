//! What upstreams and their endpoints are doing.

use axum::{extract::State, response::Response};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api,
    endpoint::{Doc, Endpoint},
    place::Place,
    problem::Problem,
    query::{ListParams, NoParams, Params},
    write::json,
};
use crate::publish::UpstreamLive;

const TAG: &str = "status";

pub(super) fn routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    let one_doc = Doc::new(TAG, "upstream_status", "Get the live state of an upstream")
        .description("What each data plane reported of it, at most a second ago while it is connected.")
        .answers_example::<UpstreamLive>("Its endpoints, by data plane.", include_str!("status/example.json"));
    let list_doc = Doc::new(TAG, "list_status", "List the live state of all upstreams")
        .query::<ListParams>()
        .answers_page::<UpstreamLive>("A page; `after` is an upstream's name.");
    let router = Endpoint::new("/upstreams/{upstream}/status").get(one, one_doc).mount(router);
    Endpoint::new("/status").get(list, list_doc).mount(router)
}

async fn one(
    State(api): State<Api>,
    Place(target): Place,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    Ok(json(&api.service.live(&target.parent)?))
}

async fn list(State(api): State<Api>, Params(params): Params<ListParams>) -> Result<Response, Problem> {
    Ok(json(&api.service.live_page(params.after.as_deref(), params.limit()?)?))
}
