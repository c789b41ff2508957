use std::sync::Arc;

use bytes::Bytes;
use regex::Regex;
use shared::config;

use super::{Split, Upstream};
use crate::{
    answer::Reply,
    error::Reason,
    template::{Facts, Place, Text, train_case},
};

/// What a route does with a request.
pub(crate) enum Action {
    /// Sends it to a backend of the upstream.
    Forward(Arc<Upstream>),
    /// Sends it to one of several upstreams.
    Split(Box<Split>),
    /// Answers it.
    Reply(Box<Answering>),
}

/// An answer of the proxy's own.
pub(crate) struct Answering {
    status: u16,
    /// Names as they are written to HTTP/1.1.
    fields: Box<[(Box<str>, Text)]>,
    body: Bytes,
    /// Whether it makes no sense for a request that names no host.
    needs_host: bool,
}

const TEXT: &str = "text/plain; charset=utf-8";

impl Answering {
    /// A redirect; `path` is the regular expression of the route's path.
    pub(crate) fn of_redirect(redirect: &config::Redirect, path: Option<&Regex>) -> Self {
        use shared::value::Variable;
        let to = redirect.target();
        let needs_host = to.variables().any(|variable| matches!(variable, Variable::Host | Variable::Authority));
        let fields = [("Location".into(), Text::compile(&to, Place::Url, path))];
        Self::new(redirect.status, fields.into(), Bytes::new(), needs_host)
    }

    /// A fixed answer; `path` is the regular expression of the route's path.
    pub(crate) fn of_respond(respond: &config::Respond, path: Option<&Regex>) -> Self {
        let mut fields: Vec<_> = respond
            .headers
            .iter()
            .map(|(name, value)| (train_case(name.as_str()), Text::compile(value, Place::Value, path)))
            .collect();
        if !respond.body.is_empty() && !respond.headers.contains_key("content-type") {
            let plain = TEXT.parse().expect("it is a template");
            fields.push(("Content-Type".into(), Text::compile(&plain, Place::Value, None)));
        }
        Self::new(respond.status, fields.into(), Bytes::copy_from_slice(respond.body.as_bytes()), false)
    }

    fn new(status: u16, fields: Box<[(Box<str>, Text)]>, body: Bytes, needs_host: bool) -> Self {
        Self { status, fields, body, needs_host }
    }

    /// The answer to one request.
    ///
    /// # Errors
    /// The request names no host, and the answer is a place on it.
    pub(crate) fn reply(&self, facts: &Facts<'_>) -> Result<Reply, Reason> {
        if self.needs_host && facts.request.host.is_empty() {
            return Err(Reason::BadRequest);
        }
        let mut fields = Vec::with_capacity(self.fields.len());
        for (name, text) in &self.fields {
            let mut value = Vec::new();
            text.write(&mut value, facts);
            let value = without_host(name, value.trim_ascii());
            if !value.is_empty() {
                fields.push((name.clone(), value.to_vec()));
            }
        }
        Ok(Reply { status: self.status, fields, body: self.body.clone() })
    }
}

/// The place of a redirect that is a path, with one slash in front: two would make a host of what follows, which may be what
/// the client sent.
fn without_host<'a>(name: &str, value: &'a [u8]) -> &'a [u8] {
    let slashes = value.iter().take_while(|byte| **byte == b'/').count();
    if name == "Location" { &value[slashes.saturating_sub(1)..] } else { value }
}
