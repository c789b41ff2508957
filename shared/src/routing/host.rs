//! The authority of a request: the `Host` field or `:authority`.

use std::{borrow::Cow, net::Ipv6Addr};

use super::plain;
use crate::value::Hostname;

/// A parsed authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// Lower-case, without port and trailing dot; IPv6 in brackets, in its canonical text. Compares byte by byte with a
    /// [`Hostname`] of the configuration. Empty if the authority is.
    pub host: Cow<'a, str>,
    /// The port, if one was given.
    pub port: Option<u16>,
}

/// Why an authority is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// A port or a dot, but no host.
    #[error("the authority has no host")]
    NoHost,
    /// Longer than a DNS name can be.
    #[error("the host is longer than 253 bytes")]
    TooLong,
    /// A byte that no host name has.
    #[error("the host holds the byte 0x{byte:02x} at {at}")]
    ForbiddenByte {
        /// The byte.
        byte: u8,
        /// Its position.
        at: usize,
    },
    /// Two dots in a row, or one in front.
    #[error("the host has an empty label")]
    EmptyLabel,
    /// Brackets that hold no IPv6 address, or are not closed.
    #[error("the host is no IPv6 address in brackets")]
    BadAddress,
    /// Something else than a number from 0 to 65535 behind the colon.
    #[error("the port is not a number from 0 to 65535")]
    BadPort,
}

/// Parses `host[:port]` (RFC 9110 §7.2, RFC 3986 §3.2.2).
///
/// Stricter than the grammar, for the safety of whoever reads the host next: only letters, digits, `-`, `_` and single
/// dots. Percent-encoding and `sub-delims`, which the grammar has, would give a host a second spelling or, as a comma,
/// make one host look like two; neither stands in any DNS name. An empty authority is one without host (RFC 9112 §3.2);
/// an empty port is none. Borrows when nothing changes.
///
/// # Errors
/// Says what is wrong; the request is to be answered 400.
pub fn parse(authority: &[u8]) -> Result<Authority<'_>, AuthorityError> {
    if authority.is_empty() {
        return Ok(Authority { host: Cow::Borrowed(""), port: None });
    }
    if is_plain(authority)
        && let Ok(host) = std::str::from_utf8(authority)
    {
        return Ok(Authority { host: Cow::Borrowed(host), port: None });
    }
    parse_any(authority)
}

/// The same for an authority that is not empty, whatever stands in it.
fn parse_any(authority: &[u8]) -> Result<Authority<'_>, AuthorityError> {
    if authority[0] == b'[' {
        return parse_bracketed(authority);
    }
    // One pass: almost every other name is as it should be.
    let (mut seen, mut repeated, mut before, mut colon) = (0, 0, DOT, authority.len());
    for (at, byte) in authority.iter().enumerate() {
        let class = CLASSES[usize::from(*byte)];
        if class & COLON != 0 {
            colon = at;
            break;
        }
        seen |= class;
        repeated |= class & before;
        before = class;
    }
    let port = parse_port(&authority[colon..])?;
    let name = &authority[..colon];
    let has_empty_label = repeated & DOT != 0;
    Ok(Authority { host: parse_name(name.strip_suffix(b".").unwrap_or(name), seen, has_empty_label)?, port })
}

/// Whether `authority` is a host as most are: ASCII, without a port, and [`parse`] changes nothing.
pub fn is_plain(authority: &[u8]) -> bool {
    authority.len() <= Hostname::MAX_LEN && plain::is_host(authority)
}

/// The host of `name`, in which classes of bytes were `seen`.
fn parse_name(name: &[u8], seen: u8, has_empty_label: bool) -> Result<Cow<'_, str>, AuthorityError> {
    if name.is_empty() {
        return Err(AuthorityError::NoHost);
    }
    if name.len() > Hostname::MAX_LEN {
        return Err(AuthorityError::TooLong);
    }
    if seen & FORBIDDEN != 0 {
        return Err(first_fault(name));
    }
    if has_empty_label {
        return Err(AuthorityError::EmptyLabel);
    }
    let has_upper_case = seen & UPPER != 0;
    let name = std::str::from_utf8(name).expect("only ASCII passed");
    Ok(if has_upper_case { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) })
}

const UPPER: u8 = 1;
const DOT: u8 = 2;
const FORBIDDEN: u8 = 4;
const COLON: u8 = 8;

/// What each byte means in a name; 0 for one that simply stands.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [FORBIDDEN; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => 0,
            b'A'..=b'Z' => UPPER,
            b'.' => DOT,
            b':' => COLON,
            _ => FORBIDDEN,
        };
        byte += 1;
    }
    classes
}

/// The first fault of a name that has a forbidden byte.
#[cold]
fn first_fault(name: &[u8]) -> AuthorityError {
    let mut before = b'.';
    for (at, &byte) in name.iter().enumerate() {
        match CLASSES[usize::from(byte)] {
            DOT if before == b'.' => return AuthorityError::EmptyLabel,
            FORBIDDEN => return AuthorityError::ForbiddenByte { byte, at },
            _ => before = byte,
        }
    }
    AuthorityError::EmptyLabel
}

