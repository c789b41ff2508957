use serde::{Deserialize, Serialize};

use crate::{
    config::{
        CookieSecure, SameSite, Sticky, is_default,
        sticky::{is_root, is_true},
    },
    value::{AbsolutePath, TimeSpan},
};

/// The cookie by which clients stay with the upstream that a split drew for them. Its value is a digest of the upstream's name: the
/// same on every data plane, after every restart and for all routes. It is not signed: a client that makes one up comes to an upstream
/// that it could have been given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"max_age": "30d"}))))]
#[serde(default, deny_unknown_fields)]
pub struct SplitCookie {
    /// Its name, which no cookie of the backends and of their `sticky` may have. Routes that the same clients reach at the same host
    /// share it, or have names or paths of their own.
    #[serde(skip_serializing_if = "is_usual_name")]
    #[cfg_attr(feature = "openapi", schema(default = "tidegate_split"))]
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

impl SplitCookie {
    /// The same as what the cookies of sessions are described by.
    pub fn as_sticky(&self) -> Sticky {
        let Self { cookie, path, max_age, same_site, secure, http_only } = self.clone();
        Sticky { cookie, path, max_age, same_site, secure, http_only }
    }
}

impl Default for SplitCookie {
    fn default() -> Self {
        let Sticky { cookie: _, path, max_age, same_site, secure, http_only } = Sticky::default();
        Self { cookie: USUAL_NAME.to_owned(), path, max_age, same_site, secure, http_only }
    }
}

const USUAL_NAME: &str = "tidegate_split";

fn is_usual_name(name: &String) -> bool {
    name == USUAL_NAME
}

#[cfg(test)]
mod tests {
    use crate::config::SplitBy;

    #[test]
    fn what_a_split_goes_by_is_a_word_or_a_cookie() {
        for text in
            [r#""random""#, r#""client_address""#, r#"{"cookie":{}}"#, r#"{"cookie":{"cookie":"c","max_age":"1h"}}"#]
        {
            let by: SplitBy = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&by).unwrap(), text);
        }
        assert!(serde_json::from_str::<SplitBy>(r#"{"cookie":{"name":"c"}}"#).is_err());
    }
}
