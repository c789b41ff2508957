//! Liveness, readiness and metrics, for whoever runs the process.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api,
    endpoint::{Doc, Endpoint},
    problem::{Problem, ProblemDocument},
};

const TAG: &str = "operation";
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    let health_doc = Doc::new(TAG, "healthz", "Is the process alive?").answers_text("text/plain", "It is.");
    let ready_doc = Doc::new(TAG, "readyz", "Can the store be read?")
        .answers_text("text/plain", "It can.")
        .answers::<ProblemDocument>(503, "`store_unavailable`", &[]);
    let metrics_doc = Doc::new(TAG, "metrics", "Metrics for Prometheus").answers_text(METRICS, "OpenMetrics text.");
    let router = Endpoint::open("/healthz").get(health, health_doc).mount(router);
    let router = Endpoint::open("/readyz").get(ready, ready_doc).mount(router);
    Endpoint::open("/metrics").get(metrics, metrics_doc).mount(router)
}

async fn health() -> &'static str {
    "ok\n"
}

async fn ready(State(api): State<Api>) -> Result<&'static str, Problem> {
    api.service.ready().await?;
    Ok("ready\n")
}

async fn metrics(State(api): State<Api>) -> Response {
    let text = api.metrics.text(api.service.connected_data_planes(), api.service.events().count());
    ([(header::CONTENT_TYPE, METRICS)], text).into_response()
}