fn parse_bracketed(authority: &[u8]) -> Result<Authority<'_>, AuthorityError> {
    let end = authority.iter().position(|byte| *byte == b']').ok_or(AuthorityError::BadAddress)?;
    let literal = std::str::from_utf8(&authority[..=end]).map_err(|_| AuthorityError::BadAddress)?;
    let address: Ipv6Addr = literal[1..end].parse().map_err(|_| AuthorityError::BadAddress)?;
    let canonical = format!("[{address}]");
    let host = if canonical == literal { Cow::Borrowed(literal) } else { Cow::Owned(canonical) };
    Ok(Authority { host, port: parse_port(&authority[end + 1..])? })
}

/// The port of what comes after the host: nothing, or `:` and digits.
fn parse_port(rest: &[u8]) -> Result<Option<u16>, AuthorityError> {
    let Some((b':', digits)) = rest.split_first() else {
        return if rest.is_empty() { Ok(None) } else { Err(AuthorityError::BadPort) };
    };
    if digits.is_empty() {
        return Ok(None);
    }
    digits
        .iter()
        .try_fold(0u16, |port, byte| {
            let digit = byte.is_ascii_digit().then(|| u16::from(byte - b'0'))?;
            port.checked_mul(10)?.checked_add(digit)
        })
        .map(Some)
        .ok_or(AuthorityError::BadPort)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn authorities() {
        for (text, host, port) in [
            ("shop.example.com", "shop.example.com", None),
            ("Shop.Example.COM.:8080", "shop.example.com", Some(8080)),
            ("localhost:", "localhost", None),
            ("a_b-c.example:0", "a_b-c.example", Some(0)),
            ("a:00080", "a", Some(80)),
            ("127.0.0.1:65535", "127.0.0.1", Some(65535)),
            ("[::1]", "[::1]", None),
            ("[0:0::1]:80", "[::1]", Some(80)),
            ("[2001:DB8::A]:", "[2001:db8::a]", None),
            ("", "", None),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(Authority { host: host.into(), port }), "{text}");
        }
    }

    #[test]
    fn refused_authorities() {
        for (text, error) in [
            (":80", AuthorityError::NoHost),
            (".", AuthorityError::NoHost),
            (".a", AuthorityError::EmptyLabel),
            ("a..b", AuthorityError::EmptyLabel),
            ("a..", AuthorityError::EmptyLabel),
            ("user@a", AuthorityError::ForbiddenByte { byte: b'@', at: 4 }),
            ("a b", AuthorityError::ForbiddenByte { byte: b' ', at: 1 }),
            ("a%62", AuthorityError::ForbiddenByte { byte: b'%', at: 1 }),
            ("a,b", AuthorityError::ForbiddenByte { byte: b',', at: 1 }),
            ("a/b", AuthorityError::ForbiddenByte { byte: b'/', at: 1 }),
            ("\u{e4}", AuthorityError::ForbiddenByte { byte: 0xc3, at: 0 }),
            ("a\0", AuthorityError::ForbiddenByte { byte: 0, at: 1 }),
            ("a:65536", AuthorityError::BadPort),
            ("a:+80", AuthorityError::BadPort),
            ("a:80:80", AuthorityError::BadPort),
            ("::1", AuthorityError::BadPort),
            ("[::1", AuthorityError::BadAddress),
            ("[]", AuthorityError::BadAddress),
            ("[fe80::1%eth0]", AuthorityError::BadAddress),
            ("[v1.x]", AuthorityError::BadAddress),
            ("[127.0.0.1]", AuthorityError::BadAddress),
            ("[::1]a", AuthorityError::BadPort),
            ("[::1]80", AuthorityError::BadPort),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(error), "{text}");
        }
        assert_eq!(parse("a".repeat(254).as_bytes()), Err(AuthorityError::TooLong));
        assert!(parse("a".repeat(253).as_bytes()).is_ok());
    }

    #[test]
    fn canonical_authorities_are_borrowed() {
        for text in ["shop.example.com", "a.b.:80", "[::1]:80", "[::ffff:1.2.3.4]"] {
            assert!(matches!(parse(text.as_bytes()), Ok(Authority { host: Cow::Borrowed(_), .. })), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_bytes_parse_or_are_refused(raw in proptest::collection::vec(any::<u8>(), 0..40)) {
            check(&raw)?;
        }

        #[test]
        fn any_text_parses_or_is_refused(raw in "\\[?[a-fA-F0-9:._-]{0,20}\\]?\\.?(:[0-9]{0,6})?") {
            check(raw.as_bytes())?;
        }

        #[test]
        fn what_the_configuration_takes_as_host_is_what_a_request_has(text in "[a-zA-Z0-9._-]{1,12}|\\[[0-9a-fA-F:]{2,12}\\]") {
            if let Ok(host) = text.parse::<Hostname>() {
                let parsed = parse(text.as_bytes());
                prop_assert_eq!(parsed.map(|authority| authority.host.into_owned()), Ok(host.to_string()));
            }
        }
    }

    fn check(raw: &[u8]) -> Result<(), TestCaseError> {
        if is_plain(raw) {
            let host = std::str::from_utf8(raw).unwrap();
            prop_assert_eq!(parse_any(raw), Ok(Authority { host: Cow::Borrowed(host), port: None }));
        }
        let Ok(Authority { host, .. }) = parse(raw) else { return Ok(()) };
        prop_assert!(host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.[]:".contains(&b)));
        prop_assert!(!host.ends_with('.'));
        let again = parse(host.as_bytes());
        prop_assert_eq!(again, Ok(Authority { host: Cow::Borrowed(&*host), port: None }));
        Ok(())
    }
}
