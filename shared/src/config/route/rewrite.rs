use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::value::{AbsolutePath, Pattern, Template};

/// How path and query are changed on their way to a backend. The route is chosen by what came, and the log shows that too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"path": {"strip_prefix": "/api"}, "query": {"remove": ["utm_source"], "set": {"version": "2"}}}))))]
#[serde(default, deny_unknown_fields)]
pub struct Rewrite {
    /// The path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
    /// The query.
    #[serde(skip_serializing_if = "crate::config::is_default")]
    pub query: QueryRewrite,
}

/// How a path is changed. The result is brought into its canonical form; where that cannot be, because of what a variable
/// brought, or where it has a dot segment, the answer is 500 `rewrite_failed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"strip_prefix": "/api"}), json!({"replace_prefix": {"from": "/api", "to": "/v2"}}), json!({"regex": {"pattern": "/api/(.*)", "to": "/y/{path.1}"}}), json!({"to": "/shop{path}"}))))]
#[serde(rename_all = "snake_case")]
pub enum PathRewrite {
    /// Leading segments are left out: `/api` makes `/x` of `/api/x` and `/` of `/api`. Other paths stay.
    StripPrefix(AbsolutePath),
    /// Leading segments are replaced. Other paths stay.
    ReplacePrefix(ReplacePrefix),
    /// A path that matches as a whole is replaced. Other paths stay.
    Regex(RegexRewrite),
    /// Every path is replaced: `"/shop{path}"`.
    To(Template),
}

/// Leading segments and what takes their place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReplacePrefix {
    /// The segments.
    pub from: AbsolutePath,
    /// What takes their place.
    pub to: AbsolutePath,
}

/// A regular expression for whole paths and what takes their place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RegexRewrite {
    /// The expression.
    pub pattern: Pattern,
    /// What takes the place of a path; `{path.1}` or `{path.name}` is what a group of this expression matched.
    pub to: Template,
}

/// How a query is changed: first `remove`, then `set`, then `add`. Names compare after decoding; what is not named stays as it
/// came. Values are encoded as they must be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"remove": ["utm_source"], "set": {"version": "2"}, "add": {"from": "{client_address}"}}))))]
#[serde(default, deny_unknown_fields)]
pub struct QueryRewrite {
    /// Parameters that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// Parameters that have this one value, whatever came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Template>,
    /// Parameters that are added behind the others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, Template>,
}
