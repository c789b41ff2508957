use std::{fmt, net::Ipv4Addr, net::Ipv6Addr, str::FromStr};

use super::{ParseError, quoted, string_value};

/// A host name or IP literal: lower-case, without port, without trailing dot; IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname(Box<str>);

impl Hostname {
    /// Most bytes of a host name (RFC 1035 §2.3.4, without the trailing dot).
    pub const MAX_LEN: usize = 253;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is an IP literal rather than a name.
    pub fn is_ip(&self) -> bool {
        self.0.starts_with('[') || self.0.parse::<Ipv4Addr>().is_ok()
    }
}

impl FromStr for Hostname {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || {
            ParseError::new(format!(
                "{} is not a host: write a DNS name (ASCII; use punycode for others), an IPv4 address or an IPv6 \
                 address in brackets, without a port",
                quoted(text)
            ))
        };
        if let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = literal.parse().map_err(|_| bad())?;
            return Ok(Self(format!("[{address}]").into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() || name.len() > Self::MAX_LEN || !name.split('.').all(is_label) {
            return Err(bad());
        }
        // A last label of digits makes it an address (WHATWG URL); then it must be a proper one.
        let last_label = name.rsplit('.').next().unwrap_or(name);
        if last_label.bytes().all(|b| b.is_ascii_digit()) && name.parse::<Ipv4Addr>().is_err() {
            return Err(bad());
        }
        Ok(Self(name.to_ascii_lowercase().into()))
    }
}

fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Hostname {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

string_value!(
    Hostname,
    "a DNS name, an IPv4 address, or an IPv6 address in brackets, without a port",
    "shop.example.com"
);

/// Which hosts a route serves: one host, or with `*.` in front every name below it (at any depth, not itself).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// `shop.example.com`
    Exact(Hostname),
    /// `*.example.com`; holds `example.com`.
    Wildcard(Hostname),
}

impl FromStr for HostPattern {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let Some(parent) = text.strip_prefix("*.") else {
            return match text {
                "*" => Err(ParseError::new("\"*\" is not a host pattern: leave `hosts` out to match every host")),
                _ => text.parse().map(Self::Exact),
            };
        };
        let parent: Hostname = parent.parse()?;
        if parent.is_ip() {
            return Err(ParseError::new(format!(
                "{} is not a host pattern: an IP address has no subdomains",
                quoted(text)
            )));
        }
        Ok(Self::Wildcard(parent))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(formatter),
            Self::Wildcard(parent) => write!(formatter, "*.{parent}"),
        }
    }
}

string_value!(HostPattern, "a host, or *.host for every name below it", "*.example.com");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_patterns() {
        for (text, canonical) in [
            ("Shop.Example.COM.", Some("shop.example.com")),
            ("*.Example.com", Some("*.example.com")),
            ("localhost", Some("localhost")),
            ("a_b.example", Some("a_b.example")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("[::1]", Some("[::1]")),
            ("[0:0:0:0:0:0:0:1]", Some("[::1]")),
            ("::1", None),
            ("*", None),
            ("*.127.0.0.1", None),
            ("a.*.b", None),
            ("*.*.b", None),
            ("a..b", None),
            ("-a.b", None),
            ("a:80", None),
            ("münchen.de", None),
            ("1.2.3", None),
            ("256.1.1.1", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(text.parse::<HostPattern>().ok().map(|p| p.to_string()).as_deref(), canonical, "{text}");
        }
    }
}
