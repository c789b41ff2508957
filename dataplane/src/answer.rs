//! The proxy's own answers: a status, the reason word, and nothing that helps an attacker.

use std::borrow::Cow;

use bytes::Bytes;
use http1::{Method, write};

use crate::{error::Reason, head::Request, request_id::RequestId, snapshot::Unavailable, worker::Worker};

/// Why a request is answered here instead of by a backend.
pub(crate) enum Instead {
    /// Something is wrong.
    Refused(Reason),
    /// Something is wrong that will be right after so many seconds.
    Later(Reason, u64),
    /// The route says what to answer.
    Replied(Box<Reply>),
}

impl From<Reason> for Instead {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl From<Unavailable> for Instead {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::NoBackend => Self::Refused(Reason::NoBackend),
            // In whole seconds, and never 0: whoever comes back at once would be refused again.
            Unavailable::BreakerOpen(wait) => {
                Self::Later(Reason::BreakerOpen, wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait.is_zero()))
            }
        }
    }
}

/// What a route answers.
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    /// Names, as they are written to HTTP/1.1, and values.
    pub(crate) fields: Vec<(Box<str>, Vec<u8>)>,
    /// The body.
    pub(crate) body: Bytes,
}

/// What a client is told that no backend answers, in whatever version of HTTP.
pub(crate) struct Answer<'a> {
    /// The status.
    pub(crate) status: u16,
    /// Its phrase.
    pub(crate) phrase: &'static str,
    /// What is wrong, if something is.
    pub(crate) reason: Option<Reason>,
    /// The body.
    pub(crate) body: Cow<'a, [u8]>,
    /// Names and values of the fields that say what the answer is; further ones belong to the connection.
    pub(crate) fields: Vec<(Cow<'static, str>, Cow<'static, [u8]>)>,
}

impl<'a> Answer<'a> {
    /// The answer to the request `id` with `method` for `instead`. `reflection` is what a TRACE shows that ends here.
    pub(crate) fn new(worker: &Worker, instead: Instead, id: &RequestId, method: Method, reflection: &'a [u8]) -> Self {
        match instead {
            Instead::Refused(reason) => Self::of_reason(worker, reason, id, method, reflection),
            Instead::Later(reason, seconds) => {
                let mut answer = Self::of_reason(worker, reason, id, method, reflection);
                answer.fields.push(field("Retry-After", seconds.to_string()));
                answer
            }
            Instead::Replied(reply) => Self::of_reply(worker, *reply),
        }
    }

    /// The answer for `reason`, which is counted.
    fn of_reason(worker: &Worker, reason: Reason, id: &RequestId, method: Method, reflection: &'a [u8]) -> Self {
        let has_routes = worker.with_snapshot(|snapshot| {
            snapshot.count_generated(reason);
            !snapshot.routes.is_empty()
        });
        let status = reason.status();
        let is_for_us = reason == Reason::MaxForwards;
        let (body, kind): (Cow<'_, [u8]>, _) = if is_for_us && method == Method::Trace {
            (Cow::Borrowed(reflection), "message/http")
        } else if is_for_us {
            (Cow::Borrowed(b""), "text/plain")
        } else if reason == Reason::NoRoute && !has_routes {
            (Cow::Borrowed(FIRST_STEPS.as_bytes()), TEXT)
        } else {
            let text = format!("{status} {}\n{}\nrequest id: {id}\n", reason.word(), reason.sentence());
            (Cow::Owned(text.into_bytes()), TEXT)
        };
        let mut fields = vec![
            field("Content-Type", kind),
            field("Content-Length", body.len().to_string()),
            field("Cache-Control", "no-store"),
            field("Date", worker.clock.date().to_vec()),
        ];
        if !is_for_us {
            let error = format!("tidegate; error={}; details=\"{}\"", reason.proxy_error(), reason.word());
            fields.push(field("Proxy-Status", error));
        }
        if reason == Reason::MethodRefused || is_for_us {
            fields.push(field("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE"));
        }
        Self { status, phrase: reason.phrase(), reason: Some(reason), body, fields }
    }

    /// What a route answers.
    fn of_reply(worker: &Worker, reply: Reply) -> Self {
        let Reply { status, fields, body } = reply;
        let mut fields: Vec<_> =
            fields.into_iter().map(|(name, value)| (Cow::Owned(name.into()), Cow::Owned(value))).collect();
        // These two never have a body, and nothing says how long it is (RFC 9110 §8.6).
        if !matches!(status, 204 | 304) {
            fields.push(field("Content-Length", body.len().to_string()));
        }
        fields.push(field("Date", worker.clock.date().to_vec()));
        let phrase = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let body = Cow::Owned(body.into());
        Self { status, phrase: phrase.unwrap_or_default(), reason: None, body, fields }
    }
}

fn field(name: &'static str, value: impl Into<FieldValue>) -> (Cow<'static, str>, Cow<'static, [u8]>) {
    (Cow::Borrowed(name), value.into().0)
}

/// The value of a field of ours.
struct FieldValue(Cow<'static, [u8]>);

impl From<&'static str> for FieldValue {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<String> for FieldValue {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text.into_bytes()))
    }
}

impl From<Vec<u8>> for FieldValue {
    fn from(text: Vec<u8>) -> Self {
        Self(Cow::Owned(text))
    }
}

/// The type of what people read.
const TEXT: &str = "text/plain; charset=utf-8";

/// Writes what a TRACE shows that ends here: the message as it came, without what is nobody's business (RFC 9110 §9.3.8).
pub(crate) fn reflect(out: &mut Vec<u8>, request: &Request<'_>) {
    out.extend_from_slice(request.head.line.of(request.bytes));
    for line in request.head.fields.lines() {
        let name = line.name.of(request.bytes);
        let is_secret = [&b"authorization"[..], b"proxy-authorization", b"cookie"]
            .iter()
            .any(|secret| name.eq_ignore_ascii_case(secret));
        if !is_secret {
            write::line(out, name, line.value.of(request.bytes));
        }
    }
    write::end(out);
}

/// The answer while there is no route at all.
const FIRST_STEPS: &str = r#"404 no_route
Tidegate is running and has no route yet. Three requests to its REST API make the first one:

  T="Authorization: Bearer $(cat tidegate-data/admin.token)"; A=http://127.0.0.1:7080/api/v1; J="content-type: application/json"
  curl -H "$T" -H "$J" $A/upstreams -d '{"name":"web"}'
  curl -H "$T" -H "$J" $A/upstreams/web/backends -d '{"name":"a","address":"127.0.0.1:9001"}'
  curl -H "$T" -H "$J" $A/routes -d '{"name":"web","match":{},"action":{"forward":{"upstream":"web"}}}'

The API explains itself at http://127.0.0.1:7080/docs.
"#;
