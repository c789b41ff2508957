use std::{fmt, str::FromStr};

use super::{Hostname, ParseError, quoted, string_value};

/// Which origins a policy lets in: one, all below a host, `null`, or any.
///
/// Source: RFC 6454 §6.2 and the Fetch standard: scheme, host and port, the port only if it is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OriginPattern {
    /// `*`
    Any,
    /// `null`: what browsers say of documents from files, of sandboxes and of some redirects.
    Null,
    /// `https://shop.example.com`
    Exact(Box<str>),
    /// `https://*.example.com:8443`: what stands before and behind the place of the names below the host.
    Below {
        /// `https://`
        scheme: Box<str>,
        /// `.example.com:8443`
        domain: Box<str>,
    },
}

impl OriginPattern {
    /// Whether `origin`, as a browser writes it, is one of them.
    pub fn matches(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Null => origin == b"null",
            Self::Exact(exact) => origin == exact.as_bytes(),
            Self::Below { scheme, domain } => {
                let name = origin.strip_prefix(scheme.as_bytes()).and_then(|rest| rest.strip_suffix(domain.as_bytes()));
                // Anything else than a name could make another host of it.
                let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
                name.is_some_and(|name| !name.is_empty() && name.iter().all(is_inner))
            }
        }
    }
}

impl FromStr for OriginPattern {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "*" => return Ok(Self::Any),
            "null" => return Ok(Self::Null),
            _ => {}
        }
        let bad = || {
            ParseError::new(format!(
                "{} is not an origin: write https://host, https://host:port, https://*.host, null or *, without a path",
                quoted(text)
            ))
        };
        let (scheme, authority) = text.split_once("://").ok_or_else(bad)?;
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
            return Err(bad());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let is_number = |port: &&str| port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port {
            Some(port) => Some(Some(port).filter(is_number).and_then(|port| port.parse::<u16>().ok()).ok_or_else(bad)?),
            None => None,
        };
        let own = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        let port = port.filter(|port| Some(*port) != own).map_or(String::new(), |port| format!(":{port}"));
        let parse = |host: &str| host.parse::<Hostname>().map_err(|_| bad());
        match host.strip_prefix("*.") {
            Some(parent) => {
                let parent = parse(parent)?;
                if parent.is_ip() {
                    return Err(bad());
                }
                Ok(Self::Below { scheme: format!("{scheme}://").into(), domain: format!(".{parent}{port}").into() })
            }
            None => Ok(Self::Exact(format!("{scheme}://{}{port}", parse(host)?).into())),
        }
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("*"),
            Self::Null => formatter.write_str("null"),
            Self::Exact(origin) => formatter.write_str(origin),
            Self::Below { scheme, domain } => write!(formatter, "{scheme}*{domain}"),
        }
    }
}

string_value!(
    OriginPattern,
    "an origin: scheme://host[:port], scheme://*.host[:port], null or *",
    "https://shop.example.com"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for (text, canonical) in [
            ("*", Some("*")),
            ("null", Some("null")),
            ("HTTPS://Shop.Example", Some("https://shop.example")),
            ("https://shop.example:443", Some("https://shop.example")),
            ("http://shop.example:443", Some("http://shop.example:443")),
            ("https://*.Example:8443", Some("https://*.example:8443")),
            ("app+x://localhost", Some("app+x://localhost")),
            ("http://[::1]:3000", Some("http://[::1]:3000")),
            ("http://[::1]", Some("http://[::1]")),
            ("https://shop.example/", None),
            ("https://shop.example/a", None),
            ("shop.example", None),
            ("https://", None),
            ("https://*", None),
            ("https://*.127.0.0.1", None),
            ("https://a.*.b", None),
            ("https://a:b", None),
            ("https://a:+1", None),
            ("https://a:99999", None),
            ("://a", None),
            ("", None),
        ] {
            let parsed = text.parse::<OriginPattern>().ok().map(|pattern| pattern.to_string());
            assert_eq!(parsed.as_deref(), canonical, "{text}");
        }
    }

    #[test]
    fn a_wildcard_is_for_names_below_the_host_only() {
        for (pattern, origin, expected) in [
            ("https://a.b", "https://a.b", true),
            ("https://a.b", "https://a.b:443", false),
            ("https://a.b", "http://a.b", false),
            ("https://a.b", "https://a.b.c", false),
            ("https://*.b", "https://a.b", true),
            ("https://*.b", "https://c.a.b", true),
            ("https://*.b", "https://b", false),
            ("https://*.b", "https://.b", false),
            ("https://*.b", "https://ab", false),
            ("https://*.b", "https://evil/.b", false),
            ("https://*.b", "https://evil:1.b", false),
            ("https://*.b", "https://a.b:1", false),
            ("https://*.b:1", "https://a.b:1", true),
            ("*", "null", true),
            ("null", "null", true),
            ("https://*.b", "null", false),
        ] {
            let pattern: OriginPattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(origin.as_bytes()), expected, "{pattern} {origin}");
        }
    }
}
