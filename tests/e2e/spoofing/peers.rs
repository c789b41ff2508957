//! Peers whose headers are not believed, and what they claim in fields.

use super::{
    case::Case,
    header::{LOCAL, addresses, v1_of, v2, v2_of},
    table::{BALANCER, PROXY, STRANGER},
};

pub(super) fn cases() -> Vec<Case> {
    let openings = || {
        [
            ("version 1", v1_of("6.6.6.6:6")),
            ("UNKNOWN", b"PROXY UNKNOWN\r\n".to_vec()),
            ("version 2", v2_of("6.6.6.6:6", b"")),
            ("LOCAL", v2(LOCAL, 0, b"")),
            ("a broken line", b"PROXY TCP4\r\n".to_vec()),
            ("a broken version 2", v2(0x21, 0x11, &addresses("6.6.6.6:6")[..4])),
        ]
    };
    let forged = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\n";
    let chain = "X-Forwarded-For: 6.6.6.6, 198.51.100.9, 203.0.113.200\r\n";
    let mut cases = Vec::new();
    for (what, opening) in openings() {
        // A proxy whose fields are believed is no balancer whose header is.
        for peer in [STRANGER, PROXY] {
            cases.push(Case::new("accept", peer, what, opening.clone()));
            cases.push(Case::new("require", peer, what, opening.clone()).closes("untrusted"));
        }
        cases.push(Case::new("off", BALANCER, what, opening.clone()));
        cases.push(Case::new("off", STRANGER, what, opening));
    }
    for peer in [STRANGER, PROXY] {
        cases.push(Case::new("require", peer, "no header", b"".to_vec()).closes("untrusted"));
    }
    for listener in ["off", "accept"] {
        cases.extend([
            Case::new(listener, STRANGER, "fields of a stranger", b"".to_vec()).with(forged).tells(STRANGER),
            Case::new(listener, BALANCER, "fields of a balancer", b"".to_vec()).with(forged).tells(BALANCER),
            Case::new(listener, PROXY, "fields of a trusted proxy", b"".to_vec())
                .with(chain)
                .tells_of("198.51.100.9", "6.6.6.6, 198.51.100.9, 203.0.113.200, 127.0.0.3"),
            Case::new(listener, PROXY, "a look-alike of a trusted proxy", b"".to_vec())
                .with("X_Forwarded_For: 6.6.6.6\r\nX.Forwarded.For: 6.6.6.6\r\n")
                .tells(PROXY),
            Case::new(listener, PROXY, "no address ends the walk", b"".to_vec())
                .with("X-Forwarded-For: 198.51.100.9, unknown\r\n")
                .tells_of(PROXY, "198.51.100.9, unknown, 127.0.0.3"),
        ]);
    }
    cases
}
