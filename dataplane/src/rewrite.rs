//! Path and query as a backend gets them: compiled once, made of what came.

use std::borrow::Cow;

use regex::Regex;
use shared::{
    config::{self, PathStyle},
    routing::{form, path},
    value::Template,
};

use crate::{
    error::Reason,
    template::{Facts, Place, Text},
};

/// Compiled changes.
#[derive(Debug)]
pub(crate) struct Rewrite {
    path: Option<PathRewrite>,
    query: Option<QueryRewrite>,
}

#[derive(Debug)]
enum PathRewrite {
    /// Leading segments, without a slash at the end, and what takes their place, likewise.
    Prefix { from: Box<str>, to: Box<str>, whole: Box<str> },
    /// A path that matches.
    Regex { pattern: Regex, to: Text },
    /// Every path.
    To(Text),
}

#[derive(Debug)]
struct QueryRewrite {
    /// Decoded names of the parameters that go.
    gone: Box<[Box<[u8]>]>,
    /// What comes behind: `name=` as it is written, and the value.
    new: Box<[(Box<[u8]>, Text)]>,
}

/// Path and query that take the place of those that came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The path.
    pub(crate) path: Cow<'a, str>,
    /// The query without `?`.
    pub(crate) query: Option<Cow<'a, [u8]>>,
}

impl Rewrite {
    /// What `rewrite` says, if it says anything; `path` is the regular expression of the route's path.
    pub(crate) fn compile(rewrite: &config::Rewrite, path: Option<&Regex>) -> Option<Self> {
        if *rewrite == config::Rewrite::default() {
            return None;
        }
        let query =
            (rewrite.query != config::QueryRewrite::default()).then(|| QueryRewrite::compile(&rewrite.query, path));
        Some(Self { path: rewrite.path.as_ref().map(|rewrite| PathRewrite::compile(rewrite, path)), query })
    }

    /// What a backend is asked for; nothing if that is what the client asks for.
    ///
    /// # Errors
    /// The new path cannot be brought into its canonical form.
    pub(crate) fn target<'a>(&self, facts: &Facts<'a>, style: PathStyle) -> Result<Option<Target<'a>>, Reason> {
        let request = facts.request;
        // It is about the server as a whole.
        if request.path == "*" {
            return Ok(None);
        }
        let path = match &self.path {
            Some(rewrite) => rewrite.path(&request.path, facts, style)?,
            None => Cow::Borrowed(&*request.path),
        };
        let query = match &self.query {
            Some(rewrite) => rewrite.query(request.query, facts).map(Cow::Owned),
            None => request.query.map(|query| Cow::Borrowed(query.as_bytes())),
        };
        Ok(Some(Target { path, query }))
    }
}

/// The templates of a rewrite whose groups are those of the route's path.
pub(crate) fn templates(rewrite: &config::Rewrite) -> impl Iterator<Item = &Template> {
    let path = match &rewrite.path {
        Some(config::PathRewrite::To(to)) => Some(to),
        _ => None,
    };
    path.into_iter().chain(rewrite.query.set.values()).chain(rewrite.query.add.values())
}

impl PathRewrite {
    fn compile(rewrite: &config::PathRewrite, path: Option<&Regex>) -> Self {
        let prefix = |from: &str, to: &str| Self::Prefix {
            from: from.strip_suffix('/').unwrap_or(from).into(),
            to: to.strip_suffix('/').unwrap_or(to).into(),
            whole: to.into(),
        };
        match rewrite {
            config::PathRewrite::StripPrefix(from) => prefix(from.as_str(), "/"),
            config::PathRewrite::ReplacePrefix(prefixes) => prefix(prefixes.from.as_str(), prefixes.to.as_str()),
            config::PathRewrite::Regex(regex) => {
                let pattern = regex.pattern.compile_whole();
                Self::Regex { to: Text::compile(&regex.to, Place::Path, Some(&pattern)), pattern }
            }
            config::PathRewrite::To(to) => Self::To(Text::compile(to, Place::Path, path)),
        }
    }

