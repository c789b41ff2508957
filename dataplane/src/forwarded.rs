//! The `Forwarded` field (RFC 7239): read from the right, written at the right.

use std::net::IpAddr;

use http1::{Field, Fields};

use crate::client_address;

/// Walks `Forwarded` from right to left past every trusted address; the first other one is the client. Answers with the scheme that
/// the last element that was read names, too.
///
/// An element that names no address ends the walk: what stands left of it was not written by a proxy that can be trusted.
pub(crate) fn walk(
    peer: IpAddr,
    fields: &Fields,
    bytes: &[u8],
    is_trusted: impl Fn(IpAddr) -> bool,
) -> (IpAddr, Option<&'static str>) {
    let (mut address, mut scheme) = (peer, None);
    for line in fields.all(Field::Forwarded).rev() {
        for element in elements_from_right(line.value.of(bytes)) {
            let Some(Element { client, proto }) = element.and_then(read) else { return (address, scheme) };
            (address, scheme) = (client, proto);
            if !is_trusted(address) {
                return (address, scheme);
            }
        }
    }
    (address, scheme)
}

/// Writes the element for this hop, as a line of its own.
pub(crate) fn write(out: &mut Vec<u8>, peer: &str, host: &str, scheme: &str) {
    out.extend_from_slice(b"Forwarded: for=");
    // RFC 7239 §6: IPv6 in brackets, and so quoted.
    let (open, close) = if peer.contains(':') { ("\"[", "]\"") } else { ("", "") };
    for part in [open, peer, close] {
        out.extend_from_slice(part.as_bytes());
    }
    if !host.is_empty() && !host.contains(['"', '\\']) {
        for part in [";host=\"", host, "\""] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    for part in [";proto=", scheme, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// The elements of a list from right to left, then none for one whose quotes are not in order.
///
/// Quotes are looked at from the right, too: whatever a client wrote at the left, a quote without its end for one, changes nothing about what
/// a proxy added behind it.
fn elements_from_right(list: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest.take()?;
        let mut is_quoted = false;
        for at in (0..list.len()).rev() {
            match list[at] {
                b'"' => {
                    let escapes = list[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
                    // An escaped quote neither begins nor ends a text; outside of one there are no escapes.
                    match (is_quoted, escapes % 2 == 1) {
                        (true, true) => {}
                        (false, true) => return Some(None),
                        (_, false) => is_quoted = !is_quoted,
                    }
                }
                b',' if !is_quoted => {
                    rest = Some(&list[..at]);
                    return Some(Some(&list[at + 1..]));
                }
                _ => {}
            }
        }
        Some(Some(list).filter(|_| !is_quoted))
    })
}

struct Element {
    client: IpAddr,
    proto: Option<&'static str>,
}

/// Reads an element whose quotes are in order. None if it does not name an address, or names two.
fn read(element: &[u8]) -> Option<Element> {
    let (mut client, mut proto) = (None, None);
    let mut is_quoted = false;
    let pairs = element.split(|byte| {
        is_quoted ^= *byte == b'"';
        *byte == b';' && !is_quoted
    });
    for pair in pairs {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair[..at].trim_ascii(), unquoted(pair[at + 1..].trim_ascii())?);
        if name.eq_ignore_ascii_case(b"for") {
            let address = client_address::parse(value)?;
            if client.replace(address).is_some() {
                return None;
            }
        } else if name.eq_ignore_ascii_case(b"proto") && proto.replace(client_address::scheme(value)).is_some() {
            return None;
        }
    }
    Some(Element { client: client?, proto: proto.flatten() })
}

/// The text of a value. Neither an address nor a scheme needs an escape, so a text with one is none.
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    let text = match value {
        [b'"', text @ .., b'"'] => text,
        bare => bare,
    };
    (!text.iter().any(|byte| matches!(byte, b'"' | b'\\'))).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(lines: &[&str]) -> (String, Option<&'static str>) {
        let lines: String = lines.iter().map(|line| format!("Forwarded: {line}\r\n")).collect();
        let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").into_bytes();
        let mut head = http1::RequestHead::default();
        head.parse(&bytes, &http1::HeadLimits::default()).unwrap();
        let is_trusted =
            |address: IpAddr| address.to_string().starts_with("10.") || address.to_string().starts_with("fd00:");
        let (address, scheme) = walk("10.0.0.1".parse().unwrap(), &head.fields, &bytes, is_trusted);
        (address.to_string(), scheme)
    }

    #[test]
    fn the_walk_ends_at_the_first_address_that_is_not_trusted() {
        for (lines, client, scheme) in [
            (vec![], "10.0.0.1", None),
            (vec!["for=203.0.113.9"], "203.0.113.9", None),
            (vec!["For=\"203.0.113.9:80\" ; Proto=HTTPS;by=_x"], "203.0.113.9", Some("https")),
            (vec!["for=\"[2001:db8::1]:80\";proto=\"http\""], "2001:db8::1", Some("http")),
            (vec!["for=6.6.6.6;proto=https, for=203.0.113.9;proto=http, for=10.0.0.2"], "203.0.113.9", Some("http")),
            (vec!["for=6.6.6.6", "for=203.0.113.9,for=10.0.0.3", "for=10.0.0.2"], "203.0.113.9", None),
            (vec!["for=10.0.0.3, for=10.0.0.2;proto=https"], "10.0.0.3", None),
            (vec!["for=6.6.6.6, for=unknown"], "10.0.0.1", None),
            (vec!["for=6.6.6.6, for=_hidden, for=10.0.0.2"], "10.0.0.2", None),
            (vec!["for=6.6.6.6, proto=https"], "10.0.0.1", None),
            (vec!["for=6.6.6.6;for=203.0.113.9"], "10.0.0.1", None),
            (vec!["for=203.0.113.9;proto=http;proto=https"], "10.0.0.1", None),
            (vec!["for=203.0.113.9;proto=gopher"], "203.0.113.9", None),
            (vec!["for=203.0.113.9;"], "10.0.0.1", None),
            (vec!["for=6.6.6.6,"], "10.0.0.1", None),
            (vec![""], "10.0.0.1", None),
            // What a client writes does not reach into what a proxy adds.
            (vec!["for=\"6.6.6.6, for=203.0.113.9"], "203.0.113.9", None),
            (vec!["for=6.6.6.6\\, for=203.0.113.9"], "203.0.113.9", None),
            (vec!["for=\"6.6.6.6\\\", for=203.0.113.9"], "203.0.113.9", None),
            (vec!["for=x;host=\"a, for=6.6.6.6\", for=10.0.0.2"], "10.0.0.2", None),
            (vec!["for=203.0.113.9;host=\"a;for=6.6.6.6, b\""], "203.0.113.9", None),
            (vec!["for=203.0.113.9;host=\"a\\\";for=6.6.6.6\""], "10.0.0.1", None),
            (vec!["for=\"203.0.113.\\9\""], "10.0.0.1", None),
        ] {
            assert_eq!(found(&lines), (client.to_owned(), scheme), "{lines:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for peer in ["203.0.113.9", "2001:db8::1"] {
            for (scheme, host) in [("http", "h:81"), ("https", ""), ("https", "[::1]:80")] {
                let mut out = Vec::new();
                write(&mut out, peer, host, scheme);
                let line = String::from_utf8(out).unwrap();
                let value = line.strip_prefix("Forwarded: ").unwrap().trim_end();
                assert_eq!(found(&[value]), (peer.to_owned(), Some(scheme)), "{line}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_stands_at_the_left_changes_nothing(left in "[ -~]{0,40}") {
            prop_assert_eq!(found(&[&format!("{left}, for=203.0.113.9;proto=https")]).0, "203.0.113.9");
        }
    }
}
