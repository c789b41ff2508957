//! Texts with what is known of a request in them: compiled once, written into the bytes of a head.
//!
//! What a client sent is written so that it stays what it is meant to be: a header value holds no control bytes, a variable
//! in a path adds no query, one in a query no parameter.

use std::borrow::Cow;

use http1::Line;
use regex::Regex;
use shared::value::{Part, Template, Variable};

use crate::{
    forwarding,
    head::Request,
    header_rules::STATUS,
    request_id::{Renamed, RequestId},
};

/// What is known of a request.
pub(crate) struct Facts<'a> {
    /// The request.
    pub(crate) request: &'a Request<'a>,
    /// The client's address, past trusted proxies.
    pub(crate) client: Cow<'a, str>,
    /// The scheme by which it came.
    pub(crate) scheme: &'static str,
    /// Whether what the peer says about the client is believed.
    pub(crate) peer_is_trusted: bool,
    /// The request's id.
    pub(crate) request_id: &'a RequestId,
    /// In which field peers give it, if that is not the usual one.
    pub(crate) renamed: &'a Renamed,
    /// The listener's name.
    pub(crate) listener: &'a str,
    /// The route's name.
    pub(crate) route: &'a str,
    /// The upstream's name; empty if none is chosen.
    pub(crate) upstream: &'a str,
    /// The backend's name; empty if none is chosen.
    pub(crate) backend: &'a str,
    /// What the groups of the route's path matched.
    pub(crate) captures: Option<regex::Captures<'a>>,
}

/// Where a text is written, which decides how what a client sent is spelled there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A header value: without control bytes.
    Value,
    /// A path for a backend. What is no path is one segment of it, or a part of one.
    Path,
    /// The value of a query parameter, encoded.
    Parameter,
    /// The URL of a redirect: percent-encoded where it must be.
    Url,
}

/// A compiled template.
#[derive(Debug)]
pub(crate) struct Text {
    place: Place,
    parts: Box<[Piece]>,
}

#[derive(Debug)]
enum Piece {
    /// As it is written.
    Literal(Box<[u8]>),
    Capture(usize),
    Header(Box<str>),
    /// One that is a field of [`Facts`].
    Fact(Variable),
}

impl Text {
    /// Compiles `template` for `place`, where captures are those of `regex`.
    pub(crate) fn compile(template: &Template, place: Place, regex: Option<&Regex>) -> Self {
        let parts = template.parts().iter().map(|part| match part {
            Part::Text(text) => {
                let mut literal = Vec::new();
                place.write_literal(&mut literal, text.as_bytes());
                Piece::Literal(literal.into())
            }
            Part::Variable(Variable::Capture(group)) => Piece::Capture(index_of(group, regex)),
            Part::Variable(Variable::Header(name)) => Piece::Header(name.clone()),
            Part::Variable(variable) => Piece::Fact(variable.clone()),
        });
        Self { place, parts: parts.collect() }
    }

    /// Writes the text behind what is in `out`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, facts: &Facts<'_>) {
        self.write_with(out, facts, facts.captures.as_ref());
    }

    /// The same with captures other than those of the route's path.
    pub(crate) fn write_with(&self, out: &mut Vec<u8>, facts: &Facts<'_>, captures: Option<&regex::Captures<'_>>) {
        for piece in &self.parts {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Capture(index) => self.place.write_path(out, capture(captures, *index)),
                Piece::Header(name) => self.place.write(out, facts.header(name)),
                Piece::Fact(variable) => self.write_fact(out, variable, facts),
            }
        }
    }

    fn write_fact(&self, out: &mut Vec<u8>, variable: &Variable, facts: &Facts<'_>) {
        let request = facts.request;
        let text: &str = match variable {
            // Nothing in these has to go.
            Variable::ClientAddress if self.place == Place::Value => {
                return out.extend_from_slice(facts.client.as_bytes());
            }
            Variable::RequestId if self.place == Place::Value => {
                return out.extend_from_slice(facts.request_id.as_bytes());
            }
            Variable::ClientAddress => &facts.client,
            Variable::RequestId => return self.place.write(out, facts.request_id.as_bytes()),
            Variable::Method => request.method,
            Variable::Scheme => facts.scheme,
            Variable::Host => &request.host,
            Variable::Authority => request.authority,
            Variable::Path => return self.place.write_path(out, path(request).as_bytes()),
            Variable::Query => request.query.unwrap_or_default(),
            Variable::Uri => {
                self.place.write(out, path(request).as_bytes());
                let Some(query) = request.query else { return };
                out.push(b'?');
                query
            }
            Variable::Listener => facts.listener,
            Variable::Route => facts.route,
            Variable::Upstream => facts.upstream,
            Variable::Backend => facts.backend,
            Variable::Status => return out.push(STATUS),
            // Pieces of their own.
            Variable::Capture(_) | Variable::Header(_) => return,
        };
        self.place.write(out, text.as_bytes());
    }
}

