use std::{fmt, str::FromStr};

use super::{GrpcStatus, ParseError, StatusRange, quoted, string_value};

/// What a request is tried again for: `connect_failure`, `reset`, `timeout`, a status or a range of them (`"503"`, `"502-504"`), or
/// a status of gRPC (`grpc:unavailable`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RetryOn {
    /// No connection could be had: refused, unreachable, not in time, or none free at the backend's cap.
    ConnectFailure,
    /// The connection ended, or what came is no response, before a response head.
    Reset,
    /// No response head in time. Only another endpoint is tried then.
    Timeout,
    /// The backend answered with such a status.
    Status(StatusRange),
    /// The backend answered a gRPC call with nothing but such a status.
    Grpc(GrpcStatus),
}

impl FromStr for RetryOn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "connect_failure" => Ok(Self::ConnectFailure),
            "reset" => Ok(Self::Reset),
            "timeout" => Ok(Self::Timeout),
            _ => match text.strip_prefix("grpc:") {
                Some(word) => word.parse().ok().map(Self::Grpc),
                None => text.parse().ok().map(Self::Status),
            }
            .ok_or_else(|| {
                ParseError::new(format!(
                    "{} is nothing to try again for: write connect_failure, reset, timeout, a status like \"503\" or \
                     \"502-504\", or one of gRPC like \"grpc:unavailable\"",
                    quoted(text)
                ))
            }),
        }
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectFailure => formatter.write_str("connect_failure"),
            Self::Reset => formatter.write_str("reset"),
            Self::Timeout => formatter.write_str("timeout"),
            Self::Status(statuses) => statuses.fmt(formatter),
            Self::Grpc(status) => write!(formatter, "grpc:{}", status.word()),
        }
    }
}

string_value!(
    RetryOn,
    "connect_failure, reset, timeout, a status or a range of them, or grpc: and the name of a status of gRPC",
    "connect_failure"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_words_statuses_and_statuses_of_grpc() {
        for (text, ok) in [
            ("connect_failure", true),
            ("reset", true),
            ("timeout", true),
            ("503", true),
            ("502-504", true),
            ("grpc:unavailable", true),
            ("grpc:ok", false),
            ("grpc:UNAVAILABLE", false),
            ("grpc:", false),
            ("unavailable", false),
            ("5xx", false),
            ("", false),
        ] {
            let parsed = text.parse::<RetryOn>();
            assert_eq!(parsed.is_ok(), ok, "{text}");
            assert!(parsed.is_err() || parsed.unwrap().to_string() == text);
        }
        let RetryOn::Grpc(status) = "grpc:unavailable".parse().unwrap() else { panic!("a status of gRPC") };
        assert_eq!(status.code(), 14);
    }
}
