//! Which pages of other origins may use a route (CORS: the Fetch standard, §3.2).

use std::sync::Arc;

use regex::Regex;
use shared::{
    config,
    value::{OriginPattern, Pattern},
};

use crate::{answer::Reply, head::Request, template::train_case};

/// A compiled policy.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Box<[OriginPattern]>,
    regexes: Box<[Regex]>,
    /// Whether every origin gets the same answer, which then names none.
    is_for_any: bool,
    has_credentials: bool,
    methods: Listed,
    headers: Listed,
    exposed: Box<[u8]>,
    /// In seconds.
    max_age: Option<u64>,
}

/// The value of a field that lists what is allowed.
#[derive(Debug)]
enum Listed {
    /// What was asked for.
    Any,
    These(Box<[u8]>),
}

/// What a policy says about one request.
#[derive(Clone)]
pub(crate) struct Grant {
    cors: Arc<Cors>,
    /// The origin that is let in, as the response names it; none if it is not let in.
    origin: Option<Box<[u8]>>,
}

impl Cors {
    /// Compiles `cors`, which has passed validation.
    pub(crate) fn compile(cors: &config::Cors) -> Self {
        let config::Cors {
            allow_origins,
            allow_origin_regex,
            allow_credentials,
            allow_methods,
            allow_headers,
            expose_headers,
            max_age,
        } = cors;
        let methods: Vec<&str> = allow_methods.iter().map(|method| method.as_str()).collect();
        let headers: Vec<_> = allow_headers.iter().map(|name| train_case(name.as_str())).collect();
        let exposed: Vec<_> = expose_headers.iter().map(|name| train_case(name.as_str())).collect();
        Self {
            is_for_any: allow_origins.contains(&OriginPattern::Any) && !allow_credentials,
            origins: allow_origins.as_slice().into(),
            regexes: allow_origin_regex.iter().map(Pattern::compile_whole).collect(),
            has_credentials: *allow_credentials,
            methods: if methods.is_empty() { Listed::of(&["GET", "HEAD", "POST"]) } else { Listed::of(&methods) },
            headers: Listed::of(&headers),
            exposed: exposed.join(", ").into_bytes().into(),
            max_age: max_age.map(|age| age.duration().as_secs()),
        }
    }

    /// What the policy says about `request`.
    pub(crate) fn grant(self: &Arc<Self>, request: &Request<'_>) -> Grant {
        let origin = if self.is_for_any {
            // Whoever asks: a response that a cache keeps is the same for all.
            Some(b"*".as_slice().into())
        } else {
            only(request, b"origin").filter(|origin| self.lets_in(origin)).map(Into::into)
        };
        Grant { cors: Arc::clone(self), origin }
    }

    fn lets_in(&self, origin: &[u8]) -> bool {
        let matches = |origin: &str| origin != "null" && self.regexes.iter().any(|regex| regex.is_match(origin));
        self.origins.iter().any(|pattern| pattern.matches(origin)) || std::str::from_utf8(origin).is_ok_and(matches)
    }
}

impl Listed {
    fn of<T: AsRef<str>>(list: &[T]) -> Self {
        let list: Vec<&str> = list.iter().map(AsRef::as_ref).collect();
        if list.contains(&"*") { Self::Any } else { Self::These(list.join(", ").into_bytes().into()) }
    }

    fn value<'a>(&'a self, asked: Option<&'a [u8]>) -> &'a [u8] {
        match self {
            Self::Any => asked.unwrap_or_default(),
            Self::These(list) => list,
        }
    }
}

impl Grant {
    /// Names, as they are written to HTTP/1.1, and values of what a response says.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let exposed = Some(&*self.cors.exposed).filter(|names| !names.is_empty());
        self.lets_in()
            .chain(exposed.filter(|_| self.origin.is_some()).map(|names| ("Access-Control-Expose-Headers", names)))
    }

    fn lets_in(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let origin = self.origin.as_deref();
        let credentials = origin.filter(|_| self.cors.has_credentials).map(|_| &b"true"[..]);
        let origin = origin.map(|origin| ("Access-Control-Allow-Origin", origin));
        origin.into_iter().chain(credentials.map(|yes| ("Access-Control-Allow-Credentials", yes)))
    }

    /// Whether another origin would get another response, which caches must know.
    pub(crate) fn varies(&self) -> bool {
        !self.cors.is_for_any
    }

    /// The answer to `request` if it is a preflight: a question of the browser whether a page may ask what it wants to.
    pub(crate) fn preflight(&self, request: &Request<'_>) -> Option<Reply> {
        if request.method != "OPTIONS" || first(request, b"origin").is_none() {
            return None;
        }
        let method = first(request, b"access-control-request-method")?;
        let mut fields: Vec<(Box<str>, Vec<u8>)> = Vec::new();
        let mut field = |name: &str, value: &[u8]| {
            if !value.is_empty() {
                fields.push((name.into(), value.to_vec()));
            }
        };
        if self.origin.is_some() {
            self.lets_in().for_each(|(name, value)| field(name, value));
            let headers = only(request, b"access-control-request-headers");
            field("Access-Control-Allow-Methods", self.cors.methods.value(Some(method)));
            field("Access-Control-Allow-Headers", self.cors.headers.value(headers));
            if let Some(age) = self.cors.max_age {
                field("Access-Control-Max-Age", age.to_string().as_bytes());
            }
        }
        field("Vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
        Some(Reply { status: 204, fields, body: bytes::Bytes::new() })
    }
}

/// Whether a response's field is about CORS, so that a backend does not speak for the policy.
pub(crate) fn is_about_cors(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"access-control-";
    name.len() > PREFIX.len() && name[..PREFIX.len()].eq_ignore_ascii_case(PREFIX)
}

/// Whether the value of a `Vary` field says that responses differ by origin.
pub(crate) fn names_origin(vary: &[u8]) -> bool {
    vary.split(|byte| *byte == b',')
        .any(|name| matches!(name.trim_ascii(), name if name == b"*" || name.eq_ignore_ascii_case(b"origin")))
}

fn values<'a>(request: &'a Request<'_>, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let lines = request.head.fields.lines().iter();
    lines
        .filter(move |line| line.name.len() == name.len() && line.name.of(request.bytes).eq_ignore_ascii_case(name))
        .map(|line| line.value.of(request.bytes))
}

fn first<'a>(request: &'a Request<'_>, name: &'static [u8]) -> Option<&'a [u8]> {
    values(request, name).next()
}

/// The value of a field that must not be there twice.
fn only<'a>(request: &'a Request<'_>, name: &'static [u8]) -> Option<&'a [u8]> {
    let mut values = values(request, name);
    values.next().filter(|_| values.next().is_none())
}
