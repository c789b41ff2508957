//! Version 1: one line of text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{Endpoints, Fault, Header, MAX_V1, Start, Tlvs};

/// How the line begins.
pub(crate) const WORD: &[u8] = b"PROXY ";

/// Reads a line that begins with [`WORD`], or with the beginning of it.
pub(crate) fn read(bytes: &[u8]) -> Result<Start<'_>, Fault> {
    let window = &bytes[..bytes.len().min(MAX_V1)];
    let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
        return if window.len() == MAX_V1 { Err(Fault::TooLong) } else { Ok(Start::Partial) };
    };
    let line = window[..end].strip_suffix(b"\r").ok_or(Fault::BadLine)?;
    let line = std::str::from_utf8(line).map_err(|_| Fault::BadLine)?;
    let mut words = line.split(' ').skip(1);
    let endpoints = match words.next() {
        Some("TCP4") => Some(endpoints(words, |text| text.parse().ok().map(|address: Ipv4Addr| address.into()))?),
        Some("TCP6") => Some(endpoints(words, |text| text.parse().ok().map(|address: Ipv6Addr| address.into()))?),
        // What follows it is to be passed over (§2.1).
        Some("UNKNOWN") => None,
        _ => return Err(Fault::BadLine),
    };
    Ok(Start::Header(Header { endpoints, tlvs: Tlvs::default() }, end + 1))
}

fn endpoints<'a>(
    mut words: impl Iterator<Item = &'a str>,
    address: impl Fn(&str) -> Option<IpAddr>,
) -> Result<Endpoints, Fault> {
    let mut word = || words.next().ok_or(Fault::BadLine);
    let (source, destination, source_port, destination_port) = (word()?, word()?, word()?, word()?);
    if words.next().is_some() {
        return Err(Fault::BadLine);
    }
    let address = |text: &str| address(text).ok_or(Fault::BadAddress);
    Ok(Endpoints {
        source: SocketAddr::new(address(source)?, port(source_port)?),
        destination: SocketAddr::new(address(destination)?, port(destination_port)?),
    })
}

fn port(text: &str) -> Result<u16, Fault> {
    let is_canonical = text == "0" || (text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'));
    text.parse().ok().filter(|_| is_canonical).ok_or(Fault::BadPort)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_the_grammar_has_it() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
        assert_eq!(long.len(), MAX_V1);
        let longest = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
        for (line, source) in [
            ("PROXY TCP4 192.0.2.1 198.51.100.2 1 65535\r\n", Some("192.0.2.1:1")),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 0 0\r\nGET /", Some("192.0.2.1:0")),
            ("PROXY TCP6 2001:db8::1 ::1 80 443\r\n", Some("[2001:db8::1]:80")),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 80 443\r\n", Some("[::ffff:192.0.2.1]:80")),
            (longest, Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN 1 2 what ever\r\n", None),
            (&long, None),
        ] {
            let Ok(Start::Header(header, length)) = read(line.as_bytes()) else { panic!("{line:?}") };
            assert_eq!(length, line.find('\n').unwrap() + 1, "{line:?}");
            assert_eq!(header.endpoints.map(|ends| ends.source), source.map(|text| text.parse().unwrap()), "{line:?}");
        }
        assert_eq!(read(format!("{}x\r\n", &long[..long.len() - 2]).as_bytes()), Err(Fault::TooLong));
    }

    #[test]
    fn whatever_else_begins_so_is_a_fault() {
        for (line, fault) in [
            ("PROXY / HTTP/1.1\r\n", Fault::BadLine),
            ("PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n", Fault::BadLine),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", Fault::BadLine),
            ("PROXY UNKNOWN\n", Fault::BadLine),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", Fault::BadLine),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", Fault::BadLine),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", Fault::BadLine),
            ("PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", Fault::BadLine),
            ("PROXY TCP4\t1.1.1.1 2.2.2.2 1 2\r\n", Fault::BadLine),
            ("PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", Fault::BadLine),
            ("PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n", Fault::BadLine),
            ("PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", Fault::BadLine),
            ("PROXY \r\n", Fault::BadLine),
            ("PROXY TCP4 ::1 ::1 1 2\r\n", Fault::BadAddress),
            ("PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", Fault::BadAddress),
            ("PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n", Fault::BadAddress),
            ("PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", Fault::BadAddress),
            ("PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n", Fault::BadAddress),
            ("PROXY TCP4 localhost 2.2.2.2 1 2\r\n", Fault::BadAddress),
            ("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", Fault::BadAddress),
            ("PROXY TCP6 [::1] ::1 1 2\r\n", Fault::BadAddress),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n", Fault::BadPort),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", Fault::BadPort),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", Fault::BadPort),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n", Fault::BadPort),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 1 \r\n", Fault::BadPort),
        ] {
            assert_eq!(read(line.as_bytes()), Err(fault), "{line:?}");
        }
        assert_eq!(read(b"PROXY TCP4 \xff\r\n"), Err(Fault::BadLine));
    }
}