    fn path<'a>(&self, path: &'a str, facts: &Facts<'_>, style: PathStyle) -> Result<Cow<'a, str>, Reason> {
        match self {
            // Both parts are canonical, and so is what they make together.
            Self::Prefix { from, to, whole } => Ok(match path.strip_prefix(&**from) {
                Some("") => Cow::Owned(whole.to_string()),
                Some(rest) if rest.starts_with('/') && to.is_empty() => Cow::Borrowed(rest),
                Some(rest) if rest.starts_with('/') => Cow::Owned(format!("{to}{rest}")),
                _ => Cow::Borrowed(path),
            }),
            Self::Regex { pattern, to } => match pattern.captures(path) {
                Some(captures) => {
                    let mut out = Vec::new();
                    to.write_with(&mut out, facts, Some(&captures));
                    canonical(&out, style).map(Cow::Owned)
                }
                None => Ok(Cow::Borrowed(path)),
            },
            Self::To(to) => {
                let mut out = Vec::new();
                to.write(&mut out, facts);
                canonical(&out, style).map(Cow::Owned)
            }
        }
    }
}

/// The canonical form of a new path. A dot segment came from outside, and would lead out of where the template leads.
fn canonical(path: &[u8], style: PathStyle) -> Result<String, Reason> {
    let is_dots = |segment: &[u8]| {
        let mut rest = segment;
        let mut dots = 0;
        while let [b'.', after @ ..] | [b'%', b'2', b'e' | b'E', after @ ..] = rest {
            (rest, dots) = (after, dots + 1);
        }
        rest.is_empty() && matches!(dots, 1 | 2)
    };
    if path.split(|byte| *byte == b'/').any(is_dots) {
        return Err(Reason::RewriteFailed);
    }
    path::canonicalize_in(path, style).map(Cow::into_owned).map_err(|_| Reason::RewriteFailed)
}

impl QueryRewrite {
    fn compile(rewrite: &config::QueryRewrite, path: Option<&Regex>) -> Self {
        let config::QueryRewrite { remove, set, add } = rewrite;
        let new = set.iter().chain(add).map(|(name, value)| {
            let mut written = Vec::new();
            Place::Parameter.write_literal(&mut written, name.as_bytes());
            written.push(b'=');
            (written.into(), Text::compile(value, Place::Parameter, path))
        });
        Self { new: new.collect(), gone: remove.iter().chain(set.keys()).map(|name| name.as_bytes().into()).collect() }
    }

