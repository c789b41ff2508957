use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::value::{BodyTemplate, ErrorSelector};

/// What the answers look like that the proxy makes because something is wrong.
///
/// The client's `Accept` chooses among plain text, HTML, JSON and problem details (RFC 9457). Each has the reason in a word and
/// the request's id, and nothing that helps an attacker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"default_format": "html", "pages": {"500-599": {"html": "<h1>Sorry</h1><p>Tell us {request_id}</p>", "json": "{\"code\":{status},\"id\":\"{request_id}\"}"}, "no_route": {"html": "<h1>Nothing here</h1>"}}}))))]
#[serde(default, deny_unknown_fields)]
pub struct ErrorPages {
    /// What a client gets that says nothing about it, or wants none of them, or likes several alike. Plain text unless said
    /// otherwise.
    #[serde(skip_serializing_if = "is_default")]
    pub default_format: ErrorFormat,
    /// Bodies in place of the proxy's own, by reason or status. Of several that fit, the one for the reason comes first, then the
    /// one for the fewest statuses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, ErrorPage>))]
    pub pages: BTreeMap<ErrorSelector, ErrorPage>,
}

/// What differs for a route from the `errors` of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"replace_backend": true, "pages": {"maintenance": {"html": "<h1>Back at noon</h1>"}}}))))]
#[serde(default, deny_unknown_fields)]
pub struct RouteErrors {
    /// Whether the responses of backends with a status from 500 to 599 are replaced by an answer of the proxy's own with the
    /// same status and the reason `backend_error`.
    #[serde(skip_serializing_if = "is_default")]
    pub replace_backend: bool,
    /// What a client gets that says nothing about it; as the settings say unless it stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_format: Option<ErrorFormat>,
    /// Bodies in place of those of the settings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, ErrorPage>))]
    pub pages: BTreeMap<ErrorSelector, ErrorPage>,
}

/// How an error is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorFormat {
    /// `text/plain`
    #[default]
    Text,
    /// `text/html`
    Html,
    /// `application/json`
    Json,
    /// `application/problem+json` (RFC 9457)
    Problem,
}

impl ErrorFormat {
    /// All of them, each at its place as a number.
    pub const ALL: [Self; 4] = [Self::Text, Self::Html, Self::Json, Self::Problem];
}

/// The body of an error's answer in each format; what is left out is as it is without this page.
///
/// In all of them `{status}`, `{reason}` and `{request_id}` stand for what is known, escaped as the format asks. At most 64 KiB
/// each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"html": "<h1>{status}</h1><p>Tell us {request_id}</p>", "json": "{\"code\":{status},\"id\":\"{request_id}\"}"}))))]
#[serde(default, deny_unknown_fields)]
pub struct ErrorPage {
    /// As plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<BodyTemplate>,
    /// As HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<BodyTemplate>,
    /// As JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<BodyTemplate>,
    /// As problem details, which are JSON, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<BodyTemplate>,
}

impl ErrorPage {
    /// The body in `format`.
    pub fn body(&self, format: ErrorFormat) -> Option<&BodyTemplate> {
        match format {
            ErrorFormat::Text => self.text.as_ref(),
            ErrorFormat::Html => self.html.as_ref(),
            ErrorFormat::Json => self.json.as_ref(),
            ErrorFormat::Problem => self.problem.as_ref(),
        }
    }
}
