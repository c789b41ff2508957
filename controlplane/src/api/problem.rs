//! What a request is answered with when it is not done: RFC 9457 `application/problem+json`.

use axum::{
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use shared::{Findings, Severity, protocol::Revision};

use crate::{service::Refusal, store::StoreError};

/// The media type of problems.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not done; boxed, because it is the rare half of many results.
#[derive(Debug)]
pub(super) struct Problem(Box<ProblemDocument>);

/// Why a request was not done (RFC 9457).
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDocument {
    /// Always `about:blank`: the `code` says more.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What was wrong, and what to do about it.
    detail: String,
    /// For programs; these never change their meaning.
    code: Code,
    /// What is wrong with the body, by JSON pointer.
    #[serde(skip_serializing_if = "Findings::is_empty")]
    #[schema(required = false)]
    findings: Findings,
    /// With `in_use`: the resources that name this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    users: Vec<String>,
    /// With `not_applied`: true, the write is committed all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    committed: Option<bool>,
    /// With `not_applied`: the committed revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<Revision>,
    /// With `not_applied`: one sentence for each data plane that does not act on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    reasons: Vec<String>,
}

/// The kind of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ProblemCode)]
pub(super) enum Code {
    /// 400: not JSON or YAML, or a query parameter that is not known or not right.
    Malformed,
    /// 401: no token, or an unknown one.
    Unauthorized,
    /// 403: the token's role does not allow it.
    Forbidden,
    /// 404: there is no such resource or path.
    NotFound,
    /// 405: the path knows other methods.
    MethodNotAllowed,
    /// 408: the body did not come in time.
    Timeout,
    /// 409: POST of a name that exists.
    AlreadyExists,
    /// 409: DELETE of what others name.
    InUse,
    /// 409: the state does not allow it.
    Conflict,
    /// 412: `If-Match` or `If-None-Match` does not hold.
    PreconditionFailed,
    /// 413 for a body, 422 for a configuration that would be too large to publish.
    TooLarge,
    /// 415: the body's media type is not taken here.
    UnsupportedMediaType,
    /// 422: the configuration would not be valid; `findings` say why.
    Invalid,
    /// 422: a data plane cannot bind a listener.
    ListenerUnavailable,
    /// 500: a defect.
    Internal,
    /// 503: as many clients as may read the event stream already.
    TooManyReaders,
    /// 503: the database cannot be read or written; nothing changed.
    StoreUnavailable,
    /// 504: committed, but not every data plane acts on it.
    NotApplied,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(ProblemDocument {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            findings: Findings::new(),
            users: Vec::new(),
            committed: None,
            revision: None,
            reasons: Vec::new(),
        }))
    }

    /// 400
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::Malformed, detail)
    }

    /// 404
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, detail)
    }

    /// 422
    pub(super) fn invalid(findings: Findings) -> Self {
        Self::of_findings(Code::Invalid, "the configuration would not be valid", findings)
    }

    fn of_findings(code: Code, what: &str, findings: Findings) -> Self {
        let error = findings.iter().find(|finding| finding.severity == Severity::Error);
        let first = error.map(|finding| format!(": {finding}")).unwrap_or_default();
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, format!("{what}{first}"));
        problem.0.findings = findings;
        problem
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::NotFound(_) => Self::not_found(detail),
            Refusal::AlreadyExists(_) => Self::new(StatusCode::CONFLICT, Code::AlreadyExists, detail),
            Refusal::InUse { users, .. } => {
                let mut problem = Self::new(StatusCode::CONFLICT, Code::InUse, detail);
                problem.0.users = users;
                problem
            }
            Refusal::Conflict(_) => Self::new(StatusCode::CONFLICT, Code::Conflict, detail),
            Refusal::PreconditionFailed(_) => {
                Self::new(StatusCode::PRECONDITION_FAILED, Code::PreconditionFailed, detail)
            }
            Refusal::Invalid(findings) => Self::invalid(findings),
            Refusal::ListenerUnavailable(findings) => {
                Self::of_findings(Code::ListenerUnavailable, "a data plane cannot bind a listener", findings)
            }
            Refusal::TooLarge { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::TooLarge, detail),
            Refusal::Store(error) => store_unavailable(&error),
            Refusal::NotApplied { revision, reasons } => {
                let mut problem = Self::new(StatusCode::GATEWAY_TIMEOUT, Code::NotApplied, detail);
                problem.0.committed = Some(true);
                problem.0.revision = Some(revision);
                problem.0.reasons = reasons;
                problem
            }
            Refusal::Internal => Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, detail),
        }
    }
}

/// The driver's own words go to the log, not to the client.
fn store_unavailable(error: &StoreError) -> Problem {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, source, "the store failed");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        Code::StoreUnavailable,
        format!("{error}; nothing was changed, try again when it is repaired"),
    )
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).expect("problems have string keys only");
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(revision) = self.0.revision {
            response.headers_mut().insert(super::write::REVISION, revision.0.into());
        }
        response
    }
}

pub(super) async fn unknown_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}; /docs shows what there is", uri.path()))
}

pub(super) async fn unknown_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}; the Allow field names what it takes", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, detail)
}
