use std::{fmt, str::FromStr};

use super::{ParseError, quoted, string_value};

/// A status of gRPC that is no success, by its name: `unavailable`. Codes 1 (`cancelled`) to 16 (`unauthenticated`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrpcStatus(u8);

/// By code, from 1 on.
const NAMES: [&str; 16] = [
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

impl GrpcStatus {
    /// The server cannot take the call now.
    pub const UNAVAILABLE: Self = Self(14);

    /// The code, 1 to 16.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// Its name.
    pub const fn word(self) -> &'static str {
        NAMES[self.0 as usize - 1]
    }
}

impl FromStr for GrpcStatus {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let index = NAMES.iter().position(|known| *known == text);
        index.map(|index| Self(index as u8 + 1)).ok_or_else(|| {
            ParseError::new(format!(
                "{} is not a status of gRPC: write its name in lower case, like \"unavailable\"; \"ok\" is none",
                quoted(text)
            ))
        })
    }
}

impl fmt::Display for GrpcStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

string_value!(GrpcStatus, "the name of a status of gRPC in lower case, but \"ok\"", "unavailable");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_their_names_and_codes() {
        for (text, code) in [
            ("cancelled", Some(1)),
            ("unavailable", Some(14)),
            ("unauthenticated", Some(16)),
            ("ok", None),
            ("UNAVAILABLE", None),
            ("14", None),
            ("", None),
        ] {
            let parsed = text.parse::<GrpcStatus>();
            assert_eq!(parsed.as_ref().ok().map(|status| status.code()), code, "{text}");
            assert!(parsed.is_err() || parsed.unwrap().to_string() == text);
        }
        assert_eq!(GrpcStatus::UNAVAILABLE.word(), "unavailable");
    }
}
