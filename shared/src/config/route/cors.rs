use serde::{Deserialize, Serialize};

use crate::{
    config::is_default,
    value::{FieldName, Method, OriginPattern, Pattern, TimeSpan},
};

/// Which pages of other origins may use a route, as browsers ask (CORS, the Fetch standard).
///
/// Preflights are answered by the proxy. In other responses the fields of the backend for CORS are replaced by those that follow
/// from this; an origin that is not let in gets none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"allow_origins": ["https://shop.example.com", "https://*.example.com"], "allow_credentials": true, "allow_methods": ["GET", "POST", "PUT"], "allow_headers": ["content-type", "x-token"], "max_age": "1h"}))))]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Origins that are let in: `https://shop.example.com`, `https://*.example.com` for every name below it, `null`, or `*` for
    /// any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_origins: Vec<OriginPattern>,
    /// Origins that are let in because they match as a whole: `https://pr-[0-9]+\.example\.com`. Never `null`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_origin_regex: Vec<Pattern>,
    /// Whether pages may send cookies and other credentials. Not with `*`: any page could act for whoever looks at it.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_credentials: bool,
    /// Methods that pages may use; `*` is whichever they ask for. GET, HEAD and POST unless said otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<Method>,
    /// Request fields that pages may set besides those that they may anyway; `*` is whichever they ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<FieldName>,
    /// Response fields that pages may read besides those that they may anyway.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<FieldName>,
    /// How long a browser may remember the answer to a preflight, in whole seconds, at most a day. Unless said otherwise it decides
    /// itself (5 s).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<TimeSpan>,
}
