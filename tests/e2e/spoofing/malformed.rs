//! Headers of a believed balancer that are none.

use super::{
    case::Case,
    header::{LOCAL, PROXY, SIGNATURE, addresses, tlv, v1_of, v2, v2_of, with_checksum},
    table::BALANCER,
};

const CLIENT: &str = "203.0.113.7:5678";

pub(super) fn cases() -> Vec<Case> {
    let closed = ["accept", "require"].into_iter().flat_map(|listener| {
        let case = move |(opening, word): (Vec<u8>, _)| {
            let what = format!("{word}: {}", opening[..opening.len().min(60)].escape_ascii());
            Case::new(listener, BALANCER, what, opening).closes(word)
        };
        headers().into_iter().map(case)
    });
    let cut = ["accept", "require"].into_iter().flat_map(|listener| {
        let v1 = v1_of(CLIENT);
        let v2 = v2_of(CLIENT, &tlv(0x01, b"h2"));
        [
            v1[..1].to_vec(),
            v1[..v1.len() - 1].to_vec(),
            v2[..3].to_vec(),
            v2[..16].to_vec(),
            v2[..v2.len() - 1].to_vec(),
        ]
        .map(|opening| Case::new(listener, BALANCER, "cut", opening).cut().closes("cut"))
    });
    closed.chain(cut).chain(others()).collect()
}

fn headers() -> Vec<(Vec<u8>, &'static str)> {
    let lines: [(&str, &str); 15] = [
        ("PROXY TCP4 203.0.113.7 192.0.2.80 1 2\n", "bad_line"),
        ("PROXY TCP4 203.0.113.7 192.0.2.80 1\r\n", "bad_line"),
        ("PROXY TCP4 203.0.113.7 192.0.2.80 1 2 3\r\n", "bad_line"),
        ("PROXY  TCP4 203.0.113.7 192.0.2.80 1 2\r\n", "bad_line"),
        ("PROXY UDP4 203.0.113.7 192.0.2.80 1 2\r\n", "bad_line"),
        ("PROXY unknown\r\n", "bad_line"),
        ("PROXY \r\n", "bad_line"),
        ("PROXY / HTTP/1.1\r\n", "bad_line"),
        ("PROXY TCP4 2001:db8::7 ::1 1 2\r\n", "bad_address"),
        ("PROXY TCP6 203.0.113.7 192.0.2.80 1 2\r\n", "bad_address"),
        ("PROXY TCP4 203.0.113.07 192.0.2.80 1 2\r\n", "bad_address"),
        ("PROXY TCP4 client 192.0.2.80 1 2\r\n", "bad_address"),
        ("PROXY TCP4 203.0.113.7 192.0.2.80 65536 2\r\n", "bad_port"),
        ("PROXY TCP4 203.0.113.7 192.0.2.80 1 02\r\n", "bad_port"),
        ("PROXY TCP4 203.0.113.7 192.0.2.80 1 -2\r\n", "bad_port"),
    ];
    let mut headers: Vec<(Vec<u8>, &str)> = lines.map(|(line, word)| (line.into(), word)).into();
    let ipv4 = addresses(CLIENT);
    headers.extend([
        (format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)).into_bytes(), "too_long"),
        (format!("PROXY TCP4 {}", "1".repeat(200)).into_bytes(), "too_long"),
        (v2(0x11, 0x11, &ipv4), "bad_version"),
        (v2(0x31, 0x11, &ipv4), "bad_version"),
        (v2(0x22, 0x11, &ipv4), "bad_command"),
        (v2(PROXY, 0x13, &ipv4), "bad_family"),
        (v2(PROXY, 0x41, &ipv4), "bad_family"),
        (v2(PROXY, 0xff, b""), "bad_family"),
        (v2(PROXY, 0x11, &ipv4[..11]), "bad_length"),
        (v2(PROXY, 0x21, &ipv4), "bad_length"),
        (v2(PROXY, 0x31, &[b'/'; 215]), "bad_length"),
        (v2_of(CLIENT, &tlv(0x04, &[0; 4096 - 16 - 12 - 3 + 1])), "too_long"),
        (v2(LOCAL, 0x00, &[0; 4081]), "too_long"),
        ([SIGNATURE, b"\x21\x11\xff\xff"].concat(), "too_long"),
        (v2_of(CLIENT, b"\x01"), "bad_tlv"),
        (v2_of(CLIENT, b"\x01\0\x03h2"), "bad_tlv"),
        (v2_of(CLIENT, &[tlv(0x04, b""), b"\x04\xff\xff".to_vec()].concat()), "bad_tlv"),
        (v2_of(CLIENT, &tlv(0x03, b"123")), "bad_tlv"),
        (v2_of(CLIENT, &tlv(0x05, &[0; 129])), "bad_tlv"),
        (v2_of(CLIENT, &tlv(0x20, b"\x01\0\0\0")), "bad_tlv"),
        (v2_of(CLIENT, &tlv(0x20, b"\x01\0\0\0\0\x21\0\x09TLS")), "bad_tlv"),
        (with_checksum(CLIENT, &tlv(0x01, b"h2"), 1), "bad_checksum"),
        (with_checksum(CLIENT, &tlv(0x03, b"1234"), 0), "bad_tlv"),
    ]);
    headers
}

/// What follows a header, and what comes instead of one.
fn others() -> Vec<Case> {
    let twice = [v1_of(CLIENT), v1_of("6.6.6.6:6")].concat();
    let both = [v2_of(CLIENT, b""), v1_of("6.6.6.6:6")].concat();
    let reverse = [v1_of(CLIENT), v2_of("6.6.6.6:6", b"")].concat();
    let missing = |what: &str, opening: &[u8]| Case::new("require", BALANCER, what, opening).closes("missing");
    vec![
        Case::new("accept", BALANCER, "two lines", twice.clone()),
        Case::new("require", BALANCER, "two lines", twice),
        Case::new("require", BALANCER, "version 2 and a line", both),
        Case::new("require", BALANCER, "a line and version 2", reverse),
        missing("a request", b""),
        missing("a request with a name that begins so", b"PROXYTCP4 1.1.1.1 2.2.2.2 1 2\r\n"),
        missing("lower case", b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n"),
        missing("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        missing("a TLS handshake", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"),
        missing("an empty line in front", b"\r\nPROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n"),
        missing("almost the signature", b"\r\n\r\n\0\r\nQUIT\r"),
        Case::new("accept", BALANCER, "almost the signature", b"\r\n\r\n\0\r\nQUIT\r".to_vec()),
        Case::new("accept", BALANCER, "an empty line in front", b"\r\nPROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n".to_vec()),
    ]
}
