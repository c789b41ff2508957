use std::{fmt, str::FromStr};

use super::{ParseError, StatusRange, quoted, string_value};

/// Words for what is wrong with a request that the proxy answers itself: in its answers, in the access log and in the metrics.
pub const REASONS: &[&str] = &[
    "backend_error",
    "bad_request",
    "bad_response",
    "body_too_large",
    "breaker_open",
    "connect_failed",
    "connect_timeout",
    "connections_exhausted",
    "expectation_failed",
    "head_too_large",
    "ip_denied",
    "maintenance",
    "method_refused",
    "no_backend",
    "no_route",
    "not_implemented",
    "queue_full",
    "request_timeout",
    "rewrite_failed",
    "target_too_long",
    "total_timeout",
    "upstream_reset",
    "upstream_timeout",
    "version_unsupported",
];

/// Which errors an answer is for: a word for what is wrong, a status, or a range of statuses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorSelector {
    /// One of [`REASONS`].
    Reason(Box<str>),
    /// Statuses.
    Status(StatusRange),
}

impl FromStr for ErrorSelector {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let range: StatusRange = text.parse()?;
            return if range.first() >= 400 {
                Ok(Self::Status(range))
            } else {
                Err(ParseError::new(format!("{} is no status of an error: write 400 to 599", quoted(text))))
            };
        }
        if REASONS.contains(&text) {
            return Ok(Self::Reason(text.into()));
        }
        Err(ParseError::new(format!(
            "{} is neither a status nor a reason: write \"503\", \"500-599\" or one of {}",
            quoted(text),
            REASONS.join(", ")
        )))
    }
}

impl fmt::Display for ErrorSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reason(word) => formatter.write_str(word),
            Self::Status(range) => range.fmt(formatter),
        }
    }
}

string_value!(ErrorSelector, "a reason, a status or a range of statuses", "500-599");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_and_statuses_of_errors() {
        for (text, part) in [
            ("503", None),
            ("400-599", None),
            ("no_route", None),
            ("200", Some("no status of an error: write 400 to 599")),
            ("399-500", Some("no status of an error")),
            ("5xx", Some("not a status")),
            ("teapot", Some("neither a status nor a reason: write \"503\", \"500-599\" or one of backend_error, ")),
            ("", Some("neither")),
        ] {
            match (text.parse::<ErrorSelector>(), part) {
                (Ok(selector), None) => assert_eq!(selector.to_string(), text),
                (Err(error), Some(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
                (parsed, _) => panic!("{text}: {parsed:?}"),
            }
        }
    }
}
