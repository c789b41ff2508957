//! The head of a request as the request path sees it: places in the client's input, canonical host and path.

use std::{borrow::Cow, net::IpAddr};

use http1::{Field, Fields, Form, Method, RequestBody, RequestHead, Version};
use shared::{
    config::PathStyle,
    routing::{RequestView, host, path},
};

use crate::error::{Reason, Refusal};

/// A request whose host and path have one reading. Borrows from the client's input.
pub(crate) struct Request<'a> {
    /// The parsed head.
    pub(crate) head: &'a RequestHead,
    /// What it was parsed from.
    pub(crate) bytes: &'a [u8],
    /// The method as sent.
    pub(crate) method: &'a str,
    /// Host and port as the client wrote them; empty if it named none.
    pub(crate) authority: &'a str,
    /// The host in normal form: lower case, no port, no trailing dot; empty if the client named none.
    pub(crate) host: Cow<'a, str>,
    /// The canonical path, or `*`.
    pub(crate) path: Cow<'a, str>,
    /// The query without `?`, as sent.
    pub(crate) query: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// Reads the request that `head` describes in `bytes`.
    ///
    /// # Errors
    /// Host or path cannot be read in one way, or the method is never forwarded.
    pub(crate) fn read(head: &'a RequestHead, bytes: &'a [u8], paths: PathStyle) -> Result<Self, Refusal> {
        if head.method == Method::Connect {
            return Err(Refusal { reason: Reason::MethodRefused, detail: "connect" });
        }
        // RFC 9110 §9.3.8: it has none, and not every server reads one that comes all the same.
        if head.method == Method::Trace && head.body != RequestBody::None {
            return Err(Refusal::malformed("trace_with_body"));
        }
        // An absolute target names the host, whatever the field says (RFC 9112 §3.2.2); two that differ are two readings.
        if head.host_contradicts_target {
            return Err(Refusal::malformed("host_contradicts_target"));
        }
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).map_err(|_| Refusal::malformed("not_text"));
        let method = head.method.name().map_or_else(|| text(head.method_name.of(bytes)), Ok)?;
        let query = head.target.query.map(|query| text(query.of(bytes))).transpose()?;
        if let Some((host, path)) = plain_texts(head, bytes) {
            let (authority, host, path) = (host, Cow::Borrowed(host), Cow::Borrowed(path));
            return Ok(Self { head, bytes, method, authority, host, path, query });
        }
        let authority = match head.target.form {
            Form::Absolute(_) => head.target.authority.of(bytes),
            _ => head.host.map_or(&[][..], |host| host.of(bytes)),
        };
        // An empty Host field is what a client without a host sends (RFC 9112 §3.2).
        let host = if authority.is_empty() { Cow::Borrowed("") } else { host::parse(authority)?.host };
        let path = match head.target.form {
            Form::Asterisk => Cow::Borrowed("*"),
            // What is asked of the server as a whole (RFC 9112 §3.2.4).
            Form::Absolute(_)
                if head.method == Method::Options && head.target.whole.end == head.target.authority.end =>
            {
                Cow::Borrowed("*")
            }
            _ if head.target.path.is_empty() => Cow::Borrowed("/"),
            _ => path::canonicalize_in(head.target.path.of(bytes), paths)?,
        };
        let authority = match host {
            // As mostly: no port, lower case.
            Cow::Borrowed(host) if host.len() == authority.len() => host,
            _ => text(authority)?,
        };
        Ok(Self { head, bytes, method, authority, host, path, query })
    }

    /// Whether the request line can be sent on as it came.
    pub(crate) fn line_is_canonical(&self) -> bool {
        matches!(self.path, Cow::Borrowed(_))
            && self.head.target.form == Form::Origin
            && self.head.version == Version::Http11
    }
}

/// How far from the first byte host and path end that are looked at together.
const NEAR: u32 = 256;

/// Host and path if they are as most are: then nothing in them is to be changed, and one look for both tells that they are text.
fn plain_texts<'a>(head: &RequestHead, bytes: &'a [u8]) -> Option<(&'a str, &'a str)> {
    let (host, path) = (head.host?, head.target.path);
    let is_plain = head.target.form == Form::Origin
        && host.end <= NEAR
        && path.end <= host.start
        && host::is_plain(host.of(bytes))
        && path::is_plain(path.of(bytes));
    if !is_plain {
        return None;
    }
    // What stands between them need not be text; then they are looked at one by one.
    let near = std::str::from_utf8(&bytes[..host.end as usize]).ok()?;
    Some((near.get(host.range())?, near.get(path.range())?))
}

/// A request as the routing index asks about it.
pub(crate) struct RoutedRequest<'a> {
    /// The request.
    pub(crate) request: &'a Request<'a>,
    /// Who sent it, past trusted proxies.
    pub(crate) client: IpAddr,
    /// The listener that it came in by.
    pub(crate) listener: &'a str,
    /// Whether the client came by HTTPS.
    pub(crate) is_https: bool,
}

impl<'a> RoutedRequest<'a> {
    /// Names and values of the cookies (RFC 6265 §4.2.1).
    pub(crate) fn cookies(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let request = self.request;
        let lines = request.head.fields.all(Field::Cookie);
        let pairs = lines.flat_map(move |line| line.value.of(request.bytes).split(|byte| *byte == b';'));
        pairs.filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            Some((pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()))
        })
    }
}

impl RequestView for RoutedRequest<'_> {
    fn host(&self) -> &str {
        &self.request.host
    }

    fn path(&self) -> &str {
        &self.request.path
    }

    fn query(&self) -> Option<&str> {
        self.request.query
    }

    fn method(&self) -> &str {
        self.request.method
    }

    fn client(&self) -> IpAddr {
        self.client
    }

    fn listener(&self) -> &str {
        self.listener
    }

    fn any_header(&self, name: &str, check: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let fields: &Fields = &self.request.head.fields;
        let bytes = self.request.bytes;
        fields
            .lines()
            .iter()
            .filter(|line| line.name.len() == name.len() && line.name.of(bytes).eq_ignore_ascii_case(name.as_bytes()))
            .any(|line| check(line.value.of(bytes)))
    }
}
