//! Balancers whose headers are believed.

use super::{
    case::Case,
    header::{LOCAL, PROXY, addresses, tlv, v1_of, v2, v2_of, with_checksum},
    table::{BALANCER, BOTH},
};

/// A client.
const CLIENT: &str = "203.0.113.7:5678";
/// A proxy in front of the balancer, whose fields are believed.
const TRUSTED: &str = "203.0.113.200:5678";

pub(super) fn cases() -> Vec<Case> {
    let modes = ["accept", "require"].into_iter().flat_map(|listener| {
        let case = move |what: &str, opening: Vec<u8>| Case::new(listener, BALANCER, what, opening);
        headers().into_iter().map(move |(what, opening, client)| case(what, opening).tells(client))
    });
    modes.chain(chains()).collect()
}

/// What is sent, and whose connection it is then.
fn headers() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let text = |line: &str| format!("{line}\r\n").into_bytes();
    let ipv4 = addresses(CLIENT);
    let ssl = [&[1, 0, 0, 0, 0][..], &tlv(0x21, b"TLSv1.3"), &tlv(0x22, b"6.6.6.6")].concat();
    let tlvs =
        [tlv(0x01, b"h2"), tlv(0x02, b"6.6.6.6"), tlv(0x05, b"id"), tlv(0x20, &ssl), tlv(0xea, b"vpce")].concat();
    vec![
        ("TCP4", v1_of(CLIENT), "203.0.113.7"),
        ("TCP6", text("PROXY TCP6 2001:db8::7 ::1 1 2"), "2001:db8::7"),
        ("TCP6 with a mapped address", text("PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2"), "203.0.113.7"),
        (
            "the longest TCP6",
            text(
                "PROXY TCP6 1111:2222:3333:4444:5555:6666:7777:8888 1111:2222:3333:4444:5555:6666:7777:8888 65535 65535",
            ),
            "1111:2222:3333:4444:5555:6666:7777:8888",
        ),
        ("UNKNOWN", text("PROXY UNKNOWN"), BALANCER),
        ("UNKNOWN with a rest", text("PROXY UNKNOWN 6.6.6.6 6.6.6.6 1 2"), BALANCER),
        ("UNKNOWN of 107 bytes", text(&format!("PROXY UNKNOWN {}", "6".repeat(91))), BALANCER),
        ("INET", v2(PROXY, 0x11, &ipv4), "203.0.113.7"),
        ("INET6", v2_of("[2001:db8::7]:1", b""), "2001:db8::7"),
        ("INET6 with a mapped address", v2_of("[::ffff:203.0.113.7]:1", b""), "203.0.113.7"),
        ("INET of datagrams", v2(PROXY, 0x12, &ipv4), "203.0.113.7"),
        ("UNSPEC", v2(PROXY, 0x00, b""), BALANCER),
        ("UNSPEC with fields", v2(PROXY, 0x00, &tlv(0x01, b"h2")), BALANCER),
        ("a Unix socket", v2(PROXY, 0x31, &[b'6'; 216]), BALANCER),
        ("LOCAL", v2(LOCAL, 0x00, b""), BALANCER),
        ("LOCAL with addresses", v2(LOCAL, 0x11, &addresses("6.6.6.6:6")), BALANCER),
        ("LOCAL with anything", v2(LOCAL, 0xff, b"\x03\0\x04\xff\xffGET / HTTP/1.1\r\n\r\n"), BALANCER),
        ("fields of all kinds", v2_of(CLIENT, &tlvs), "203.0.113.7"),
        ("an empty field", v2_of(CLIENT, &tlv(0x04, b"")), "203.0.113.7"),
        ("padding up to 4096 bytes", v2_of(CLIENT, &tlv(0x04, &[0; 4096 - 16 - 12 - 3])), "203.0.113.7"),
        ("a checksum", with_checksum(CLIENT, &tlvs, 0), "203.0.113.7"),
        ("a field that nobody knows", v2_of(CLIENT, &tlv(0xee, b"\xff\0")), "203.0.113.7"),
    ]
}

/// Fields of requests behind a header.
fn chains() -> Vec<Case> {
    let forged =
        "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n";
    let chain = "X-Forwarded-For: 6.6.6.6, 198.51.100.9, 203.0.113.200\r\n";
    let of = |peer, what: &str, opening: Vec<u8>| Case::new("accept", peer, what, opening);
    vec![
        of(BALANCER, "a client that forges fields", v1_of(CLIENT)).with(forged).tells("203.0.113.7"),
        of(BALANCER, "a client that forges fields, by version 2", v2_of(CLIENT, b"")).with(forged).tells("203.0.113.7"),
        of(BALANCER, "a trusted proxy in front", v1_of(TRUSTED))
            .with(chain)
            .tells_of("198.51.100.9", "6.6.6.6, 198.51.100.9, 203.0.113.200, 203.0.113.200"),
        of(BALANCER, "a trusted proxy in front, by version 2", v2_of("[2001:db8:ffff::1]:1", b""))
            .with(chain)
            .tells_of("198.51.100.9", "6.6.6.6, 198.51.100.9, 203.0.113.200, 2001:db8:ffff::1"),
        of(BALANCER, "a balancer that speaks for itself is no trusted proxy", v2(LOCAL, 0, b""))
            .with(forged)
            .tells(BALANCER),
        of(BALANCER, "a balancer without a header is no trusted proxy", b"".to_vec()).with(forged).tells(BALANCER),
        of(BOTH, "a client of a balancer that is trusted, too", v1_of(CLIENT)).with(forged).tells("203.0.113.7"),
        of(BOTH, "such a balancer for itself", v2(LOCAL, 0, b""))
            .with(chain)
            .tells_of("198.51.100.9", "6.6.6.6, 198.51.100.9, 203.0.113.200, 127.0.0.4"),
        of(BOTH, "such a balancer without a header", b"".to_vec())
            .with(chain)
            .tells_of("198.51.100.9", "6.6.6.6, 198.51.100.9, 203.0.113.200, 127.0.0.4"),
    ]
}
