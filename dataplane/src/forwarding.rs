//! The request's head as the backend gets it: `Host`, `X-Forwarded-*`, `Via` and `X-Request-Id`, and nothing hop-by-hop.

use std::borrow::Cow;

use http1::{Field, Fields, Line, RequestBody, Upgrade, write};
use shared::{
    config::{ClientField, Forwarding, ForwardingMode},
    value::HostPolicy,
};

use crate::{
    forwarded,
    head::Request,
    header_rules::HeaderRules,
    protocol::Protocol,
    request_id::{RequestId, RequestIds},
    rewrite::Target,
    template::Facts,
};

/// What the head says about this hop.
pub(crate) struct Hop<'a> {
    /// The peer's address as text.
    pub(crate) peer: &'a str,
    /// Whether what the peer says about the client is believed.
    pub(crate) peer_is_trusted: bool,
    /// What becomes of the fields that tell it.
    pub(crate) forwarding: &'a Forwarding,
    /// The scheme by which the peer came.
    pub(crate) peer_scheme: &'static str,
    /// The scheme by which the client came.
    pub(crate) scheme: &'static str,
    /// The port that the peer connected to.
    pub(crate) port: u16,
    /// The version in which the request came.
    pub(crate) protocol: Protocol,
    /// The request's id.
    pub(crate) request_id: &'a RequestId,
    /// What the settings say of ids.
    pub(crate) request_ids: &'a RequestIds,
    /// Which `Host` the backend sees.
    pub(crate) host: &'a HostPolicy,
    /// What a `Host` field that names the backend says.
    pub(crate) backend: &'a str,
    /// Path and query, if they are not those that came.
    pub(crate) target: Option<Target<'a>>,
    /// What the route makes of the header fields, and what is known of the request for it.
    pub(crate) rules: Option<(&'a HeaderRules, &'a Facts<'a>)>,
}

/// Writes the head of `request` into `out`, which is cleared.
///
/// What a trusted peer says about the client is continued as the listener's `forwarding` says; what anybody else says is left out.
pub(crate) fn write(out: &mut Vec<u8>, request: &Request<'_>, hop: &Hop<'_>) {
    out.clear();
    let Request { head, bytes, .. } = request;
    if let Some(target) = &hop.target {
        write::request_line(out, request.method.as_bytes(), target.path.as_bytes(), target.query.as_deref());
    } else if request.line_is_canonical() {
        out.extend_from_slice(head.line.of(bytes));
    } else {
        write::request_line(out, request.method.as_bytes(), request.path.as_bytes(), request.query.map(str::as_bytes));
    }
    let host = host(request, hop);
    write::line_from(out, b"Host: ", host.as_bytes());

    let modes = hop.forwarding;
    let goes = |line: &Line| match line.resembles.unwrap_or(line.field) {
        _ if line.removed => true,
        Field::Host => true,
        Field::MaxForwards => head.max_forwards.is_some(),
        Field::Via => line.resembles.is_none() && !modes.via.keeps(),
        Field::Other => hop.request_ids.renamed().is(line.name.of(bytes)),
        field if !is_about_client(field) => false,
        _ if !hop.peer_is_trusted || line.resembles.is_some() => true,
        Field::XForwardedFor => modes.x_forwarded_for != ForwardingMode::Keep,
        Field::XForwardedProto => modes.x_forwarded_proto != ForwardingMode::Keep,
        Field::XForwardedHost => modes.x_forwarded_host != ForwardingMode::Keep,
        Field::XForwardedPort => modes.x_forwarded_port != ForwardingMode::Keep,
        Field::Forwarded => !modes.forwarded.keeps(),
        Field::XRequestId => hop.request_ids.is_usual(),
        _ => false,
    };
    match hop.rules {
        None => kept_lines(out, &head.fields, bytes, goes),
        Some((rules, facts)) => {
            let goes = |line: &Line| goes(line) || rules.removes(line.name.of(bytes));
            kept_lines(out, &head.fields, bytes, goes);
            rules.write_request(out, &head.fields, bytes, facts, |line| !goes(line));
        }
    }

    about_client(out, request, hop);
    hop.request_ids.renamed().write(out, hop.request_id);
    if modes.via.writes() {
        out.extend_from_slice(via(hop.protocol));
    }
    // RFC 9110 §7.6.2; with 0 the request does not get here.
    if let Some(hops) = head.max_forwards {
        write::line(out, b"Max-Forwards", hops.saturating_sub(1).to_string().as_bytes());
    }
    if head.body == RequestBody::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    match head.upgrade {
        Upgrade::To(protocols) => {
            out.extend_from_slice(b"Connection: upgrade\r\n");
            write::line(out, b"Upgrade", protocols.of(bytes));
        }
        // gRPC servers ask for it (RFC 9110 §10.1.4).
        _ if head.takes_trailers => out.extend_from_slice(b"TE: trailers\r\nConnection: TE\r\n"),
        _ => {}
    }
    write::end(out);
}

