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

/// A DNS server: `IP` or `IP:port`, port 53 unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameServer(SocketAddr);

impl NameServer {
    /// The port of DNS.
    pub const PORT: u16 = 53;

    /// Where to ask, over UDP and TCP.
    pub fn socket_addr(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for NameServer {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bare = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, Self::PORT));
        let parsed = text.parse::<SocketAddr>().or_else(|_| bare()).ok().filter(|address| address.port() != 0);
        parsed.map(Self).ok_or_else(|| {
            ParseError::new(format!(
                "{} is not a DNS server: write IP or IP:port, e.g. \"10.0.0.2\" or \"[fd00::2]:5353\"",
                quoted(text)
            ))
        })
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

string_value!(NameServer, "IP address of a DNS server, with a port unless that is 53", "10.0.0.2");

/// Where a backend is: `IP:port`, `name:port`, `srv:name` or `unix:/absolute/path`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackendAddress {
    /// An address that needs no resolving.
    Ip(SocketAddr),
    /// A DNS name, whose addresses (A, AAAA) are resolved, and a port.
    Dns(Hostname, u16),
    /// A DNS name whose SRV records say names and ports.
    Srv(Hostname),
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl BackendAddress {
    /// Longest path of a Unix socket: `sun_path` has 108 bytes, one of them for the final NUL.
    pub const MAX_UNIX_PATH: usize = 107;

    /// What stands in a `Host` field that names this backend; `localhost` for a Unix socket, the domain without the labels of
    /// service and protocol (`_http._tcp`) for SRV.
    pub fn authority(&self) -> String {
        match self {
            Self::Unix(_) => "localhost".to_owned(),
            Self::Srv(name) => domain(name).to_owned(),
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
        if let Some(name) = text.strip_prefix("srv:") {
            return srv(name);
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

fn srv(name: &str) -> Result<BackendAddress, ParseError> {
    let service = name.parse::<Hostname>().ok().filter(|name| !name.is_ip() && !domain(name).is_empty());
    service.map(BackendAddress::Srv).ok_or_else(|| {
        ParseError::new(format!(
            "{} is not the name of a service: write srv: and a DNS name without a port, e.g. srv:_http._tcp.example.com",
            quoted(name)
        ))
    })
}

/// The name without the labels in front that begin with an underscore (RFC 2782).
fn domain(name: &Hostname) -> &str {
    let mut rest = name.as_str();
    while rest.starts_with('_') {
        rest = rest.split_once('.').map_or("", |(_, rest)| rest);
    }
    rest
}

fn bad(text: &str) -> ParseError {
    ParseError::new(format!(
        "{} is not a backend address: write IP:port, name:port, srv:name or unix:/path, the port from 1 to 65535",
        quoted(text)
    ))
}

impl fmt::Display for BackendAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Dns(host, port) => write!(formatter, "{host}:{port}"),
            Self::Srv(name) => write!(formatter, "srv:{name}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

string_value!(BackendAddress, "where a backend is: IP:port, name:port, srv:name or unix:/path", "127.0.0.1:9001");

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
            ("srv:_HTTP._tcp.example.com.", Some("srv:_http._tcp.example.com")),
            ("srv:web.service.consul", Some("srv:web.service.consul")),
            ("srv:_http._tcp", None),
            ("srv:_http._tcp.example.com:80", None),
            ("srv:127.0.0.1", None),
            ("srv:", None),
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
    fn the_authority_of_a_service_is_its_domain() {
        for (text, authority) in [
            ("srv:_http._tcp.example.com", "example.com"),
            ("srv:web.service.consul", "web.service.consul"),
            ("app.example:80", "app.example:80"),
            ("unix:/run/app.sock", "localhost"),
        ] {
            assert_eq!(text.parse::<BackendAddress>().unwrap().authority(), authority);
        }
    }

    #[test]
    fn name_servers() {
        for (text, canonical) in [
            ("10.0.0.2", Some("10.0.0.2:53")),
            ("10.0.0.2:5353", Some("10.0.0.2:5353")),
            ("fd00::2", Some("[fd00::2]:53")),
            ("[fd00::2]:5353", Some("[fd00::2]:5353")),
            ("10.0.0.2:0", None),
            ("dns.example:53", None),
            ("", None),
        ] {
            let parsed = text.parse::<NameServer>().ok().map(|server| server.to_string());
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
