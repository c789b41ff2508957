//! What the backend learns about the client: `X-Forwarded-*`, `X-Request-Id` and `Host`.

use std::net::IpAddr;

use shared::value::HostPolicy;

use crate::head::RequestHead;

/// Writes the forwarding fields of a request that goes to a backend.
///
/// A trusted peer's `X-Forwarded-For` is continued and its `-Proto` and `-Host` are kept; anybody else's are replaced.
/// Underscore spellings of them are dropped, because some servers read `X_Forwarded_For` as `X-Forwarded-For`.
pub(crate) fn write(head: &mut RequestHead, peer: IpAddr, peer_is_trusted: bool, request_id: &str) {
    head.fields.retain(|name, _| !is_look_alike(name));
    let peer = peer.to_canonical().to_string();

    let mut chain = Vec::new();
    if peer_is_trusted {
        for value in head.fields.all(b"x-forwarded-for").filter(|value| !value.trim_ascii().is_empty()) {
            chain.extend_from_slice(value.trim_ascii());
            chain.extend_from_slice(b", ");
        }
    }
    chain.extend_from_slice(peer.as_bytes());
    head.fields.set(b"X-Forwarded-For", &chain);

    let says_scheme = |value: &[u8]| value.eq_ignore_ascii_case(b"http") || value.eq_ignore_ascii_case(b"https");
    if !peer_is_trusted || !head.fields.only(b"x-forwarded-proto").is_some_and(says_scheme) {
        head.fields.set(b"X-Forwarded-Proto", b"http");
    }
    if !peer_is_trusted || head.fields.only(b"x-forwarded-host").is_none() {
        let authority = head.authority.clone();
        head.fields.remove(b"x-forwarded-host");
        if !authority.is_empty() {
            head.fields.push(b"X-Forwarded-Host", authority.as_bytes());
        }
    }
    head.fields.set(b"X-Request-Id", request_id.as_bytes());
}

/// The `Host` that the backend sees.
pub(crate) fn host<'a>(policy: &'a HostPolicy, head: &'a RequestHead, backend: &'a str) -> &'a str {
    match policy {
        // An HTTP/1.0 client may have named no host; the backend still needs one.
        HostPolicy::Preserve if head.authority.is_empty() => backend,
        HostPolicy::Preserve => &head.authority,
        HostPolicy::Backend => backend,
        HostPolicy::Literal(host) => host,
    }
}

fn is_look_alike(name: &[u8]) -> bool {
    const TRUSTED: [&[u8]; 4] = [b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id"];
    let same = |a: &u8, b: &u8| a.to_ascii_lowercase() == *b || (*a == b'_' && *b == b'-');
    name.contains(&b'_')
        && TRUSTED
            .iter()
            .any(|trusted| trusted.len() == name.len() && name.iter().zip(*trusted).all(|(a, b)| same(a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Fields;

    fn written(lines: &[(&str, &str)], trusted: bool) -> Vec<String> {
        let mut fields = Fields::default();
        for (name, value) in lines {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        let mut head = RequestHead {
            method: "GET".into(),
            authority: "shop.example:81".into(),
            host: "shop.example".into(),
            path: "/".into(),
            query: None,
            fields,
        };
        write(&mut head, "192.0.2.1".parse().unwrap(), trusted, "id");
        head.fields.iter().map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii())).collect()
    }

    #[test]
    fn an_untrusted_peer_says_nothing_about_the_client() {
        let sent = [
            ("X-Forwarded-For", "1.1.1.1"),
            ("x-forwarded-proto", "https"),
            ("X-Forwarded-Host", "evil"),
            ("X_Forwarded_For", "1.1.1.1"),
            ("X-Request-Id", "theirs"),
            ("x-Forwarded_proto", "https"),
        ];
        assert_eq!(
            written(&sent, false),
            [
                "X-Forwarded-For: 192.0.2.1",
                "X-Forwarded-Proto: http",
                "X-Forwarded-Host: shop.example:81",
                "X-Request-Id: id"
            ]
        );
    }

    #[test]
    fn a_trusted_peer_is_continued() {
        let sent = [
            ("X-Forwarded-For", "1.1.1.1"),
            ("X-Forwarded-For", "2.2.2.2"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "public"),
        ];
        assert_eq!(
            written(&sent, true),
            [
                "X-Forwarded-Proto: https",
                "X-Forwarded-Host: public",
                "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.1",
                "X-Request-Id: id"
            ]
        );
    }
}