    fn query(&self, query: Option<&str>, facts: &Facts<'_>) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(query.map_or(0, str::len) + 32);
        let pieces = query.into_iter().flat_map(|query| query.as_bytes().split(|byte| *byte == b'&'));
        for piece in pieces.filter(|piece| !self.gone.iter().any(|name| form::is_named(piece, name))) {
            if !out.is_empty() {
                out.push(b'&');
            }
            out.extend_from_slice(piece);
        }
        for (name, value) in &self.new {
            if !out.is_empty() {
                out.push(b'&');
            }
            out.extend_from_slice(name);
            value.write(&mut out, facts);
        }
        (!out.is_empty()).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::tests::with_facts;

    /// The target that `rewrite` makes of a request for `target` with `X-A: value`.
    fn rewritten(rewrite: &str, target: &str, value: &str) -> Result<String, Reason> {
        let rewrite: config::Rewrite = shared::document::from_value(serde_json::from_str(rewrite).unwrap()).unwrap();
        let rewrite = Rewrite::compile(&rewrite, None).unwrap();
        with_facts(&format!("GET {target} HTTP/1.1\r\nHost: h\r\nX-A: {value}\r\n\r\n"), |facts| {
            let target = rewrite.target(facts, PathStyle::default())?.unwrap();
            let query = target.query.map(|query| format!("?{}", String::from_utf8_lossy(&query)));
            Ok(format!("{}{}", target.path, query.unwrap_or_default()))
        })
    }

    #[test]
    fn paths_are_rewritten() {
        for (rewrite, target, expected) in [
            (r#"{"path":{"strip_prefix":"/api"}}"#, "/api/x?q", "/x?q"),
            (r#"{"path":{"strip_prefix":"/api"}}"#, "/api", "/"),
            (r#"{"path":{"strip_prefix":"/api"}}"#, "/api/", "/"),
            (r#"{"path":{"strip_prefix":"/api/"}}"#, "/api/x", "/x"),
            (r#"{"path":{"strip_prefix":"/api"}}"#, "/apis", "/apis"),
            (r#"{"path":{"strip_prefix":"/"}}"#, "/a", "/a"),
            (r#"{"path":{"replace_prefix":{"from":"/a","to":"/b/c"}}}"#, "/a/x%2Fy", "/b/c/x%2Fy"),
            (r#"{"path":{"replace_prefix":{"from":"/a","to":"/b/c"}}}"#, "/a", "/b/c"),
            (r#"{"path":{"replace_prefix":{"from":"/a","to":"/b/"}}}"#, "/a", "/b/"),
            (r#"{"path":{"replace_prefix":{"from":"/a","to":"/b/"}}}"#, "/a/x", "/b/x"),
            (r#"{"path":{"replace_prefix":{"from":"/","to":"/b"}}}"#, "/a", "/b/a"),
            (r#"{"path":{"replace_prefix":{"from":"/","to":"/b"}}}"#, "/", "/b/"),
            (r#"{"path":{"replace_prefix":{"from":"/a","to":"/"}}}"#, "/a/b", "/b"),
            (
                r#"{"path":{"regex":{"pattern":"/u/([0-9]+)(/.*)?","to":"/user{path.2}/{path.1}"}}}"#,
                "/u/7/x",
                "/user/x/7",
            ),
            (r#"{"path":{"regex":{"pattern":"/u/([0-9]+)(/.*)?","to":"/user{path.2}/{path.1}"}}}"#, "/u/7", "/user/7"),
            (r#"{"path":{"regex":{"pattern":"/u/([0-9]+)","to":"/user/{path.1}"}}}"#, "/u/a", "/u/a"),
            (r#"{"path":{"regex":{"pattern":"/(?<a>.*)","to":"/{path.a}//b"}}}"#, "/a%20b?c", "/a%20b/b?c"),
            (r#"{"path":{"to":"/shop{path}"}}"#, "/x/?y", "/shop/x/?y"),
            (r#"{"path":{"to":"/fixed"}}"#, "/x", "/fixed"),
            (r#"{"path":{"to":"/{header.x-a}/{host}"}}"#, "/x", "/a%2Fb%3F%20%25/h"),
        ] {
            assert_eq!(rewritten(rewrite, target, "a/b? %").as_deref(), Ok(expected), "{rewrite} {target}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (rewrite, target) in [
            (r#"{"path":{"to":"/a/{header.x-a}/b"}}"#, "/x"),
            (r#"{"path":{"to":"/a/.{header.x-b}/b"}}"#, "/x"),
            (r#"{"path":{"regex":{"pattern":"/(.*)","to":"{path.1}"}}}"#, "/x"),
            (r#"{"path":{"regex":{"pattern":"/a(..)b","to":"/x/{path.1}/y"}}}"#, "/a..b"),
        ] {
            assert_eq!(rewritten(rewrite, target, ".."), Err(Reason::RewriteFailed), "{rewrite} {target}");
        }
    }

    #[test]
    fn queries_are_edited() {
        for (rewrite, target, expected) in [
            (r#"{"remove":["a"]}"#, "/?a=1&b=2&a&%61=3", "/?b=2"),
            (r#"{"remove":["a"]}"#, "/?a=1", "/"),
            (r#"{"remove":["a"]}"#, "/?b=%20+&&c", "/?b=%20+&&c"),
            (r#"{"remove":["a b"]}"#, "/?a+b=1&a%20b=2&ab=3", "/?ab=3"),
            (r#"{"set":{"a":"1"}}"#, "/", "/?a=1"),
            (r#"{"set":{"a":"1"}}"#, "/?a=2&b&a=3", "/?b&a=1"),
            (r#"{"add":{"a":"1"}}"#, "/?a=2", "/?a=2&a=1"),
            (r#"{"remove":["a"],"set":{"b":"2"},"add":{"a":"3"}}"#, "/?a=1&b=1", "/?b=2&a=3"),
            (r#"{"set":{"ä &":"b&c=d#e+f%g/h"}}"#, "/", "/?%C3%A4%20%26=b%26c%3Dd%23e%2Bf%25g/h"),
            (r#"{"set":{"h":"{header.x-a}"}}"#, "/", "/?h=a%26b%3D%25"),
            (r#"{"set":{"p":"{path}","u":"{uri}"}}"#, "/a%20b?x", "/a%20b?x&p=/a%20b&u=/a%2520b?x"),
            (r#"{"set":{"e":""}}"#, "/", "/?e="),
        ] {
            let rewrite = format!(r#"{{"query":{rewrite}}}"#);
            assert_eq!(rewritten(&rewrite, target, "a&b=%").as_deref(), Ok(expected), "{rewrite} {target}");
        }
    }
}
