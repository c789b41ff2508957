//! The proxy's own answers: a status, the reason word, and nothing that helps an attacker.

mod style;

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use http1::{Method, write};
use shared::value::ServerHeader;

use crate::{
    accept::Accept,
    cors::{self, Grant},
    error::Reason,
    grpc::{self, WebCall},
    head::Request,
    record::AccessRecord,
    snapshot::Unavailable,
    worker::Worker,
};

pub(crate) use style::AnswerStyle;

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

/// Who is answered.
pub(crate) struct Audience<'a> {
    /// The request's method.
    pub(crate) method: Method,
    /// Which formats it likes.
    pub(crate) accept: Accept,
    /// What the route's CORS policy says.
    pub(crate) grant: Option<&'a Grant>,
    /// If it is a call of gRPC-Web: its client reads no other status than that of gRPC.
    pub(crate) web_call: Option<&'a WebCall>,
    /// What a TRACE shows that ends here.
    pub(crate) reflection: &'a [u8],
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
    /// The answer for `instead` to the request of `record`.
    pub(crate) fn new(worker: &Worker, record: &AccessRecord<'_>, instead: Instead, audience: &Audience<'a>) -> Self {
        let style = match &record.route {
            Some(route) => Arc::clone(&route.style),
            None => worker.with_snapshot(|snapshot| Arc::clone(&snapshot.no_route.style)),
        };
        let mut answer = match instead {
            Instead::Refused(reason) => Self::of_reason(worker, record, &style, reason, audience),
            Instead::Later(reason, seconds) => {
                let mut answer = Self::of_reason(worker, record, &style, reason, audience);
                answer.fields.push(field("Retry-After", seconds.to_string()));
                answer
            }
            Instead::Replied(reply) => Self::of_reply(worker, *reply),
        };
        if let ServerHeader::Literal(server) = &style.server
            && !answer.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("server"))
        {
            answer.fields.push(field("Server", server.to_string()));
        }
        if let Some(grant) = audience.grant {
            answer.fields.retain(|(name, _)| !cors::is_about_cors(name.as_bytes()));
            answer.fields.extend(grant.fields().map(|(name, value)| field(name, value.to_vec())));
            if grant.varies() {
                answer.fields.push(field("Vary", "Origin"));
            }
        }
        answer
    }

    /// The answer for `reason`, which is counted.
    fn of_reason(
        worker: &Worker,
        record: &AccessRecord<'_>,
        style: &AnswerStyle,
        reason: Reason,
        audience: &Audience<'a>,
    ) -> Self {
        let has_routes = worker.with_snapshot(|snapshot| {
            snapshot.count_generated(reason);
            !snapshot.routes.is_empty()
        });
        let replaced = record.backend_status().filter(|_| reason == Reason::BackendError);
        let status = match audience.web_call {
            Some(_) => 200,
            None => replaced.unwrap_or(reason.status()),
        };
        let phrase = phrase(status);
        let is_for_us = reason == Reason::MaxForwards;
        let (body, kind): (Cow<'_, [u8]>, _) = if audience.web_call.is_some() {
            (Cow::Borrowed(b""), "")
        } else if is_for_us && audience.method == Method::Trace {
            (Cow::Borrowed(audience.reflection), "message/http")
        } else if is_for_us {
            (Cow::Borrowed(b""), "text/plain")
        } else if reason == Reason::NoRoute && !has_routes {
            (Cow::Borrowed(FIRST_STEPS.as_bytes()), TEXT)
        } else {
            let format = audience.accept.choose(style.default_format);
            let request_id = record.request_id().to_string();
            let error = style::Error { reason, status, phrase, request_id: &request_id };
            let (body, kind) = style.body(format, &error);
            (Cow::Owned(body), kind)
        };
        let mut fields = vec![
            match audience.web_call {
                Some(call) => field("Content-Type", call.kind.clone()),
                None => field("Content-Type", kind),
            },
            field("Content-Length", body.len().to_string()),
            field("Cache-Control", "no-store"),
            field("Date", worker.clock.date().to_vec()),
        ];
        if !is_for_us {
            let (word, error) = (reason.word(), reason.proxy_error());
            fields.push(field(
                "Proxy-Status",
                match replaced {
                    // The backend did answer (RFC 9209 §2.1.5).
                    Some(status) => format!("tidegate; received-status={status}; details=\"{word}\""),
                    None => format!("tidegate; error={error}; details=\"{word}\""),
                },
            ));
        }
        if audience.web_call.is_some() {
            let (status, message) = grpc::status_of(reason);
            fields.push(field("Grpc-Status", status.to_string()));
            fields.push(field("Grpc-Message", message));
        }
        if reason == Reason::MethodRefused || is_for_us {
            fields.push(field("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE"));
        }
        Self { status, phrase, reason: Some(reason), body, fields }
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
        Self { status, phrase: phrase(status), reason: None, body: Cow::Owned(body.into()), fields }
    }
}

/// The reason phrase of `status`.
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        // As RFC 9110 §15.5.14 names it.
        413 => "Content Too Large",
        _ => http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default(),
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
