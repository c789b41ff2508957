use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Api,
    problem::{Code, Problem},
};
use crate::service::tokens::{Role, Token};

/// Who calls; in the request's extensions for everything under `/api`.
#[derive(Clone)]
pub(super) struct Caller(pub(super) Token);

/// Lets only known tokens into everything under `/api`, and viewers only read.
pub(super) async fn authenticate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path != "/api" && !path.starts_with("/api/") {
        return next.run(request).await;
    }
    let token = match bearer(request.headers()) {
        None => return unauthorized("send `Authorization: Bearer TOKEN`; the first start writes one to admin.token"),
        Some(presented) => api.tokens.authenticate(presented),
    };
    let Some(token) = token else { return unauthorized("the token is not known here") };
    if token.role == Role::Viewer && !matches!(*request.method(), Method::GET | Method::HEAD) {
        let detail = format!("token `{}` has the role viewer, which only reads", token.name);
        return Problem::new(StatusCode::FORBIDDEN, Code::Forbidden, detail).into_response();
    }
    request.extensions_mut().insert(Caller(token));
    next.run(request).await
}

/// The credentials of the Bearer scheme, whose name is case-insensitive (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorized(detail: &str) -> Response {
    Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, detail).into_response()
}
