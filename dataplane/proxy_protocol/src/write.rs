use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
};

use crate::{Endpoints, Tlvs, kind, v2};

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// A line of text, without additional fields.
    V1,
    /// Binary.
    V2,
}

/// Appends the header for a connection between `endpoints` to `out`.
///
/// Where one end is IPv4 and the other IPv6, the former is written as an IPv4-mapped address. `tlvs` are written in version 2, but for
/// checksum and padding, which are about the header that they came in.
pub fn write(out: &mut Vec<u8>, version: Version, endpoints: &Endpoints, tlvs: Tlvs<'_>) {
    let Endpoints { source, destination } = endpoints;
    match version {
        Version::V1 => {
            let (family, from, to) = match (source.ip().to_canonical(), destination.ip().to_canonical()) {
                (from @ IpAddr::V4(_), to @ IpAddr::V4(_)) => ("TCP4", from, to),
                (from, to) => ("TCP6", mapped(from).into(), mapped(to).into()),
            };
            let (source, destination) = (source.port(), destination.port());
            write!(out, "PROXY {family} {from} {to} {source} {destination}\r\n")
                .expect("writing to memory does not fail");
        }
        Version::V2 => write_v2(out, source, destination, tlvs),
    }
}

/// Appends the header of a connection that the sender makes for itself, as a health check is, to `out`: `LOCAL` in version 2,
/// `UNKNOWN` in version 1, which has no other word for it.
pub fn write_local(out: &mut Vec<u8>, version: Version) {
    match version {
        Version::V1 => out.extend_from_slice(b"PROXY UNKNOWN\r\n"),
        Version::V2 => {
            out.extend_from_slice(&v2::SIGNATURE);
            out.extend_from_slice(&[v2::LOCAL, v2::UNSPEC, 0, 0]);
        }
    }
}

fn write_v2(out: &mut Vec<u8>, source: &SocketAddr, destination: &SocketAddr, tlvs: Tlvs<'_>) {
    let start = out.len();
    out.extend_from_slice(&v2::SIGNATURE);
    out.push(v2::PROXY);
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend_from_slice(&[v2::INET, 0, 0]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
        }
        (from, to) => {
            out.extend_from_slice(&[v2::INET6, 0, 0]);
            out.extend_from_slice(&mapped(from).octets());
            out.extend_from_slice(&mapped(to).octets());
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    for tlv in tlvs.iter().filter(|tlv| !matches!(tlv.kind, kind::CRC32C | kind::NOOP)) {
        let length = u16::try_from(tlv.value.len()).expect("it had such a length when it was read");
        out.push(tlv.kind);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(tlv.value);
    }
    let length = u16::try_from(out.len() - start - v2::FIXED).expect("fields that were read are few");
    out[start + v2::FIXED - 2..start + v2::FIXED].copy_from_slice(&length.to_be_bytes());
}

fn mapped(address: IpAddr) -> std::net::Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Header, Start, read};

    #[test]
    fn a_sender_that_speaks_for_itself_names_nobody() {
        for (version, expected) in
            [(Version::V1, &b"PROXY UNKNOWN\r\n"[..]), (Version::V2, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")]
        {
            let mut out = Vec::new();
            write_local(&mut out, version);
            assert_eq!(out, expected);
            assert_eq!(read(&out), Ok(Start::Header(Header::default(), expected.len())));
        }
    }

    #[test]
    fn mixed_families_are_written_as_ipv6() {
        let line = |source: &str, destination: &str| {
            let mut out = Vec::new();
            let endpoints = Endpoints { source: source.parse().unwrap(), destination: destination.parse().unwrap() };
            write(&mut out, Version::V1, &endpoints, Tlvs::default());
            String::from_utf8(out).unwrap()
        };
        assert_eq!(line("192.0.2.1:1", "198.51.100.1:2"), "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n");
        assert_eq!(line("[::ffff:192.0.2.1]:1", "198.51.100.1:2"), "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n");
        assert_eq!(line("[2001:db8::1]:1", "198.51.100.1:2"), "PROXY TCP6 2001:db8::1 ::ffff:198.51.100.1 1 2\r\n");
    }
}
