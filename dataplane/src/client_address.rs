//! Who sent a request: the peer, or what trusted proxies in front of us say.

use std::net::{IpAddr, SocketAddr};

use http1::{Field, Fields};
use shared::value::Cidr;

/// The address of the client and whether the peer is a trusted proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// Never an IPv4-mapped address.
    pub(crate) address: IpAddr,
    /// Whether what the peer says about the client is believed.
    pub(crate) peer_is_trusted: bool,
}

/// Walks `X-Forwarded-For` from right to left past every trusted address; the first other one is the client.
///
/// An entry that is no address ends the walk: what stands left of it was not written by a proxy that can be trusted.
pub(crate) fn of(peer: IpAddr, fields: &Fields, bytes: &[u8], trusted: &[Cidr]) -> Client {
    let peer = peer.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    if !is_trusted(peer) {
        return Client { address: peer, peer_is_trusted: false };
    }
    let mut address = peer;
    for line in fields.all(Field::XForwardedFor).rev() {
        for entry in line.value.of(bytes).rsplit(|byte| *byte == b',') {
            let Some(named) = parse(entry.trim_ascii()) else {
                return Client { address, peer_is_trusted: true };
            };
            address = named;
            if !is_trusted(address) {
                return Client { address, peer_is_trusted: true };
            }
        }
    }
    Client { address, peer_is_trusted: true }
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn parse(entry: &[u8]) -> Option<IpAddr> {
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
        for (peer, lines, client, believed) in [
            ("192.0.2.1", vec!["203.0.113.9"], "192.0.2.1", false),
            ("10.0.0.1", vec![], "10.0.0.1", true),
            ("10.0.0.1", vec!["203.0.113.9"], "203.0.113.9", true),
            ("10.0.0.1", vec!["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9", true),
            ("10.0.0.1", vec!["198.51.100.1", "203.0.113.9", "10.0.0.2"], "203.0.113.9", true),
            ("10.0.0.1", vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3", true),
            ("10.0.0.1", vec!["203.0.113.9, unknown"], "10.0.0.1", true),
            ("10.0.0.1", vec!["203.0.113.9, bad, 10.0.0.2"], "10.0.0.2", true),
            ("10.0.0.1", vec!["203.0.113.9:1234"], "203.0.113.9", true),
            ("fd00::1", vec!["[2001:db8::1]:1234"], "2001:db8::1", true),
            ("fd00::1", vec!["[2001:db8::1]"], "2001:db8::1", true),
            ("::ffff:10.0.0.1", vec!["::ffff:203.0.113.9"], "203.0.113.9", true),
            ("10.0.0.1", vec![""], "10.0.0.1", true),
        ] {
            let lines: String = lines.iter().map(|line| format!("X-Forwarded-For: {line}\r\n")).collect();
            let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").into_bytes();
            let mut head = http1::RequestHead::default();
            head.parse(&bytes, &http1::HeadLimits::default()).unwrap();
            let found = of(peer.parse().unwrap(), &head.fields, &bytes, &trusted);
            assert_eq!((found.address, found.peer_is_trusted), (client.parse().unwrap(), believed), "{peer} {lines:?}");
        }
    }
}
