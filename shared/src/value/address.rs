use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use super::{Hostname, ParseError, quoted, string_value};

/// Where a listener is bound: an IP address and a port other than 0, e.g. `0.0.0.0:8080` or `[::]:8080`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenAddress(SocketAddr);

impl ListenAddress {
    /// The address to bind.
    pub fn socket_addr(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for ListenAddress {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let address: SocketAddr = text.parse().map_err(|_| {
            ParseError::new(format!(
                "{} is not a listen address: write IP:port, e.g. \"0.0.0.0:8080\" or \"[::]:8080\"",
                quoted(text)
            ))
        })?;
        if address.port() == 0 {
            return Err(ParseError::new("a listen address needs a port from 1 to 65535, not 0"));
        }
        if let IpAddr::V6(v6) = address.ip()
            && v6.to_ipv4_mapped().is_some()
        {
            return Err(ParseError::new(format!("{} is an IPv4-mapped address: write it as IPv4", quoted(text))));
        }
        Ok(Self(address))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

string_value!(ListenAddress, "IP address and port to bind, e.g. 0.0.0.0:8080 or [::]:8080", "0.0.0.0:8080");

/// Where a backend is: `IP:port`, `name:port` or `unix:/absolute/path`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackendAddress {
    /// An address that needs no resolving.
    Ip(SocketAddr),
    /// A DNS name and a port.
    Dns(Hostname, u16),
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl BackendAddress {
    /// Longest path of a Unix socket: `sun_path` has 108 bytes, one of them for the final NUL.
    pub const MAX_UNIX_PATH: usize = 107;

    /// What stands in a `Host` field that names this backend; `localhost` for a Unix socket.
    pub fn authority(&self) -> String {
        match self {
            Self::Unix(_) => "localhost".to_owned(),
            other => other.to_string(),
        }
    }
}

impl FromStr for BackendAddress {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path);
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 { Err(bad(text)) } else { Ok(Self::Ip(address)) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| bad(text))?;
        // Not u16::from_str alone: it takes "+80".
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse::<u16>().ok().filter(|port| digits && *port != 0).ok_or_else(|| bad(text))?;
        let host: Hostname = host.parse().map_err(|_| bad(text))?;
        if host.is_ip() {
            return Err(bad(text));
        }
        Ok(Self::Dns(host, port))
    }
}

fn unix(path: &str) -> Result<BackendAddress, ParseError> {
    if path.len() > BackendAddress::MAX_UNIX_PATH || !Path::new(path).is_absolute() || path.contains('\0') {
        return Err(ParseError::new(format!(
            "{} is not a socket path: write unix:/absolute/path of at most 107 bytes",
            quoted(path)
        )));
    }
    Ok(BackendAddress::Unix(PathBuf::from(path)))
}

fn bad(text: &str) -> ParseError {
    ParseError::new(format!(
        "{} is not a backend address: write IP:port, name:port or unix:/path, the port from 1 to 65535",
        quoted(text)
    ))
}

impl fmt::Display for BackendAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Dns(host, port) => write!(formatter, "{host}:{port}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

string_value!(BackendAddress, "where a backend is: IP:port, name:port or unix:/path", "127.0.0.1:9001");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backend_addresses() {
        for (text, canonical) in [
            ("127.0.0.1:80", Some("127.0.0.1:80")),
            ("[::1]:80", Some("[::1]:80")),
            ("App.Example.com.:8080", Some("app.example.com:8080")),
            ("localhost:9", Some("localhost:9")),
            ("unix:/run/app.sock", Some("unix:/run/app.sock")),
            ("unix:run/app.sock", None),
            ("unix:", None),
            ("127.0.0.1", None),
            ("127.0.0.1:0", None),
            ("127.0.0.1:+80", None),
            ("host:+80", None),
            ("host:65536", None),
            (":80", None),
            ("::1:80", None),
            ("http://a:80", None),
            ("a b:80", None),
        ] {
            let parsed = text.parse::<BackendAddress>().ok().map(|address| address.to_string());
            assert_eq!(parsed.as_deref(), canonical, "{text}");
        }
    }

    #[test]
    fn listen_addresses() {
        for (text, ok) in [
            ("0.0.0.0:80", true),
            ("[::]:80", true),
            ("0.0.0.0:0", false),
            ("*:80", false),
            ("localhost:80", false),
            ("[::ffff:1.2.3.4]:80", false),
            ("80", false),
        ] {
            assert_eq!(text.parse::<ListenAddress>().is_ok(), ok, "{text}");
        }
    }
}
