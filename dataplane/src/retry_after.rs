//! When a backend wants to be asked again: `Retry-After` (RFC 9110 §10.2.3).

use std::time::Duration;

use http1::Fields;
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};

/// What the field of a head in `bytes` says, if it says anything.
pub(crate) fn of(fields: &Fields, bytes: &[u8]) -> Option<Duration> {
    parse(fields.named(b"retry-after", bytes)?, Timestamp::now())
}

/// Seconds, or a date, which may have passed.
fn parse(value: &[u8], now: Timestamp) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim_ascii();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are longer than anybody waits.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let now: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        for (value, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 2 ", Some(2)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse(value.as_bytes(), now), expected.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(parse(b"\xff", now), None);
    }
}
