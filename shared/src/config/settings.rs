use serde::{Deserialize, Serialize};

use super::{Dns, ErrorPages, is_default, is_true, yes};
use crate::value::{FieldName, ServerHeader};

/// What holds for everything: a singleton.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"access_log": {"enabled": true, "file": "access.log"}, "server_header": "remove", "request_id": {"header": "x-correlation-id"}, "errors": {"default_format": "json"}, "dns": {"servers": ["10.0.0.2"]}}))))]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// One line per request.
    #[serde(skip_serializing_if = "is_default")]
    pub access_log: AccessLog,
    /// Resolving of backends that are named by DNS.
    #[serde(skip_serializing_if = "is_default")]
    pub dns: Dns,
    /// What the answers look like that the proxy makes because something is wrong.
    #[serde(skip_serializing_if = "is_default")]
    pub errors: ErrorPages,
    /// What the `Server` field of responses says: `pass` for what the backend says, `remove` for nothing, any other text for
    /// itself. A route whose `response_headers` name the field decides itself.
    #[serde(skip_serializing_if = "is_default")]
    pub server_header: ServerHeader,
    /// The id of each request.
    #[serde(skip_serializing_if = "is_default")]
    pub request_id: RequestId,
}

/// The access log: one line per request, written after its last byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// Whether lines are written at all.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub enabled: bool,
    /// What a line looks like.
    #[serde(default, skip_serializing_if = "is_default")]
    pub format: AccessLogFormat,
    /// The file to append to; left out, standard output.
    ///
    /// Relative to the data plane's `--log-dir`; an absolute path is taken only from a file given with `--config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// The id of each request: in the access log, in answers of the proxy's own, and sent to backends.
///
/// It is a UUID of version 7, unless a trusted peer gives one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"header": "x-correlation-id", "accept": false}))))]
#[serde(default, deny_unknown_fields)]
pub struct RequestId {
    /// The header field that holds it. `x-request-id` unless said otherwise.
    #[serde(skip_serializing_if = "is_usual")]
    pub header: FieldName,
    /// Whether the id of a trusted peer is taken, if it has 1 to 128 letters, digits and characters of `-._~:+/=@`. So unless said
    /// otherwise.
    #[serde(skip_serializing_if = "is_true")]
    pub accept: bool,
    /// Whether responses have it, too, instead of what the backend says there. So unless said otherwise.
    #[serde(skip_serializing_if = "is_true")]
    pub respond: bool,
}

impl RequestId {
    /// The usual name of the field.
    pub const HEADER: &str = "x-request-id";
}

impl Default for RequestId {
    fn default() -> Self {
        Self { header: Self::HEADER.parse().expect("it is a name"), accept: true, respond: true }
    }
}

fn is_usual(name: &FieldName) -> bool {
    name.as_str() == RequestId::HEADER
}

/// What a line of the access log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AccessLogFormat {
    /// One JSON object.
    #[default]
    Json,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self { enabled: true, format: AccessLogFormat::Json, file: None }
    }
}