impl Facts<'_> {
    /// The first value of a field; empty if there is none, or if it says who the client is and the peer is not believed.
    fn header(&self, name: &str) -> &[u8] {
        let Request { head, bytes, .. } = self.request;
        let line = head.fields.lines().iter().find(|line| line.name.of(bytes).eq_ignore_ascii_case(name.as_bytes()));
        match line {
            Some(line) if !self.peer_is_trusted && self.is_about_client(line) => b"",
            Some(line) => line.value.of(bytes),
            None => b"",
        }
    }

    /// Whether a line, or one that it looks like, says who the client is.
    fn is_about_client(&self, line: &Line) -> bool {
        forwarding::is_about_client(line.resembles.unwrap_or(line.field))
            || self.renamed.is(line.name.of(self.request.bytes))
    }
}

impl Place {
    /// Writes what stands in the configuration.
    pub(crate) fn write_literal(self, out: &mut Vec<u8>, text: &[u8]) {
        match self {
            // Validation has looked at it.
            Self::Path => out.extend_from_slice(text),
            _ => self.write(out, text),
        }
    }

    /// Writes a path or a part of one, whose escapes stay what they are.
    fn write_path(self, out: &mut Vec<u8>, path: &[u8]) {
        match self {
            Self::Path => out.extend_from_slice(path),
            Self::Parameter => encode(out, path, |byte| is_unreserved(byte) || matches!(byte, b'/' | b'%')),
            Self::Value | Self::Url => self.write(out, path),
        }
    }

    /// Writes `bytes` as they may stand here.
    fn write(self, out: &mut Vec<u8>, bytes: &[u8]) {
        match self {
            // As mostly: nothing in it has to go.
            Self::Value if bytes.iter().all(|byte| may_stand_in_value(*byte)) => out.extend_from_slice(bytes),
            Self::Value => out.extend(bytes.iter().copied().filter(|byte| may_stand_in_value(*byte))),
            Self::Path => encode(out, bytes, is_unreserved),
            // A slash means nothing in a query (RFC 3986 §3.4).
            Self::Parameter => encode(out, bytes, |byte| is_unreserved(byte) || byte == b'/'),
            Self::Url => {
                encode(out, bytes, |byte| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte))
            }
        }
    }
}

