//! The REST API: extract, call the service, answer. Start reading at [`router`].

mod admin_state;
mod audit;
mod auth;
mod body;
mod breaker_reset;
mod collections;
mod config;
mod data_planes;
mod document;
mod endpoint;
mod events;
mod observe;
mod operations;
mod place;
mod problem;
mod query;
mod revisions;
mod singletons;
mod status;
mod tokens;
mod write;

use std::sync::Arc;

use axum::{Router, middleware};
use shared::config::{Backend, Breaker, IpRule, Listener, Route, Settings, Upstream};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

pub(crate) use document::document;

use crate::{
    metrics::Metrics,
    service::{Service, tokens::Tokens},
};

/// Where the resources are.
const V1: &str = "/api/v1";

/// What handlers work with.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) service: Arc<Service>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The whole API, ready to serve.
pub(crate) fn router(api: Api) -> Router {
    let (router, document) = endpoints().split_for_parts();
    router
        .merge(SwaggerUi::new("/docs").url("/openapi.json", document))
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::unknown_method)
        // Inside the observer, so that refused requests are counted too; around the fallbacks, so that a caller without a token
        // does not learn which paths exist.
        .layer(middleware::from_fn_with_state(api.clone(), auth::authenticate))
        // Outermost: whatever happens inside is answered and counted.
        .layer(middleware::from_fn_with_state(api.clone(), observe::observe))
        .with_state(api)
}

fn endpoints() -> OpenApiRouter<Api> {
    let router = OpenApiRouter::with_openapi(document::base());
    let router = collections::routes::<Listener>(router, "/listeners", "listeners", "listener");
    let router = collections::routes::<Upstream>(router, "/upstreams", "upstreams", "upstream");
    let router = collections::routes::<Backend>(router, "/upstreams/{upstream}/backends", "upstreams", "backend");
    let router = admin_state::routes(router);
    let router = breaker_reset::routes(router);
    let router = singletons::routes::<Breaker>(router, "/upstreams/{upstream}/breaker", "upstreams", "breaker");
    let router = collections::routes::<Route>(router, "/routes", "routes", "route");
    let router = collections::routes::<IpRule>(router, "/ip-rules", "ip-rules", "ip_rule");
    let router = singletons::routes::<Settings>(router, "/settings", "settings", "settings");
    let router = config::routes(router);
    let router = revisions::routes(router);
    let router = audit::routes(router);
    let router = data_planes::routes(router);
    let router = status::routes(router);
    let router = events::routes(router);
    let router = tokens::routes(router);
    operations::routes(router)
}

#[cfg(test)]
mod tests;
