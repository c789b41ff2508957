//! The cookie by which a client stays with its backend, or with the upstream that a split drew for it.

use std::sync::Arc;

use shared::config::{CookieSecure, SameSite, Sticky};

use crate::{head::RoutedRequest, live::EndpointLive};

/// Hexadecimal digits of a token.
const DIGITS: usize = 16;

/// What is known of the session of a request's client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// The token of the endpoint, or the upstream, where it is, if it has one that can be read.
    pub(crate) token: Option<u64>,
    /// Whether the client came by HTTPS.
    pub(super) is_https: bool,
}

/// A session that begins with a response.
#[derive(Debug)]
pub(crate) struct NewSession {
    /// The value of the `Set-Cookie` that says so.
    pub(crate) cookie: Box<str>,
    /// Where it is.
    pub(crate) endpoint: Arc<EndpointLive>,
}

/// What does not change of the cookies of an upstream, or of a split.
#[derive(Debug)]
pub(super) struct SessionCookie {
    name: Box<str>,
    attributes: Box<str>,
    secure: CookieSecure,
}

impl SessionCookie {
    pub(super) fn compile(sticky: &Sticky) -> Self {
        let Sticky { cookie, path, max_age, same_site, secure, http_only } = sticky;
        let max_age = max_age.map(|max_age| format!("; Max-Age={}", max_age.duration().as_secs()));
        let same_site = match same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
            SameSite::None => "None",
        };
        let http_only = if *http_only { "; HttpOnly" } else { "" };
        let max_age = max_age.unwrap_or_default();
        let attributes = format!("; Path={path}{max_age}; SameSite={same_site}{http_only}").into();
        Self { name: cookie.as_str().into(), attributes, secure: *secure }
    }

    /// What is known of the session of the client that sent `request`.
    pub(super) fn read(&self, request: &RoutedRequest<'_>) -> Session {
        let named = request.cookies().filter(|(name, _)| *name == self.name.as_bytes());
        Session { token: named.filter_map(|(_, value)| parse(value)).next(), is_https: request.is_https }
    }

    /// The value of the `Set-Cookie` that begins a session where `token` says.
    pub(super) fn line(&self, token: u64, is_https: bool) -> Box<str> {
        let is_secure = match self.secure {
            CookieSecure::Auto => is_https,
            CookieSecure::Always => true,
            CookieSecure::Never => false,
        };
        let secure = if is_secure { "; Secure" } else { "" };
        format!("{}={token:016x}{}{secure}", self.name, self.attributes).into()
    }
}

/// The token that is written so.
fn parse(value: &[u8]) -> Option<u64> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if value.len() != DIGITS || !value.iter().all(is_digit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(value).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_are_written() {
        for (value, token) in [
            ("00000000000000ff", Some(255)),
            ("00000000000000FF", None),
            ("0000000000000ff", None),
            ("+000000000000001", None),
            ("00000000000000ff0", None),
            ("", None),
        ] {
            assert_eq!(parse(value.as_bytes()), token, "{value}");
        }
    }

    #[test]
    fn cookies_have_the_attributes_that_were_asked_for() {
        for (sticky, is_https, expected) in [
            ("{}", false, "tidegate_session=0000000000000001; Path=/; SameSite=Lax; HttpOnly"),
            ("{}", true, "tidegate_session=0000000000000001; Path=/; SameSite=Lax; HttpOnly; Secure"),
            (
                r#"{"cookie":"s","path":"/a","max_age":"90s","same_site":"none","secure":"always","http_only":false}"#,
                false,
                "s=0000000000000001; Path=/a; Max-Age=90; SameSite=None; Secure",
            ),
            (
                r#"{"secure":"never","same_site":"strict"}"#,
                true,
                "tidegate_session=0000000000000001; Path=/; SameSite=Strict; HttpOnly",
            ),
        ] {
            let cookie = SessionCookie::compile(&serde_json::from_str(sticky).unwrap());
            assert_eq!(&*cookie.line(1, is_https), expected);
        }
    }
}
