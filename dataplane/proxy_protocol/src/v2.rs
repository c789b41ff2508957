//! Version 2: a fixed part, addresses, and additional fields.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{Endpoints, Fault, Header, MAX_V2, Start, Tlvs, crc32c, kind};

/// What no other protocol begins with.
pub(crate) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes in front of the addresses.
pub(crate) const FIXED: usize = 16;

/// Version and command.
pub(crate) const LOCAL: u8 = 0x20;
pub(crate) const PROXY: u8 = 0x21;

/// Families with streams and datagrams (§2.2).
pub(crate) const UNSPEC: u8 = 0x00;
pub(crate) const INET: u8 = 0x11;
const INET_DATAGRAM: u8 = 0x12;
pub(crate) const INET6: u8 = 0x21;
const INET6_DATAGRAM: u8 = 0x22;
const UNIX: u8 = 0x31;
const UNIX_DATAGRAM: u8 = 0x32;

/// Reads what begins with [`SIGNATURE`], or with the beginning of it.
pub(crate) fn read(bytes: &[u8]) -> Result<Start<'_>, Fault> {
    let Some([.., command, family, high, low]) = bytes.first_chunk::<FIXED>() else { return Ok(Start::Partial) };
    if command >> 4 != 2 {
        return Err(Fault::BadVersion);
    }
    if !matches!(*command, LOCAL | PROXY) {
        return Err(Fault::BadCommand);
    }
    let length = FIXED + usize::from(u16::from_be_bytes([*high, *low]));
    if length > MAX_V2 {
        return Err(Fault::TooLong);
    }
    let Some(whole) = bytes.get(..length) else { return Ok(Start::Partial) };
    if *command == LOCAL {
        // What it says beyond that is to be passed over, the family too (§2.2).
        return Ok(Start::Header(Header::default(), length));
    }
    let (endpoints, rest) = addresses(*family, &whole[FIXED..])?;
    let tlvs = Tlvs::read(rest)?;
    if let Some(said) = tlvs.find(kind::CRC32C) {
        let before = tlvs.iter().take_while(|tlv| tlv.kind != kind::CRC32C);
        let at = length - rest.len() + before.map(|tlv| 3 + tlv.value.len()).sum::<usize>() + 3;
        let parts = [&whole[..at], &[0; 4], &whole[at + said.len()..]];
        if said != crc32c::of(parts.into_iter().flatten()).to_be_bytes() {
            return Err(Fault::BadChecksum);
        }
    }
    Ok(Start::Header(Header { endpoints, tlvs }, length))
}

/// The addresses in front of `bytes`, if they can be used, and what follows them.
fn addresses(family: u8, bytes: &[u8]) -> Result<(Option<Endpoints>, &[u8]), Fault> {
    let endpoints = match family {
        UNSPEC => return Ok((None, bytes)),
        INET | INET_DATAGRAM => {
            let (addresses, rest) = bytes.split_first_chunk::<12>().ok_or(Fault::BadLength)?;
            let [a, b, c, d, e, f, g, h, ports @ ..] = *addresses;
            let (source, destination) = (Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h));
            (with_ports(source.into(), destination.into(), ports), rest)
        }
        INET6 | INET6_DATAGRAM => {
            let (source, rest) = bytes.split_first_chunk::<16>().ok_or(Fault::BadLength)?;
            let (destination, rest) = rest.split_first_chunk::<16>().ok_or(Fault::BadLength)?;
            let (ports, rest) = rest.split_first_chunk::<4>().ok_or(Fault::BadLength)?;
            let (source, destination) = (Ipv6Addr::from(*source), Ipv6Addr::from(*destination));
            (with_ports(source.into(), destination.into(), *ports), rest)
        }
        UNIX | UNIX_DATAGRAM => return Ok((None, bytes.get(216..).ok_or(Fault::BadLength)?)),
        _ => return Err(Fault::BadFamily),
    };
    Ok((Some(endpoints.0), endpoints.1))
}

fn with_ports(source: std::net::IpAddr, destination: std::net::IpAddr, ports: [u8; 4]) -> Endpoints {
    let [a, b, c, d] = ports;
    Endpoints {
        source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0, 1, 0xff, 0xff];

    fn source(bytes: &[u8]) -> Option<String> {
        match read(bytes) {
            Ok(Start::Header(header, length)) if length == bytes.len() => {
                header.endpoints.map(|endpoints| endpoints.source.to_string())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_family_has_its_addresses() {
        let mut ipv6 = [0; 36];
        (ipv6[15], ipv6[33]) = (1, 80);
        assert_eq!(source(&header(0x21, 0x11, &IPV4)).as_deref(), Some("192.0.2.1:1"));
        assert_eq!(source(&header(0x21, 0x12, &IPV4)).as_deref(), Some("192.0.2.1:1"));
        assert_eq!(source(&header(0x21, 0x21, &ipv6)).as_deref(), Some("[::1]:80"));
        assert_eq!(source(&header(0x21, 0x31, &[b'/'; 216])), None);
        assert_eq!(source(&header(0x21, 0x00, &[])), None);
        // Whatever LOCAL says beyond that.
        for (family, body) in [(0x00, &b""[..]), (0x11, &IPV4[..]), (0x11, b"x"), (0xff, b"\x03\0\x04bad!")] {
            assert_eq!(source(&header(0x20, family, body)), None);
        }
    }

    #[test]
    fn what_is_not_defined_is_a_fault() {
        for (command, family, body, fault) in [
            (0x11, 0x11, &IPV4[..], Fault::BadVersion),
            (0x31, 0x11, &IPV4, Fault::BadVersion),
            (0x22, 0x11, &IPV4, Fault::BadCommand),
            (0x2f, 0x11, &IPV4, Fault::BadCommand),
            (0x21, 0x10, &IPV4, Fault::BadFamily),
            (0x21, 0x13, &IPV4, Fault::BadFamily),
            (0x21, 0x01, &IPV4, Fault::BadFamily),
            (0x21, 0x41, &IPV4, Fault::BadFamily),
            (0x21, 0x11, &IPV4[..11], Fault::BadLength),
            (0x21, 0x21, &IPV4, Fault::BadLength),
            (0x21, 0x31, &IPV4, Fault::BadLength),
            (0x21, 0x11, &[0; 4081], Fault::TooLong),
            (0x21, 0x11, &[0; 65_535], Fault::TooLong),
        ] {
            assert_eq!(read(&header(command, family, body)), Err(fault), "{command:x} {family:x} {}", body.len());
        }
        // Before any of its rest has come.
        assert_eq!(read(&header(0x21, 0x11, &[0; 65_535])[..FIXED]), Err(Fault::TooLong));
    }

    #[test]
    fn a_checksum_covers_the_whole_header() {
        let mut bytes = header(0x21, 0x11, &[&IPV4[..], b"\x04\0\x02xx", b"\x03\0\x04\0\0\0\0", b"\x04\0\0"].concat());
        let at = FIXED + IPV4.len() + 5 + 3;
        let sum = crc32c::of(bytes.iter()).to_be_bytes();
        bytes[at..at + 4].copy_from_slice(&sum);
        assert_eq!(source(&bytes).as_deref(), Some("192.0.2.1:1"));
        for index in FIXED..bytes.len() {
            let mut broken = bytes.clone();
            broken[index] ^= 0x40;
            assert!(read(&broken).is_err() || index >= at - 3, "{index}");
            if index >= FIXED && index < FIXED + IPV4.len() || (at..at + 4).contains(&index) {
                assert_eq!(read(&broken), Err(Fault::BadChecksum), "{index}");
            }
        }
    }
}
