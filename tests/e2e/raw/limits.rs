//! How much of a request is taken.

use super::{
    case::{Case, forwarded},
    message::get,
    table,
};

#[test]
fn a_head_has_limits() {
    table::run(cases());
}

/// What the listener takes: bytes of a head, of a target, and fields.
const HEAD: usize = 32 << 10;
const TARGET: usize = 8 << 10;
const FIELDS: usize = 100;

pub(super) fn cases() -> Vec<Case> {
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(length - 1));
    let fields = |count: usize| get(&(1..count).map(|index| format!("X-{index}: 1\r\n")).collect::<String>());
    let head = |length: usize| get(&format!("X: {}\r\n", "x".repeat(length - get("X: \r\n").len())));
    let refused: &[(&str, &str, String, u16, &str)] = &[
        ("RFC 9110 §15.5.15", "a target over its limit", target(TARGET + 1), 414, "target_too_long"),
        (
            "RFC 9110 §15.5.15",
            "a target without an end",
            "GET /".to_owned() + &"x".repeat(HEAD),
            414,
            "target_too_long",
        ),
        ("RFC 6585 §5", "a head over its limit", head(HEAD + 1), 431, "head_too_large"),
        (
            "RFC 6585 §5",
            "a value over the limit of a head",
            get(&format!("X: {}\r\n", "x".repeat(40_000))),
            431,
            "head_too_large",
        ),
        ("RFC 6585 §5", "a name over it", get(&format!("{}: 1\r\n", "x".repeat(40_000))), 431, "head_too_large"),
        ("RFC 6585 §5", "a method over it", "X".repeat(40_000), 431, "head_too_large"),
        ("RFC 6585 §5", "one field more than allowed", fields(FIELDS + 1), 431, "too_many_fields"),
        ("RFC 6585 §5", "a thousand fields", fields(1_000), 431, "too_many_fields"),
    ];
    let refused = refused
        .iter()
        .map(|(source, what, bytes, status, detail)| Case::refused(source, *what, bytes, *status, detail));
    let passed = [
        Case::passed(
            "RFC 9112 §3",
            "a target at its limit",
            target(TARGET),
            forwarded(format!("GET /{} HTTP/1.1", "x".repeat(TARGET - 1))),
        ),
        Case::passed("RFC 6585 §5", "a head at its limit", head(HEAD), forwarded("GET / HTTP/1.1")),
        Case::passed(
            "RFC 6585 §5",
            "as many fields as allowed",
            fields(FIELDS),
            forwarded("GET / HTTP/1.1").has(&["X-1: 1", "X-99: 1"]),
        ),
    ];
    refused.chain(passed).collect()
}
