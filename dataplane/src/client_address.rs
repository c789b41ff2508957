//! Who sent a request: the peer, or what trusted proxies in front of us say.

use std::net::{IpAddr, SocketAddr};

use http1::{Field, Fields};
use shared::{config::ClientField, value::Cidr};

use crate::{connection::Connection, forwarded, forwarding, snapshot::Listener};

/// The client, and whether the peer is a trusted proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// Never an IPv4-mapped address.
    pub(crate) address: IpAddr,
    /// The scheme by which it came.
    pub(crate) scheme: &'static str,
    /// Whether what the peer says about the client is believed.
    pub(crate) peer_is_trusted: bool,
}

/// The client of a request with `fields` that came on `connection` by `listener`.
pub(crate) fn of(connection: &Connection, fields: &Fields, bytes: &[u8], listener: &Listener) -> Client {
    let trusted = Trusted(&listener.trusted_proxies);
    let peer = connection.peer;
    if !trusted.has(peer) {
        return Client { address: peer, scheme: connection.scheme(), peer_is_trusted: false };
    }
    let (address, scheme) = match listener.forwarding.client {
        ClientField::XForwardedFor => (by_x_forwarded_for(peer, fields, bytes, trusted), said_scheme(fields, bytes)),
        ClientField::Forwarded => forwarded::walk(peer, fields, bytes, |address| trusted.has(address)),
    };
    Client { address, scheme: scheme.unwrap_or(connection.scheme()), peer_is_trusted: true }
}

/// Addresses that are trusted.
#[derive(Clone, Copy)]
struct Trusted<'a>(&'a [Cidr]);

impl Trusted<'_> {
    fn has(self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }
}

/// Walks `X-Forwarded-For` from right to left past every trusted address; the first other one is the client.
///
/// An entry that is no address ends the walk: what stands left of it was not written by a proxy that can be trusted.
fn by_x_forwarded_for(peer: IpAddr, fields: &Fields, bytes: &[u8], trusted: Trusted<'_>) -> IpAddr {
    let mut address = peer;
    for line in fields.all(Field::XForwardedFor).rev() {
        for entry in line.value.of(bytes).rsplit(|byte| *byte == b',') {
            let Some(named) = parse(entry.trim_ascii()) else { return address };
            address = named;
            if !trusted.has(address) {
                return address;
            }
        }
    }
    address
}

/// The scheme that a trusted peer names, if it names one.
fn said_scheme(fields: &Fields, bytes: &[u8]) -> Option<&'static str> {
    scheme(forwarding::only(fields, Field::XForwardedProto, bytes)?)
}

/// The scheme that is written so, if it is one of ours.
pub(crate) fn scheme(text: &[u8]) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.as_bytes()))
}

/// An address as proxies write it: bare, in brackets, or with a port.
pub(crate) fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = text
        .parse()
        .ok()
        .or_else(bracketed)
        .or_else(|| text.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_ends_at_the_first_address_that_is_not_trusted() {
        let trusted: Vec<Cidr> = ["10.0.0.0/8", "fd00::/8"].iter().map(|text| text.parse().unwrap()).collect();
        for (lines, client) in [
            (vec!["203.0.113.9"], "203.0.113.9"),
            (vec![], "10.0.0.1"),
            (vec!["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            (vec!["198.51.100.1", "203.0.113.9", "10.0.0.2"], "203.0.113.9"),
            (vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (vec!["203.0.113.9, unknown"], "10.0.0.1"),
            (vec!["203.0.113.9, bad, 10.0.0.2"], "10.0.0.2"),
            (vec!["203.0.113.9:1234"], "203.0.113.9"),
            (vec!["[2001:db8::1]:1234"], "2001:db8::1"),
            (vec!["[2001:db8::1]"], "2001:db8::1"),
            (vec!["::ffff:203.0.113.9"], "203.0.113.9"),
            (vec![""], "10.0.0.1"),
        ] {
            let lines: String = lines.iter().map(|line| format!("X-Forwarded-For: {line}\r\n")).collect();
            let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").into_bytes();
            let mut head = http1::RequestHead::default();
            head.parse(&bytes, &http1::HeadLimits::default()).unwrap();
            let found = by_x_forwarded_for("10.0.0.1".parse().unwrap(), &head.fields, &bytes, Trusted(&trusted));
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{lines:?}");
        }
    }
}