/// Writes what is known of the client.
fn about_client(out: &mut Vec<u8>, request: &Request<'_>, hop: &Hop<'_>) {
    let Request { head, bytes, .. } = request;
    let modes = hop.forwarding;
    let continues = |mode: ForwardingMode| hop.peer_is_trusted && mode == ForwardingMode::Append;
    if modes.x_forwarded_for.writes() {
        out.extend_from_slice(b"X-Forwarded-For: ");
        if continues(modes.x_forwarded_for) {
            for line in head.fields.all(Field::XForwardedFor).filter(|line| !line.value.is_empty()) {
                out.extend_from_slice(line.value.of(bytes));
                out.extend_from_slice(b", ");
            }
        }
        out.extend_from_slice(hop.peer.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if modes.x_forwarded_proto.writes() {
        let scheme = if continues(modes.x_forwarded_proto) { hop.scheme } else { hop.peer_scheme };
        write::line_from(out, b"X-Forwarded-Proto: ", scheme.as_bytes());
    }
    if modes.x_forwarded_host.writes() {
        // Who names the client in another field passes this one on as the client wrote it.
        let is_said = continues(modes.x_forwarded_host) && modes.client == ClientField::XForwardedFor;
        let said = only(&head.fields, Field::XForwardedHost, bytes).filter(|host| is_said && !host.is_empty());
        let host = said.unwrap_or(request.authority.as_bytes());
        if !host.is_empty() {
            write::line_from(out, b"X-Forwarded-Host: ", host);
        }
    }
    let is_set = |name: &str| hop.rules.is_some_and(|(rules, _)| rules.removes(name.as_bytes()));
    if modes.x_forwarded_port.writes() && !is_set("x-forwarded-port") {
        let is_port = |text: &&[u8]| std::str::from_utf8(text).is_ok_and(|text| text.parse::<u16>().is_ok());
        let is_said = continues(modes.x_forwarded_port) && modes.client == ClientField::XForwardedFor;
        match only(&head.fields, Field::XForwardedPort, bytes).filter(|_| is_said).filter(is_port) {
            Some(port) => write::line(out, b"X-Forwarded-Port", port),
            None => {
                out.extend_from_slice(b"X-Forwarded-Port: ");
                write::decimal(out, hop.port.into());
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    if modes.forwarded.writes() && !is_set("forwarded") {
        forwarded::write(out, hop.peer, request.authority, hop.peer_scheme);
    }
}

/// The line that says that a message came by `protocol` (RFC 9110 §7.6.3).
pub(crate) const fn via(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Http10 => b"Via: 1.0 tidegate\r\n",
        Protocol::Http11 => b"Via: 1.1 tidegate\r\n",
        Protocol::Http2 => b"Via: 2 tidegate\r\n",
    }
}

/// Copies the lines for which `goes` does not hold, in runs.
fn kept_lines(out: &mut Vec<u8>, fields: &Fields, bytes: &[u8], goes: impl Fn(&Line) -> bool) {
    let lines = fields.lines();
    let mut start = None;
    for line in lines {
        match (goes(line), start) {
            (false, None) => start = Some(line.name.start as usize),
            (true, Some(from)) => {
                out.extend_from_slice(&bytes[from..line.name.start as usize]);
                start = None;
            }
            _ => {}
        }
    }
    if let (Some(from), Some(last)) = (start, lines.last()) {
        // Up to and with the line break, behind white space that the value does not have.
        let end = last.value.end as usize;
        let rest = bytes[end..].iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        out.extend_from_slice(&bytes[from..end + rest]);
    }
}

/// The `Host` that the backend sees.
fn host<'a>(request: &Request<'a>, hop: &Hop<'a>) -> Cow<'a, str> {
    Cow::Borrowed(match hop.host {
        // An HTTP/1.0 client may have named no host; the backend still needs one.
        HostPolicy::Preserve if request.authority.is_empty() => hop.backend,
        HostPolicy::Preserve => request.authority,
        HostPolicy::Backend => hop.backend,
        HostPolicy::Literal(host) => host,
    })
}

/// The value of the only line with `field`.
pub(crate) fn only<'a>(fields: &Fields, field: Field, bytes: &'a [u8]) -> Option<&'a [u8]> {
    if fields.is_repeated(field) { None } else { fields.value(field, bytes) }
}

/// Whether a field says who the client is, which only a trusted peer may. Names that merely look like it go with it, because some
/// servers read `X_Forwarded_For` as `X-Forwarded-For`.
pub(crate) fn is_about_client(field: Field) -> bool {
    matches!(
        field,
        Field::XForwardedFor
            | Field::XForwardedProto
            | Field::XForwardedHost
            | Field::XForwardedPort
            | Field::XRealIp
            | Field::Forwarded
            | Field::XRequestId
    )
}

#[cfg(test)]
mod tests {
    use http1::{HeadLimits, RequestHead};
    use shared::config::PathStyle;

    use super::*;

    fn written(request: &str, trusted: bool) -> String {
        written_with(request, trusted, &Forwarding::default())
    }

    fn written_with(request: &str, trusted: bool, forwarding: &Forwarding) -> String {
        let bytes = request.as_bytes();
        let mut head = RequestHead::default();
        head.parse(bytes, &HeadLimits::default()).unwrap();
        let hop = Hop {
            peer: "192.0.2.1",
            peer_is_trusted: trusted,
            forwarding,
            peer_scheme: "http",
            scheme: if trusted { "https" } else { "http" },
            port: 8080,
            protocol: Protocol::Http11,
            request_id: &RequestId::Given(b"id".as_slice().into()),
            request_ids: &RequestIds::compile(&shared::config::RequestId::default()),
            host: &HostPolicy::Preserve,
            backend: "127.0.0.1:9001",
            target: None,
            rules: None,
        };
        let mut out = Vec::new();
        write(&mut out, &Request::read(&head, bytes, PathStyle::default()).unwrap(), &hop);
        String::from_utf8(out).unwrap()
    }

    const OURS: &str = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h:81\r\nX-Request-Id: id\r\nVia: 1.1 tidegate\r\n";

    #[test]
    fn what_is_sent_on_keeps_order_and_spelling() {
        let sent = written(
            "GET /a HTTP/1.1\r\nX-One:  1 \r\nHost: h:81\r\nx-TWO: 2\r\nConnection: close, X-Three\r\nX-Three: 3\r\nX-Four: 4\t\r\n\r\n",
            false,
        );
        assert_eq!(
            sent,
            format!("GET /a HTTP/1.1\r\nHost: h:81\r\nX-One:  1 \r\nx-TWO: 2\r\nX-Four: 4\t\r\n{OURS}\r\n")
        );
    }

    #[test]
    fn an_untrusted_peer_says_nothing_about_the_client() {
        let sent = written(
            "GET / HTTP/1.1\r\nHost: h:81\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-proto: https\r\nX-Forwarded-Host: evil\r\n\
             X_Forwarded_For: 1.1.1.1\r\nX-Request-Id: theirs\r\nx-Forwarded_proto: https\r\nX-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\n\
             X-Forwarded-Port: 1\r\nx_real_ip: 1\r\n\r\n",
            false,
        );
        assert_eq!(sent, format!("GET / HTTP/1.1\r\nHost: h:81\r\n{OURS}\r\n"));
    }

    #[test]
    fn a_trusted_peer_is_continued() {
        let sent = written(
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 2.2.2.2\r\n\
             X-Forwarded-Host: public\r\nX-Real-IP: 1.1.1.1\r\nX_Real_IP: 6.6.6.6\r\n\r\n",
            true,
        );
        assert_eq!(
            sent,
            "GET / HTTP/1.1\r\nHost: h\r\nX-Real-IP: 1.1.1.1\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.1\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-Host: public\r\nX-Request-Id: id\r\nVia: 1.1 tidegate\r\n\r\n"
        );
    }

    #[test]
    fn each_field_has_its_mode() {
        use ForwardingMode::{Append, Drop, Keep, Replace};
        let came = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: p\r\n\
            X-Forwarded-Port: 443\r\nForwarded: for=1.1.1.1\r\nVia: 1.0 x\r\n\r\n";
        let theirs = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: p\r\nX-Forwarded-Port: 443\r\n\
            Forwarded: for=1.1.1.1\r\n";
        let ours = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\nX-Forwarded-Port: 8080\r\n\
            Forwarded: for=192.0.2.1;host=\"h\";proto=http\r\n";
        let both = "X-Forwarded-For: 1.1.1.1, 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: p\r\nX-Forwarded-Port: 443\r\n\
            Forwarded: for=192.0.2.1;host=\"h\";proto=http\r\n";
        let id = "X-Request-Id: id\r\n";
        let (via_theirs, via_ours, first) = ("Via: 1.0 x\r\n", "Via: 1.1 tidegate\r\n", "Forwarded: for=1.1.1.1\r\n");
        for (mode, trusted, expected) in [
            (Append, true, format!("{first}{via_theirs}{both}{id}{via_ours}")),
            (Append, false, format!("{via_theirs}{ours}{id}{via_ours}")),
            (Replace, true, format!("{ours}{id}{via_ours}")),
            (Replace, false, format!("{ours}{id}{via_ours}")),
            (Keep, true, format!("{theirs}{via_theirs}{id}")),
            (Keep, false, format!("{via_theirs}{id}")),
            (Drop, true, id.to_owned()),
            (Drop, false, id.to_owned()),
        ] {
            let forwarding = Forwarding {
                x_forwarded_for: mode,
                x_forwarded_proto: mode,
                x_forwarded_host: mode,
                x_forwarded_port: mode,
                forwarded: mode,
                via: mode,
                ..Forwarding::default()
            };
            let written = written_with(came, trusted, &forwarding);
            assert_eq!(written, format!("GET / HTTP/1.1\r\nHost: h\r\n{expected}\r\n"), "{mode:?} {trusted}");
        }
    }

    #[test]
    fn max_forwards_counts_down_where_it_means_something() {
        for (line, sent) in [
            ("OPTIONS / HTTP/1.1\r\nHost: h:81\r\nMax-Forwards: 7\r\n\r\n", "Max-Forwards: 6\r\n"),
            ("TRACE / HTTP/1.1\r\nHost: h:81\r\nMax-Forwards: 1\r\n\r\n", "Max-Forwards: 0\r\n"),
            ("GET / HTTP/1.1\r\nHost: h:81\r\nMax-Forwards: 7\r\n\r\n", "Max-Forwards: 7\r\n"),
        ] {
            let written = written(line, false);
            assert_eq!(written.matches("Max-Forwards").count(), 1, "{written}");
            assert!(written.contains(sent), "{written}");
        }
    }

    #[test]
    fn framing_trailers_and_upgrades_are_written_anew() {
        let chunked = written(
            "POST http://h:81/x/../y?q HTTP/1.1\r\nHost: h:81\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
            false,
        );
        assert_eq!(
            chunked,
            format!(
                "POST /y?q HTTP/1.1\r\nHost: h:81\r\n{OURS}Transfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n\r\n"
            )
        );
        let upgrade = written(
            "GET / HTTP/1.1\r\nHost: h:81\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n",
            false,
        );
        assert_eq!(
            upgrade,
            format!(
                "GET / HTTP/1.1\r\nHost: h:81\r\nSec-WebSocket-Key: k\r\n{OURS}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
            )
        );
        let h2c = written(
            "GET / HTTP/1.1\r\nHost: h:81\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
            false,
        );
        assert_eq!(h2c, format!("GET / HTTP/1.1\r\nHost: h:81\r\n{OURS}\r\n"));
    }
}
