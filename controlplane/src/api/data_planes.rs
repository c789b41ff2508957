//! Who applies the configuration.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
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
use crate::{model::Page, publish::DataPlane};

const TAG: &str = "data-planes";

pub(super) fn routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    let list_doc = Doc::new(TAG, "list_data_planes", "List data planes")
        .answers_page::<DataPlane>("All of them: they never fill more than one page.");
    let adopt_doc = Doc::new(TAG, "adopt_data_plane", "Let a foreign data plane be overwritten")
        .description(
            "A data plane that holds another store's configuration, or a higher revision, keeps it until it is adopted: a \
             wiped or restored database must not empty live traffic.",
        )
        .answers_empty(204, "It gets the current snapshot.", &[]);
    let router = Endpoint::new("/data-planes").get(list, list_doc).mount(router);
    Endpoint::new("/data-planes/{id}/adopt").post(adopt, adopt_doc).mount(router)
}

async fn list(State(api): State<Api>, Params(NoParams {}): Params<NoParams>) -> Response {
    json(&Page { items: api.service.data_planes(), next: None })
}

async fn adopt(
    State(api): State<Api>,
    Place(target): Place,
    Params(NoParams {}): Params<NoParams>,
) -> Result<Response, Problem> {
    let id = target.name.parse().map_err(|_| {
        Problem::not_found(format!("there is no data plane `{}`: send the id that /data-planes shows", target.name))
    })?;
    api.service.adopt(InstanceId(id))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
