use regex::Regex;

use super::{RequestView, build::Regexes, form};
use crate::{
    config::{PathMatch, RouteMatch, ValueMatch},
    value::{Cidr, FieldName, Method, Name, Pattern},
};

/// What must hold for a route besides host and path, and the regular expression of its path.
#[derive(Debug)]
pub(super) struct Conditions {
    methods: Box<[Method]>,
    listeners: Box<[Name]>,
    client_cidrs: Box<[Cidr]>,
    path: Option<Regex>,
    headers: Box<[(FieldName, Value)]>,
    query: Box<[(Box<str>, Value)]>,
}

/// A compiled [`ValueMatch`].
#[derive(Debug)]
enum Value {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    /// Only text matches: a value that is no UTF-8 does not.
    Regex(Regex),
    Present,
    Absent,
}

impl Conditions {
    /// The conditions of `matches`; `None` if it has none.
    pub(super) fn compile<'a>(matches: &'a RouteMatch, regexes: &mut Regexes<'a>) -> Option<Self> {
        // Every field is named, so that a new condition is not forgotten here.
        let RouteMatch { hosts: _, path, methods, headers, query, client_cidrs, listeners } = matches;
        let path = match path {
            Some(PathMatch::Regex(pattern)) => Some(regexes.compile(pattern)),
            Some(PathMatch::Exact(_) | PathMatch::Prefix(_)) | None => None,
        };
        let conditions = Self {
            methods: methods.as_slice().into(),
            listeners: listeners.as_slice().into(),
            client_cidrs: client_cidrs.as_slice().into(),
            path,
            headers: headers.iter().map(|(name, value)| (name.clone(), Value::compile(value, regexes))).collect(),
            query: query.iter().map(|(name, value)| (name.as_str().into(), Value::compile(value, regexes))).collect(),
        };
        let is_empty = conditions.path.is_none() && super::condition_count(matches) == 0;
        (!is_empty).then_some(conditions)
    }

    /// Whether all of them hold; the cheap ones are asked first.
    pub(super) fn hold(&self, request: &impl RequestView) -> bool {
        holds_or_empty(&self.methods, |method| method.as_str() == request.method())
            && holds_or_empty(&self.listeners, |listener| listener.as_str() == request.listener())
            && holds_or_empty(&self.client_cidrs, |cidr| cidr.contains(request.client()))
            && self.path.as_ref().is_none_or(|regex| regex.is_match(request.path()))
            && self.headers.iter().all(|(name, value)| match value {
                Value::Absent => !request.has_header(name.as_str()),
                value => request.any_header(name.as_str(), &mut |sent| value.matches(sent)),
            })
            && self.query.iter().all(|(name, value)| {
                let mut sent = form::values(request.query().unwrap_or_default(), name.as_bytes());
                match value {
                    Value::Absent => sent.next().is_none(),
                    value => sent.any(|sent| value.matches(&sent)),
                }
            })
    }
}

/// A compiled [`ValueMatch`], for who compares values outside of the index.
#[derive(Debug)]
pub struct ValueTest(Value);

impl ValueTest {
    /// Compiles `value`, and with it its regular expression.
    pub fn new(value: &ValueMatch) -> Self {
        Self(Value::compile(value, &mut Regexes::default()))
    }

    /// Whether it holds only where nothing was sent; then it matches no value.
    pub fn is_absence(&self) -> bool {
        matches!(self.0, Value::Absent)
    }

    /// Whether the sent value `sent` is one.
    pub fn matches(&self, sent: &[u8]) -> bool {
        self.0.matches(sent)
    }
}

impl Value {
    fn compile<'a>(value: &'a ValueMatch, regexes: &mut Regexes<'a>) -> Self {
        let compile = |pattern: &'a Pattern, regexes: &mut Regexes<'a>| regexes.compile(pattern);
        match value {
            ValueMatch::Exact(text) => Self::Exact(text.as_bytes().into()),
            ValueMatch::Prefix(text) => Self::Prefix(text.as_bytes().into()),
            ValueMatch::Regex(pattern) => Self::Regex(compile(pattern, regexes)),
            ValueMatch::Present(true) => Self::Present,
            ValueMatch::Present(false) => Self::Absent,
        }
    }

    /// Whether the sent value `sent` is one.
    fn matches(&self, sent: &[u8]) -> bool {
        match self {
            Self::Exact(value) => **value == *sent,
            Self::Prefix(prefix) => sent.starts_with(prefix),
            Self::Regex(regex) => std::str::from_utf8(sent).is_ok_and(|sent| regex.is_match(sent)),
            Self::Present => true,
            Self::Absent => false,
        }
    }
}

fn holds_or_empty<T>(any_of: &[T], holds: impl FnMut(&T) -> bool) -> bool {
    any_of.is_empty() || any_of.iter().any(holds)
}
