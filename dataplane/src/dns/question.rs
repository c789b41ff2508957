use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use shared::value::{BackendAddress, Hostname};

/// What DNS is asked for. Backends that say the same name share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// The addresses of a host.
    Host(Hostname),
    /// The hosts and ports of a service (RFC 2782).
    Service(Hostname),
}

/// Where the endpoints of a backend come from. Backends that say the same share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    /// What is asked for.
    pub(crate) question: Question,
    /// The port of the addresses; none where the answer says it.
    pub(crate) port: Option<u16>,
}

impl Source {
    /// What is to be asked for the endpoints at `address`; none if it needs no resolving.
    pub(crate) fn of(address: &BackendAddress) -> Option<Self> {
        match address {
            BackendAddress::Dns(host, port) => Some(Self { question: Question::Host(host.clone()), port: Some(*port) }),
            BackendAddress::Srv(name) => Some(Self { question: Question::Service(name.clone()), port: None }),
            BackendAddress::Ip(_) | BackendAddress::Unix(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.question, self.port) {
            (Question::Host(host), Some(port)) => write!(formatter, "{host}:{port}"),
            (question, _) => question.fmt(formatter),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(formatter),
            Self::Service(name) => write!(formatter, "srv:{name}"),
        }
    }
}

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    /// IPv6, which is tried first (RFC 8305).
    V6,
    /// IPv4.
    V4,
}

/// An address that DNS answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    /// The address.
    pub(crate) ip: IpAddr,
    /// The port, if the answer says one.
    pub(crate) port: Option<u16>,
    /// Its share against the others.
    pub(crate) weight: u16,
}

/// One address of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resolved {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// Its share of the backend's weight against the backend's other addresses, 1 to 100.
    pub(crate) weight: u16,
}

impl Resolved {
    /// Which version of IP it is of.
    pub(crate) fn family(&self) -> Family {
        if self.address.is_ipv6() { Family::V6 } else { Family::V4 }
    }
}

/// The answer to a question: the parts that it was put together from, each from a query of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The parts.
    pub(crate) parts: Vec<Part>,
    /// How long it holds.
    pub(crate) ttl: Duration,
}

/// What one query brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Which one.
    pub(crate) key: PartKey,
    /// Its addresses; none if the query failed, so that what was known before still holds.
    pub(crate) records: Option<Vec<Record>>,
}

/// A query for the addresses of a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PartKey {
    /// The host.
    pub(crate) host: Box<str>,
    /// The port, if the answer said one.
    pub(crate) port: Option<u16>,
    /// The version of IP.
    pub(crate) family: Family,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The name does not exist, or has no addresses.
    Empty,
    /// No server answered in time.
    Timeout,
    /// Anything else.
    Failed(String),
}

impl Fault {
    /// The word for it in metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Timeout => "timeout",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("the name has no addresses"),
            Self::Timeout => formatter.write_str("no DNS server answered in time"),
            Self::Failed(reason) => formatter.write_str(reason),
        }
    }
}

/// The address that `ip` stands for, if one can connect to it: IPv4 in IPv6 is IPv4, and what means "any" would be this host.
pub(crate) fn usable(ip: IpAddr) -> Option<IpAddr> {
    let ip = ip.to_canonical();
    let is_broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    (!ip.is_unspecified() && !ip.is_multicast() && !is_broadcast).then_some(ip)
}

/// The loopback addresses of a name that never leaves this host (RFC 6761 §6.3).
pub(crate) fn loopback(name: &str) -> Option<[IpAddr; 2]> {
    let is_local = name == "localhost" || name.ends_with(".localhost");
    is_local.then_some([IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_of_one_name_share_a_question() {
        let source = |text: &str| Source::of(&text.parse().unwrap());
        let [web, admin] = ["App.example:80", "app.example:81"].map(|text| source(text).unwrap());
        assert!(web != admin && web.question == admin.question);
        let service = source("srv:_http._tcp.app.example").unwrap();
        assert_eq!(
            (service.to_string().as_str(), web.to_string().as_str()),
            ("srv:_http._tcp.app.example", "app.example:80")
        );
        assert_eq!((source("127.0.0.1:80"), source("unix:/run/a.sock")), (None, None));
    }

    #[test]
    fn addresses_that_are_no_hosts_are_passed_over() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("::1", Some("::1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("0.0.0.0", None),
            ("::", None),
            ("::ffff:0.0.0.0", None),
            ("224.0.0.1", None),
            ("ff02::1", None),
            ("255.255.255.255", None),
        ] {
            assert_eq!(usable(text.parse().unwrap()), expected.map(|text| text.parse().unwrap()), "{text}");
        }
    }
}
