//! Closing the breaker of a backend by hand: something to do once, so no configuration and no revision.

use axum::{extract::State, response::Response};
use serde::Serialize;
use shared::protocol::InstanceId;
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api,
    endpoint::{Doc, Endpoint},
    place::Place,
    problem::Problem,
    query::{NoParams, Params},
    write::json,
};

/// What became of it.
#[derive(Serialize, utoipa::ToSchema)]
struct BreakerReset {
    /// The data planes that were asked: those that are connected and not foreign.
    data_planes: Vec<DataPlaneReset>,
}

/// What became of it on one data plane.
#[derive(Serialize, utoipa::ToSchema)]
struct DataPlaneReset {
    /// Which.
    id: InstanceId,
    /// Whether the breaker is closed there.
    reset: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    let doc = Doc::new("upstreams", "reset_backend_breaker", "Close the breaker of one backend")
        .description(
            "On every connected data plane, at once and once: its window is empty and its wait as short as at first. A breaker that \
             `breaker_override` forces open stays so.",
        )
        .answers_example::<BreakerReset>(
            "Which data planes did.",
            r#"{"data_planes": [{"id": "2f6d1a52-7a5e-4c1c-9a50-0d3f0b1f6c11", "reset": true}]}"#,
        );
    Endpoint::new("/upstreams/{upstream}/backends/{name}/breaker/reset").post(reset, doc).mount(router)
}

async fn reset(
    State(api): State<Api>,
    Place(target): Place,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    let resets = api.service.reset_breaker(&target.parent, &target.name).await?;
    let data_planes = resets.into_iter().map(|done| DataPlaneReset {
        id: done.instance,
        reset: done.refused.is_none(),
        reason: done.refused,
    });
    Ok(json(&BreakerReset { data_planes: data_planes.collect() }))
}