fn may_stand_in_value(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// Writes `bytes` with those percent-encoded that do not stay.
fn encode(out: &mut Vec<u8>, bytes: &[u8], stays: impl Fn(u8) -> bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        if stays(*byte) {
            out.push(*byte);
        } else {
            out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The canonical path; what is asked of the server as a whole has the root.
fn path<'a>(request: &'a Request<'_>) -> &'a str {
    if request.path == "*" { "/" } else { &request.path }
}

fn capture<'a>(captures: Option<&'a regex::Captures<'_>>, index: usize) -> &'a [u8] {
    captures.and_then(|captures| captures.get(index)).map_or(b"", |group| group.as_str().as_bytes())
}

/// The number of a group that is written as a number or by its name. Validation found it.
fn index_of(group: &str, regex: Option<&Regex>) -> usize {
    let by_name = || regex?.capture_names().position(|name| name == Some(group));
    group.parse().ok().or_else(by_name).unwrap_or(usize::MAX)
}

/// A field's name as it is written to HTTP/1.1: `x-env` as `X-Env`.
pub(crate) fn train_case(name: &str) -> Box<str> {
    let mut begins = true;
    name.chars()
        .map(|letter| {
            let written = if begins { letter.to_ascii_uppercase() } else { letter };
            begins = letter == '-';
            written
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use http1::{HeadLimits, RequestHead};
    use shared::config::PathStyle;

    use super::*;

    /// The request of `head`, as `check` sees it.
    pub(crate) fn with_facts<T>(head: &str, check: impl FnOnce(&Facts<'_>) -> T) -> T {
        let bytes = head.as_bytes();
        let mut parsed = RequestHead::default();
        parsed.parse(bytes, &HeadLimits::default()).unwrap();
        let request = Request::read(&parsed, bytes, PathStyle::default()).unwrap();
        check(&Facts {
            request: &request,
            client: "192.0.2.1".into(),
            scheme: "http",
            peer_is_trusted: false,
            request_id: &uuid::Uuid::nil().into(),
            renamed: &Renamed::default(),
            listener: "web",
            route: "shop",
            upstream: "up",
            backend: "a",
            captures: None,
        })
    }

    const HEAD: &str = "GET /a%20b/c?q=1&r=%20 HTTP/1.1\r\nHost: Shop.Example:81\r\nX-A: one\r\nX-A: two\r\nX-B: a\tb\u{e9} \"c\"\r\n\
        X-Real-IP: 6.6.6.6\r\n\r\n";

    #[test]
    fn every_variable_has_its_value() {
        for (template, written) in [
            ("", ""),
            ("a{{b}}", "a{b}"),
            ("{client_address}", "192.0.2.1"),
            ("{request_id}", "00000000-0000-0000-0000-000000000000"),
            ("{method}", "GET"),
            ("{scheme}", "http"),
            ("{host}", "shop.example"),
            ("{authority}", "Shop.Example:81"),
            ("{path}", "/a%20b/c"),
            ("{query}", "q=1&r=%20"),
            ("{uri}", "/a%20b/c?q=1&r=%20"),
            ("{listener}/{route}/{upstream}/{backend}", "web/shop/up/a"),
            ("{header.x-a}", "one"),
            ("{header.X-B}", "a\tb\u{e9} \"c\""),
            ("{header.x-none}", ""),
            ("{header.x-real-ip}", ""),
            ("[{header.x-a}]", "[one]"),
        ] {
            let text = Text::compile(&template.parse().unwrap(), Place::Value, None);
            let mut out = Vec::new();
            with_facts(HEAD, |facts| text.write(&mut out, facts));
            assert_eq!(String::from_utf8(out).unwrap(), written, "{template}");
        }
    }

    #[test]
    fn what_a_client_sent_stays_in_its_place() {
        for (template, place, written) in [
            ("https://x{uri}", Place::Url, "https://x/a%20b/c?q=1&r=%20"),
            ("/{header.x-b}", Place::Url, "/a%09b%C3%A9%20%22c%22"),
            ("/ä b", Place::Url, "/%C3%A4%20b"),
        ] {
            let text = Text::compile(&template.parse().unwrap(), place, None);
            let mut out = Vec::new();
            with_facts(HEAD, |facts| text.write(&mut out, facts));
            assert_eq!(String::from_utf8(out).unwrap(), written, "{template}");
        }
    }

    #[test]
    fn groups_are_found_by_number_and_by_name() {
        let regex = Regex::new("^/u/(?<user>[^/]+)/(.*)$").unwrap();
        let text = |template: &str| Text::compile(&template.parse().unwrap(), Place::Value, Some(&regex));
        with_facts("GET /u/jo/x/y HTTP/1.1\r\nHost: h\r\n\r\n", |facts| {
            let facts = Facts {
                request: facts.request,
                client: "".into(),
                peer_is_trusted: false,
                captures: regex.captures(&facts.request.path),
                ..*facts
            };
            let mut out = Vec::new();
            text("{path.user} {path.1} {path.2} {path.0} {path.9}").write(&mut out, &facts);
            assert_eq!(String::from_utf8(out).unwrap(), "jo jo x/y /u/jo/x/y ");
        });
    }

    #[test]
    fn names_are_written_in_train_case() {
        for (name, written) in [("x-env", "X-Env"), ("etag", "Etag"), ("a--b-", "A--B-"), ("x_y", "X_y")] {
            assert_eq!(&*train_case(name), written);
        }
    }
}
