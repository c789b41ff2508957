//! gRPC over HTTP/2: how long a call may take, and the proxy's own answers as a status that gRPC clients read.
//!
//! Source: "gRPC over HTTP2" of the gRPC documentation (`PROTOCOL-HTTP2.md`, `http-grpc-status-mapping.md`).

use std::{fmt::Write, time::Duration};

use http1::{Field, Fields, write};

use crate::error::Reason;

/// What a request says that is a gRPC call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// How long its client waits.
    pub(crate) timeout: Option<Duration>,
}

impl Call {
    /// The call that a request makes of which `value` gives the value of a field by its name: its type is `application/grpc`, maybe with
    /// `+proto` or a parameter.
    pub(crate) fn of<'a>(value: impl Fn(&[u8]) -> Option<&'a [u8]>) -> Option<Self> {
        let rest = value(b"content-type")?.strip_prefix(b"application/grpc")?;
        matches!(rest.first(), None | Some(b'+' | b';'))
            .then(|| Self { timeout: value(b"grpc-timeout").and_then(timeout) })
    }
}

/// What a request says that is a gRPC-Web call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebCall {
    /// Its type, which is that of the answer, too.
    pub(crate) kind: Vec<u8>,
    /// How long its client waits.
    pub(crate) timeout: Option<Duration>,
}

impl WebCall {
    /// The call that a request makes of which `value` gives the value of a field by its name: its type is `application/grpc-web` or
    /// `application/grpc-web-text`, maybe with `+proto` or a parameter.
    pub(crate) fn of<'a>(value: impl Fn(&[u8]) -> Option<&'a [u8]>) -> Option<Self> {
        let kind = value(b"content-type")?;
        let rest = kind.strip_prefix(b"application/grpc-web")?;
        let rest = rest.strip_prefix(b"-text").unwrap_or(rest);
        matches!(rest.first(), None | Some(b'+' | b';'))
            .then(|| Self { kind: kind.to_vec(), timeout: value(b"grpc-timeout").and_then(timeout) })
    }
}

/// The fields `grpc-status` and `grpc-message` that stand for `reason`.
pub(crate) fn status_of(reason: Reason) -> (u8, String) {
    (code(reason), percent_encoded(&format!("{}: {}", reason.word(), reason.sentence())))
}

