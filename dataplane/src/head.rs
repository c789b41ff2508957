//! The head of a request or a response as the request path sees it: ordered header lines over byte slices.
//!
//! Both transports fill this type; routing, rules and balancing know no other.

use std::net::IpAddr;

use shared::routing::RequestView;

/// Header lines in the order and spelling in which they came, in one buffer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    start: u32,
    name: u32,
    value: u32,
}

impl Fields {
    /// Room for `lines` lines of `bytes` bytes in all.
    pub(crate) fn with_capacity(lines: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), lines: Vec::with_capacity(lines) }
    }

    /// Appends a line. Heads are capped far below 4 GiB by the transports.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.lines.push(Line { start, name: name.len() as u32, value: value.len() as u32 });
    }

    /// Replaces all lines named `name` by one, which stands at the end.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.push(name, value);
    }

    /// Removes all lines named `name`.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.retain(|line, _| !line.eq_ignore_ascii_case(name));
    }

    /// Keeps the lines for which `keep(name, value)` holds.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let bytes = &self.bytes;
        self.lines.retain(|line| keep(line.name(bytes), line.value(bytes)));
    }

    /// Names and values in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|line| (line.name(&self.bytes), line.value(&self.bytes)))
    }

    /// The values of the lines named `name`, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a [u8]) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.lines
            .iter()
            .filter(move |line| line.name(&self.bytes).eq_ignore_ascii_case(name))
            .map(|line| line.value(&self.bytes))
    }

    /// The value of the only line named `name`; `None` if there is none or more than one.
    pub(crate) fn only<'a>(&'a self, name: &'a [u8]) -> Option<&'a [u8]> {
        let mut all = self.all(name);
        let first = all.next();
        if all.next().is_some() { None } else { first }
    }
}

impl Line {
    fn name(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..][..self.name as usize]
    }

    fn value(self, bytes: &[u8]) -> &[u8] {
        &bytes[(self.start + self.name) as usize..][..self.value as usize]
    }
}

/// The head of a request, parsed and canonical.
#[derive(Clone, Debug)]
pub(crate) struct RequestHead {
    /// The method as sent.
    pub(crate) method: Box<str>,
    /// Host and port as the client wrote them: what `preserve` sends on.
    pub(crate) authority: Box<str>,
    /// The host in normal form: lower case, no port, no trailing dot; empty if the client named none.
    pub(crate) host: Box<str>,
    /// The canonical path.
    pub(crate) path: Box<str>,
    /// The query without `?`, as sent.
    pub(crate) query: Option<Box<str>>,
    /// The header lines.
    pub(crate) fields: Fields,
}

impl RequestHead {
    /// Whether a second delivery has the effect of one (RFC 9110 §9.2.2).
    pub(crate) fn is_idempotent(&self) -> bool {
        matches!(&*self.method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
    }
}

/// The head of a response.
#[derive(Clone, Debug)]
pub(crate) struct ResponseHead {
    /// 100 to 599.
    pub(crate) status: u16,
    /// The header lines.
    pub(crate) fields: Fields,
}

/// A request as the routing index asks about it.
pub(crate) struct RoutedRequest<'a> {
    /// Its head.
    pub(crate) head: &'a RequestHead,
    /// Who sent it, past trusted proxies.
    pub(crate) client: IpAddr,
    /// The listener that it came in by.
    pub(crate) listener: &'a str,
}

impl RequestView for RoutedRequest<'_> {
    fn host(&self) -> &str {
        &self.head.host
    }

    fn path(&self) -> &str {
        &self.head.path
    }

    fn query(&self) -> Option<&str> {
        self.head.query.as_deref()
    }

    fn method(&self) -> &str {
        &self.head.method
    }

    fn client(&self) -> IpAddr {
        self.client
    }

    fn listener(&self) -> &str {
        self.listener
    }

    fn any_header(&self, name: &str, check: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.head.fields.all(name.as_bytes()).any(check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_spelling_are_kept_and_names_compare_without_case() {
        let mut fields = Fields::default();
        fields.push(b"X-A", b"1");
        fields.push(b"Host", b"h");
        fields.push(b"x-a", b"2");
        assert_eq!(fields.all(b"X-a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!((fields.only(b"host"), fields.only(b"x-a"), fields.only(b"none")), (Some(&b"h"[..]), None, None));
        fields.set(b"X-A", b"3");
        let lines: Vec<_> = fields.iter().collect();
        assert_eq!(lines, [(&b"Host"[..], &b"h"[..]), (b"X-A", b"3")]);
    }
}
