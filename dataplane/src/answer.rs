//! The proxy's own answers: a status, the reason word, and nothing that helps an attacker.

use std::borrow::Cow;

use http1::Method;

use crate::{error::Reason, worker::Worker};

/// What a client is told that no backend answers, in whatever version of HTTP.
pub(crate) struct Answer<'a> {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Cow<'a, [u8]>,
    /// Names and values of the fields that say what the answer is; further ones belong to the connection.
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl<'a> Answer<'a> {
    /// The answer to the request `id` with `method` for `reason`, which is counted. `reflection` is what a TRACE shows that ends
    /// here.
    pub(crate) fn new(worker: &Worker, reason: Reason, id: &str, method: Method, reflection: &'a [u8]) -> Self {
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
            ("Content-Type", kind.to_owned()),
            ("Content-Length", body.len().to_string()),
            ("Cache-Control", "no-store".to_owned()),
            ("Date", String::from_utf8_lossy(&worker.clock.date()).into_owned()),
        ];
        if !is_for_us {
            let error = format!("tidegate; error={}; details=\"{}\"", reason.proxy_error(), reason.word());
            fields.push(("Proxy-Status", error));
        }
        if reason == Reason::MethodRefused || is_for_us {
            fields.push(("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE".to_owned()));
        }
        Self { status, body, fields }
    }
}

/// The type of what people read.
const TEXT: &str = "text/plain; charset=utf-8";

/// The answer while there is no route at all.
const FIRST_STEPS: &str = r#"404 no_route
Tidegate is running and has no route yet. Three requests to its REST API make the first one:

  T="Authorization: Bearer $(cat tidegate-data/admin.token)"; A=http://127.0.0.1:7080/api/v1; J="content-type: application/json"
  curl -H "$T" -H "$J" $A/upstreams -d '{"name":"web"}'
  curl -H "$T" -H "$J" $A/upstreams/web/backends -d '{"name":"a","address":"127.0.0.1:9001"}'
  curl -H "$T" -H "$J" $A/routes -d '{"name":"web","match":{},"action":{"forward":{"upstream":"web"}}}'

The API explains itself at http://127.0.0.1:7080/docs.
"#;
