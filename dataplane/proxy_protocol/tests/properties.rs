//! Rules that hold for all bytes.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use proxy_protocol::{Endpoints, MAX_V2, Start, Tlvs, Version, kind, read, write};

/// Bytes that are often nearly a header.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let signature = Just(b"\r\n\r\n\0\r\nQUIT\n".to_vec());
    let second = (
        signature,
        prop_oneof![Just(0x20), Just(0x21), any::<u8>()],
        prop_oneof![Just(0x00), Just(0x11), Just(0x21), Just(0x31), any::<u8>()],
        0..300u16,
        prop::collection::vec(prop_oneof![Just(0), Just(3), Just(4), Just(0x20), any::<u8>()], 0..300),
    );
    let second = second.prop_map(|(signature, command, family, length, body)| {
        [&signature[..], &[command, family], &length.to_be_bytes(), &body].concat()
    });
    let first = "PROXY (TCP4|TCP6|UNKNOWN)? [0-9a-f.: ]{0,110}(\r\n|\n|\r)?.{0,5}".prop_map(String::into_bytes);
    prop_oneof![second, first, prop::collection::vec(any::<u8>(), 0..64)]
}

fn endpoints() -> impl Strategy<Value = Endpoints> {
    let address = || (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port));
    (address(), address()).prop_map(|(source, destination)| Endpoints { source, destination })
}

fn tlvs() -> impl Strategy<Value = Vec<u8>> {
    let tlv = (6..0x20u8, prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(kind, value)| [&[kind, 0, value.len() as u8][..], &value].concat());
    prop::collection::vec(tlv, 0..5).prop_map(|tlvs| tlvs.concat())
}

proptest! {
    #[test]
    fn how_the_bytes_are_cut_makes_no_difference(bytes in nearly()) {
        let whole = read(&bytes);
        let needed = match whole {
            Ok(Start::Header(_, length)) => length,
            _ => bytes.len(),
        };
        prop_assert!(needed <= bytes.len().min(MAX_V2) || !matches!(whole, Ok(Start::Header(..))));
        for end in 0..bytes.len() {
            match read(&bytes[..end]) {
                Ok(Start::Partial) => prop_assert!(end < needed),
                decided => prop_assert_eq!(decided, whole, "after {} bytes", end),
            }
        }
    }

    #[test]
    fn what_is_written_is_read(endpoints in endpoints(), tlvs in tlvs(), is_second: bool, rest in "[A-Z]{0,9}") {
        let version = if is_second { Version::V2 } else { Version::V1 };
        let mut bytes = Vec::new();
        write(&mut bytes, version, &endpoints, Tlvs::read(&tlvs).unwrap());
        let length = bytes.len();
        bytes.extend_from_slice(rest.as_bytes());
        let Ok(Start::Header(header, read)) = read(&bytes) else { panic!("{bytes:?}") };
        prop_assert_eq!(read, length);
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let found = header.endpoints.unwrap();
        prop_assert_eq!((canonical(found.source), canonical(found.destination)), (endpoints.source, endpoints.destination));
        prop_assert_eq!(header.tlvs.as_bytes(), if is_second { &tlvs[..] } else { &[] });
    }

    #[test]
    fn checksum_and_padding_are_not_passed_on(endpoints in endpoints(), before in tlvs(), after in tlvs()) {
        let whole = [&before[..], &[kind::CRC32C, 0, 4, 1, 2, 3, 4], &[kind::NOOP, 0, 1, 9], &after].concat();
        let mut bytes = Vec::new();
        write(&mut bytes, Version::V2, &endpoints, Tlvs::read(&whole).unwrap());
        let Ok(Start::Header(header, _)) = read(&bytes) else { panic!("{bytes:?}") };
        prop_assert_eq!(header.tlvs.as_bytes(), [before, after].concat());
    }
}
