//! Headers of the PROXY protocol, sound and otherwise.

use std::net::SocketAddr;

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
pub(super) const LOCAL: u8 = 0x20;
pub(super) const PROXY: u8 = 0x21;

/// Any header of version 2 whose length is that of `body`.
pub(super) fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

/// The addresses of a header of version 2 for a client at `source`.
pub(super) fn addresses(source: &str) -> Vec<u8> {
    let source: SocketAddr = source.parse().unwrap();
    let ports = [source.port().to_be_bytes(), 443u16.to_be_bytes()].concat();
    let ends = match source.ip() {
        std::net::IpAddr::V4(ip) => [&ip.octets()[..], &[192, 0, 2, 80]].concat(),
        std::net::IpAddr::V6(ip) => [ip.octets(), ip.octets()].concat(),
    };
    [ends, ports].concat()
}

/// A header of version 2 for a client at `source`, with additional fields.
pub(super) fn v2_of(source: &str, tlvs: &[u8]) -> Vec<u8> {
    let addresses = addresses(source);
    v2(PROXY, if addresses.len() == 12 { 0x11 } else { 0x21 }, &[&addresses, tlvs].concat())
}

/// A line of version 1 for a client at `source`, which is IPv4.
pub(super) fn v1_of(source: &str) -> Vec<u8> {
    let (ip, port) = source.rsplit_once(':').unwrap();
    format!("PROXY TCP4 {ip} 192.0.2.80 {port} 443\r\n").into_bytes()
}

/// An additional field.
pub(super) fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], value].concat()
}

/// A header of version 2 for a client at `source`, whose last field is a checksum, which is wrong by `error`.
pub(super) fn with_checksum(source: &str, tlvs: &[u8], error: u32) -> Vec<u8> {
    let mut header = v2_of(source, &[tlvs, &tlv(0x03, &[0; 4])].concat());
    let sum = crc32c(&header) ^ error;
    let at = header.len() - 4;
    header[at..].copy_from_slice(&sum.to_be_bytes());
    header
}

/// RFC 3720, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut sum = !0u32;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
        }
    }
    !sum
}