/// How long the client waits for the whole call, as `grpc-timeout` says: at most eight digits and a unit.
///
/// One that is malformed says nothing; the backend refuses it.
fn timeout(value: &[u8]) -> Option<Duration> {
    let value = std::str::from_utf8(value).ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The status in the head of a response to a call, of gRPC or of gRPC-Web, if it says one that is no success. Its fields are places in
/// `bytes`.
pub(crate) fn status(fields: &Fields, bytes: &[u8]) -> Option<u8> {
    let kind = fields.value(Field::ContentType, bytes)?;
    if !kind.starts_with(b"application/grpc") {
        return None;
    }
    let code = std::str::from_utf8(fields.named(b"grpc-status", bytes)?).ok()?.parse().ok()?;
    (code != 0).then_some(code)
}

/// The code of the status that stands for `reason`.
const fn code(reason: Reason) -> u8 {
    const CANCELLED: u8 = 1;
    const DEADLINE_EXCEEDED: u8 = 4;
    const PERMISSION_DENIED: u8 = 7;
    const RESOURCE_EXHAUSTED: u8 = 8;
    const UNIMPLEMENTED: u8 = 12;
    const INTERNAL: u8 = 13;
    const UNAVAILABLE: u8 = 14;
    match reason {
        Reason::ClientGone | Reason::ClientTooSlow => CANCELLED,
        Reason::TotalTimeout => DEADLINE_EXCEEDED,
        Reason::IpDenied => PERMISSION_DENIED,
        Reason::HeadTooLarge | Reason::BodyTooLarge | Reason::TargetTooLong => RESOURCE_EXHAUSTED,
        Reason::NoRoute | Reason::MethodRefused | Reason::NotImplemented => UNIMPLEMENTED,
        Reason::NoBackend
        | Reason::BreakerOpen
        | Reason::ConnectionsExhausted
        | Reason::QueueFull
        | Reason::Maintenance
        | Reason::ConnectFailed
        | Reason::ConnectTimeout
        | Reason::UpstreamReset
        | Reason::BackendError
        | Reason::UpstreamTimeout
        | Reason::RequestTimeout => UNAVAILABLE,
        _ => INTERNAL,
    }
}

/// Writes the lines of a response of trailers only: what a gRPC client is told that no backend answers.
pub(crate) fn write_refusal(out: &mut Vec<u8>, reason: Reason) {
    let (status, message) = status_of(reason);
    write::line(out, b"Content-Type", b"application/grpc");
    write::line(out, b"Grpc-Status", status.to_string().as_bytes());
    write::line(out, b"Grpc-Message", message.as_bytes());
}

/// As `grpc-message` is written: visible ASCII but `%`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_their_content_type() {
        for (kind, is) in [
            ("application/grpc", [true, false]),
            ("application/grpc+proto", [true, false]),
            ("application/grpc;charset=x", [true, false]),
            ("application/grpc-web", [false, true]),
            ("application/grpc-web-text+proto", [false, true]),
            ("application/grpc-webs", [false, false]),
            ("application/json", [false, false]),
        ] {
            let value = |name: &[u8]| match name {
                b"content-type" => Some(kind.as_bytes()),
                b"grpc-timeout" => Some(&b"2S"[..]),
                _ => None,
            };
            assert_eq!([Call::of(value).is_some(), WebCall::of(value).is_some()], is, "{kind}");
            let timeout =
                Call::of(value).and_then(|call| call.timeout).or(WebCall::of(value).and_then(|call| call.timeout));
            assert_eq!(timeout, (is != [false, false]).then_some(Duration::from_secs(2)), "{kind}");
        }
        assert_eq!((Call::of(|_| None), WebCall::of(|_| None)), (None, None));
    }

    fn said(lines: &str) -> Option<u8> {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let mut response = http1::ResponseHead::default();
        let asked = http1::Asked { method: http1::Method::Post, upgrade: false };
        response.parse(head.as_bytes(), asked, &http1::HeadLimits::default()).unwrap();
        status(&response.fields, head.as_bytes())
    }

    #[test]
    fn statuses_are_those_of_calls_that_failed() {
        for (kind, text, expected) in [
            ("application/grpc", "14", Some(14)),
            ("application/grpc+proto", "5", Some(5)),
            ("application/grpc-web+proto", "14", Some(14)),
            ("application/grpc", "0", None),
            ("application/grpc", "256", None),
            ("application/grpc", "-1", None),
            ("application/grpc", "", None),
            ("application/json", "14", None),
        ] {
            let lines = format!("Content-Type: {kind}\r\nGrpc-Status: {text}\r\n");
            assert_eq!(said(&lines), expected, "{kind} {text}");
        }
        assert_eq!(said("Content-Type: application/grpc\r\n"), None);
        assert_eq!(said("Grpc-Status: 14\r\n"), None);
    }

    #[test]
    fn timeouts_are_read_in_every_unit_and_malformed_ones_are_none() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("250m", Some(Duration::from_millis(250))),
            ("10u", Some(Duration::from_micros(10))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("0S", Some(Duration::ZERO)),
            ("100000000S", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("-1S", None),
            ("1x", None),
            ("1 S", None),
        ] {
            assert_eq!(timeout(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn every_reason_is_a_status() {
        for reason in Reason::ALL {
            let (status, message) = status_of(reason);
            assert_ne!(status, 0, "{reason:?}");
            assert!(message.starts_with(reason.word()));
            let mut lines = Vec::new();
            write_refusal(&mut lines, reason);
            let expected =
                format!("Content-Type: application/grpc\r\nGrpc-Status: {status}\r\nGrpc-Message: {message}\r\n");
            assert_eq!(String::from_utf8(lines).unwrap(), expected);
        }
        assert_eq!(percent_encoded("a% b\u{e9}\n"), "a%25 b%C3%A9%0A");
    }
}
