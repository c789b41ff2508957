use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    config::is_default,
    value::{FieldName, Template},
};

/// What becomes of the header fields of a request or a response. First `remove`, then `set`, `default` and `add`. A field whose
/// value comes out empty is not written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"remove": ["x-debug"], "set": {"x-env": "prod", "x-client": "{client_address}"}, "default": {"accept-language": "en"}}))))]
#[serde(default, deny_unknown_fields)]
pub struct HeaderRules {
    /// Fields that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<FieldName>,
    /// Fields that have this one value, whatever came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Template>))]
    pub set: BTreeMap<FieldName, Template>,
    /// Fields that have this value if none came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Template>))]
    pub default: BTreeMap<FieldName, Template>,
    /// Fields that get one more line, behind those that came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Template>))]
    pub add: BTreeMap<FieldName, Template>,
}

/// What becomes of the header fields of a backend's response. First `allow` and `remove`, then `set`, `default`, `security` and
/// `add`. Interim responses and 101 pass as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"security": "basic", "remove": ["x-powered-by"], "set": {"x-served-by": "{backend}"}}))))]
#[serde(default, deny_unknown_fields)]
pub struct ResponseHeaderRules {
    /// If given, only these fields of the backend's are passed on, besides `Date` and those that say what the body is and how
    /// long it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<FieldName>>,
    /// Fields that make browsers careful, if the backend does not send them itself.
    #[serde(skip_serializing_if = "is_default")]
    pub security: SecurityHeaders,
    /// Fields that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<FieldName>,
    /// Fields that have this one value, whatever came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Template>))]
    pub set: BTreeMap<FieldName, Template>,
    /// Fields that have this value if none came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Template>))]
    pub default: BTreeMap<FieldName, Template>,
    /// Fields that get one more line, behind those that came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Template>))]
    pub add: BTreeMap<FieldName, Template>,
}

impl ResponseHeaderRules {
    /// What is said of responses as of requests.
    pub fn rules(&self) -> HeaderRules {
        let Self { allow: _, security: _, remove, set, default, add } = self.clone();
        HeaderRules { remove, set, default, add }
    }
}

/// A preset of response header fields for browsers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SecurityHeaders {
    /// None.
    #[default]
    Off,
    /// `X-Content-Type-Options: nosniff`, `Referrer-Policy: strict-origin-when-cross-origin`, `X-Frame-Options: SAMEORIGIN`.
    Basic,
    /// As `basic`, but `X-Frame-Options: DENY` and `Referrer-Policy: no-referrer`, and `Cross-Origin-Opener-Policy: same-origin`,
    /// `Cross-Origin-Resource-Policy: same-origin`, `Content-Security-Policy: default-src 'self'; frame-ancestors 'none'`.
    Strict,
}

impl SecurityHeaders {
    /// Names, in lower case, and values.
    pub const fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Off => &[],
            Self::Basic => &[
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "strict-origin-when-cross-origin"),
                ("x-frame-options", "SAMEORIGIN"),
            ],
            Self::Strict => &[
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
                ("content-security-policy", "default-src 'self'; frame-ancestors 'none'"),
            ],
        }
    }
}
