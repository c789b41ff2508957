use serde::{Deserialize, Serialize};

use super::is_default;
use crate::value::{AbsolutePath, TimeSpan};

/// Keeps the requests of a client at one backend, by a cookie of the proxy's own. Its value is a digest of the names of the upstream
/// and the backend: the same on every data plane and after every restart. It is not signed: a client that makes one up comes to a
/// backend that it could have been given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"cookie": "shop_session", "max_age": "1d", "same_site": "strict"}))))]
#[serde(default, deny_unknown_fields)]
pub struct Sticky {
    /// The name of the cookie, which no cookie of the backends may have. Upstreams that the same clients reach at the same host need
    /// names of their own, or paths.
    #[serde(skip_serializing_if = "is_usual_name")]
    #[cfg_attr(feature = "openapi", schema(default = "tidegate_session"))]
    pub cookie: String,
    /// For which paths clients send it.
    #[serde(skip_serializing_if = "is_root")]
    #[cfg_attr(feature = "openapi", schema(default = "/"))]
    pub path: AbsolutePath,
    /// How long clients keep it from when they got it, in whole seconds, up to 400d. None: until the browser is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<TimeSpan>,
    /// Whether requests that other sites cause bring it.
    #[serde(skip_serializing_if = "is_default")]
    pub same_site: SameSite,
    /// Whether it is sent by HTTPS only.
    #[serde(skip_serializing_if = "is_default")]
    pub secure: CookieSecure,
    /// Whether scripts are kept from it.
    #[serde(skip_serializing_if = "is_true")]
    #[cfg_attr(feature = "openapi", schema(default = true))]
    pub http_only: bool,
}

/// The attribute `SameSite` of a cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    /// Links from other sites bring it; their forms and pictures do not.
    #[default]
    Lax,
    /// Nothing from other sites brings it.
    Strict,
    /// Everything brings it. Browsers take such a cookie only if it is `secure`.
    None,
}

/// When a cookie has the attribute `Secure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CookieSecure {
    /// If the client came by HTTPS, as a trusted proxy in front may say.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Default for Sticky {
    fn default() -> Self {
        Self {
            cookie: USUAL_NAME.to_owned(),
            path: "/".parse().expect("it is a path"),
            max_age: None,
            same_site: SameSite::default(),
            secure: CookieSecure::default(),
            http_only: true,
        }
    }
}

const USUAL_NAME: &str = "tidegate_session";

fn is_usual_name(name: &String) -> bool {
    name == USUAL_NAME
}

/// Whether nothing need be said of a cookie's path.
pub(in crate::config) fn is_root(path: &AbsolutePath) -> bool {
    path.as_str() == "/"
}

/// Whether nothing need be said of a setting that is on by default.
pub(in crate::config) fn is_true(value: &bool) -> bool {
    *value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_need_be_said_of_the_cookie() {
        let sticky: Sticky = serde_json::from_str("{}").unwrap();
        assert!(sticky.http_only && sticky.path.as_str() == "/" && sticky.cookie == "tidegate_session");
        assert_eq!(serde_json::to_string(&sticky).unwrap(), "{}");
    }
}
