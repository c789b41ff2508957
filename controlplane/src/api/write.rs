//! What all writes have in common: their terms, and their answer.

use std::{fmt::Display, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use shared::{Finding, protocol::Revision, value::TimeSpan};

use super::{
    Api,
    auth::Caller,
    problem::Problem,
    query::{Params, WriteParams},
};
use crate::service::{Committed, Condition, Intent, Refusal, Tags, Written};

/// The current revision after a write.
pub(super) const REVISION: HeaderName = HeaderName::from_static("tidegate-revision");
/// A warning about what was written, once for each.
pub(super) const WARNING: HeaderName = HeaderName::from_static("tidegate-warning");

const MAX_WAIT: TimeSpan = TimeSpan::from_secs(60);
/// Warnings that go into header fields, and the length of one: heads of many KiB are refused by clients and proxies.
const WARNINGS: usize = 10;
const WARNING_LENGTH: usize = 300;

/// The terms of a write.
pub(super) struct Terms {
    pub(super) intent: Intent,
    /// How long to wait for the data planes.
    wait: Option<Duration>,
}

impl<S: Send + Sync> FromRequestParts<S> for Terms {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Params(WriteParams { dry_run, wait }) = Params::from_request_parts(parts, state).await?;
        if wait.is_some_and(|wait| wait > MAX_WAIT) {
            return Err(Problem::malformed(format!("wait: at most {MAX_WAIT}")));
        }
        // Missing only if a handler was mounted outside the authenticated paths.
        let Caller(token) = parts.extensions.get().cloned().ok_or(Refusal::Internal)?;
        let condition = Condition {
            if_match: tags(&parts.headers, &header::IF_MATCH, false),
            if_none_match: tags(&parts.headers, &header::IF_NONE_MATCH, true),
        };
        // No time at all is no wait: a data plane's answer is never there already.
        let wait = wait.filter(|wait| !dry_run && !wait.is_zero()).map(TimeSpan::duration);
        Ok(Self { intent: Intent { actor: token.name.to_string(), dry_run, condition }, wait })
    }
}

/// The tags of `If-Match` (strong comparison) or `If-None-Match` (weak), RFC 9110 §13.1.
pub(super) fn tags(headers: &HeaderMap, field: &HeaderName, weak: bool) -> Option<Tags> {
    let mut tags = Vec::new();
    let mut sent = false;
    for value in headers.get_all(field) {
        sent = true;
        // Our tags are numbers: a comma inside a foreign tag only makes pieces that match nothing either.
        for tag in value.to_str().unwrap_or_default().split(',').map(str::trim) {
            if tag == "*" {
                return Some(Tags::Any);
            }
            let strong = tag.strip_prefix("W/").filter(|_| weak).unwrap_or(tag);
            tags.extend(strong.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).map(str::to_owned));
        }
    }
    sent.then_some(Tags::List(tags))
}

/// The answer to a write of one resource: 201 with its place, 200 with its body, or 204.
pub(super) async fn answer<R: Serialize>(
    api: &Api,
    wait: Wait,
    written: Written<R>,
    location: impl Display,
) -> Result<Response, Problem> {
    let etag = written.committed.etag(&written.key);
    let mut response = match &written.body {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(body) if written.created => {
            let mut response = (StatusCode::CREATED, json(body)).into_response();
            response.headers_mut().extend(field(header::LOCATION, location));
            response
        }
        Some(body) => json(body),
    };
    if written.body.is_some() {
        response.headers_mut().extend(etag.and_then(|etag| field(header::ETAG, quoted(etag))));
    }
    finish(api, wait, &written.committed, response).await
}

/// How long the answer waits for the data planes.
#[derive(Clone, Copy)]
pub(super) struct Wait(Option<Duration>);

impl Terms {
    /// The two halves: one for the service, one for the answer.
    pub(super) fn split(self) -> (Intent, Wait) {
        (self.intent, Wait(self.wait))
    }
}

/// Waits for the data planes if the caller asked for it, and adds the fields of all writes to the answer.
pub(super) async fn finish<T>(
    api: &Api,
    Wait(wait): Wait,
    committed: &Committed<T>,
    mut response: Response,
) -> Result<Response, Problem> {
    if let Some(wait) = wait {
        api.service.wait(committed.revision, wait).await?;
    }
    response.headers_mut().insert(REVISION, committed.revision.0.into());
    for warning in committed.warnings.iter().take(WARNINGS) {
        response.headers_mut().append(WARNING, warning_field(warning));
    }
    Ok(response)
}

/// A value as a JSON answer.
pub(super) fn json<T: Serialize>(value: &T) -> Response {
    let body = serde_json::to_vec(value).expect("answers have string keys only");
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The answer to a conditional GET: 304 if the client has this state already.
pub(super) fn unless_known(headers: &HeaderMap, etag: Revision, body: impl FnOnce() -> Response) -> Response {
    let known = tags(headers, &header::IF_NONE_MATCH, true).is_some_and(|tags| tags.holds(Some(etag)));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { body() };
    response.headers_mut().extend(field(header::ETAG, quoted(etag)));
    response
}

/// An entity tag.
pub(super) fn quoted(etag: Revision) -> String {
    format!("\"{etag}\"")
}

/// A field for `HeaderMap::extend`; none if the value cannot stand in a field.
pub(super) fn field(name: HeaderName, value: impl Display) -> Option<(HeaderName, HeaderValue)> {
    Some((name, HeaderValue::try_from(value.to_string()).ok()?))
}

/// A warning in visible ASCII: header fields carry nothing else safely.
fn warning_field(warning: &Finding) -> HeaderValue {
    let text = if warning.pointer.is_empty() { warning.message.clone() } else { warning.to_string() };
    let visible = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let text: String = text.chars().take(WARNING_LENGTH).map(visible).collect();
    HeaderValue::try_from(text).expect("visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_http_says() {
        let list = |tags: &[&str]| Some(Tags::List(tags.iter().map(|tag| (*tag).to_owned()).collect()));
        for (value, strong, weak) in [
            ("\"7\"", list(&["7"]), list(&["7"])),
            ("\"6\" , \"7\"", list(&["6", "7"]), list(&["6", "7"])),
            ("W/\"7\"", list(&[]), list(&["7"])),
            ("*", Some(Tags::Any), Some(Tags::Any)),
            ("7", list(&[]), list(&[])),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, value.parse().unwrap());
            assert_eq!(tags(&headers, &header::IF_MATCH, false), strong, "{value}");
            assert_eq!(tags(&headers, &header::IF_MATCH, true), weak, "{value}");
        }
        assert_eq!(tags(&HeaderMap::new(), &header::IF_MATCH, false), None);
    }

    #[test]
    fn warnings_cannot_break_out_of_their_field() {
        let warning = Finding {
            severity: shared::Severity::Warning,
            pointer: "/a".to_owned(),
            message: format!("bad\r\nSet-Cookie: x ü{}", "x".repeat(1000)),
        };
        let field = warning_field(&warning);
        assert!(field.to_str().unwrap().starts_with("/a: bad??Set-Cookie: x ?xx"));
        assert_eq!(field.len(), WARNING_LENGTH);
    }
}
