use std::fmt::Display;

use super::{balance::check_cookie_name, limits};
use crate::{
    Findings,
    config::{CookieSecure, SameSite, Sticky},
    value::TimeSpan,
};

/// What a cookie's life is counted in.
const SECOND: TimeSpan = TimeSpan::from_secs(1);

pub(super) fn check(sticky: &Sticky, pointer: impl Display + Copy, findings: &mut Findings) {
    // Every field is named, so that a new one is not forgotten here.
    let Sticky { cookie, path, max_age, same_site, secure, http_only: _ } = sticky;
    check_cookie_name(cookie, format_args!("{pointer}/cookie"), findings);
    if path.as_str().contains(';') {
        findings.error(
            format!("{pointer}/path"),
            "a cookie's path has no ';': what stands behind it would be another attribute",
        );
    }
    if let Some(max_age) = max_age
        && !(SECOND..=limits::COOKIE_AGE).contains(max_age)
    {
        findings.error(
            format!("{pointer}/max_age"),
            format!(
                "{max_age} is out of range: write {SECOND} to {}, or leave it out for as long as the browser runs",
                limits::COOKIE_AGE
            ),
        );
    }
    if *same_site == SameSite::None && *secure == CookieSecure::Never {
        findings.warning(
            format!("{pointer}/same_site"),
            "browsers take no cookie with same_site: none that is not secure: write secure: always",
        );
    }
    let name = cookie.to_ascii_lowercase();
    let is_of_host = name.starts_with("__host-");
    let is_taken = *secure == CookieSecure::Always && (!is_of_host || path.as_str() == "/");
    if (is_of_host || name.starts_with("__secure-")) && !is_taken {
        findings.warning(
            format!("{pointer}/cookie"),
            "browsers take a cookie with this prefix only with secure: always, and one with __Host- only with path: /",
        );
    }
}
