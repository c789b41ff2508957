use serde::{Deserialize, Serialize};

use super::{ErrorPages, is_default, is_true, yes};
use crate::value::ServerHeader;

/// What holds for everything: a singleton.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// One line per request.
    #[serde(skip_serializing_if = "is_default")]
    pub access_log: AccessLog,
    /// What the answers look like that the proxy makes because something is wrong.
    #[serde(skip_serializing_if = "is_default")]
    pub errors: ErrorPages,
    /// What the `Server` field of responses says: `pass` for what the backend says, `remove` for nothing, any other text for
    /// itself. A route whose `response_headers` name the field decides itself.
    #[serde(skip_serializing_if = "is_default")]
    pub server_header: ServerHeader,
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
