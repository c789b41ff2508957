use std::panic::AssertUnwindSafe;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;

use super::{Api, problem::Problem};
use crate::service::Refusal;

/// Counts every answer, and answers even when a handler panics.
pub(super) async fn observe(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // Handlers own nothing that a panic could leave half done: writes run in a task of their own.
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(%method, path, "a handler panicked");
        Problem::from(Refusal::Internal).into_response()
    });
    api.metrics.request(&method, response.status());
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    response
}
