use std::{fmt, str::FromStr};

use super::{Hostname, ParseError, quoted, string_value};

/// Which `Host` the backend sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostPolicy {
    /// `preserve`: what the client sent.
    #[default]
    Preserve,
    /// `backend`: the backend's own address.
    Backend,
    /// Any other text: this host, with an optional port.
    Literal(Box<str>),
}

impl FromStr for HostPolicy {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "preserve" => return Ok(Self::Preserve),
            "backend" => return Ok(Self::Backend),
            _ => {}
        }
        let bad = || {
            ParseError::new(format!("{} is not a host policy: write preserve, backend, or a host[:port]", quoted(text)))
        };
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let host: Hostname = host.parse().map_err(|_| bad())?;
        let Some(port) = port else { return Ok(Self::Literal(host.as_str().into())) };
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse::<u16>().ok().filter(|port| digits && *port != 0).ok_or_else(bad)?;
        Ok(Self::Literal(format!("{host}:{port}").into()))
    }
}

impl fmt::Display for HostPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Preserve => "preserve",
            Self::Backend => "backend",
            Self::Literal(host) => host,
        })
    }
}

string_value!(HostPolicy, "the Host that a backend sees: preserve, backend, or a literal host[:port]", "preserve");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_and_literals() {
        for (text, canonical) in [
            ("preserve", Some("preserve")),
            ("backend", Some("backend")),
            ("App.internal", Some("app.internal")),
            ("app.internal:8080", Some("app.internal:8080")),
            ("[::1]:80", Some("[::1]:80")),
            ("[::1]", Some("[::1]")),
            ("a:0", None),
            ("a:+1", None),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<HostPolicy>().ok().map(|p| p.to_string()).as_deref(), canonical, "{text}");
        }
    }
}
