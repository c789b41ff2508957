//! The proxy's own answers: a status, the reason word, and nothing that helps an attacker.

use uuid::Uuid;

use crate::{error::Reason, worker::Worker};

/// What a client is told that no backend answers, in whatever version of HTTP.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) text: String,
    /// Names and values of the fields that say what the answer is; further ones belong to the connection.
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Answer {
    /// The answer to the request `id` for `reason`, which is counted.
    pub(crate) fn new(worker: &Worker, reason: Reason, id: Uuid) -> Self {
        let snapshot = worker.snapshot();
        snapshot.count_generated(reason);
        let status = reason.status();
        let text = if reason == Reason::NoRoute && snapshot.routes.is_empty() {
            FIRST_STEPS.to_owned()
        } else {
            format!("{status} {}\n{}\nrequest id: {id}\n", reason.word(), reason.sentence())
        };
        let mut fields = vec![
            ("Content-Type", "text/plain; charset=utf-8".to_owned()),
            ("Content-Length", text.len().to_string()),
            ("Cache-Control", "no-store".to_owned()),
            ("Date", String::from_utf8_lossy(&worker.clock.date()).into_owned()),
            ("Proxy-Status", format!("tidegate; error={}; details=\"{}\"", reason.proxy_error(), reason.word())),
        ];
        if reason == Reason::MethodRefused {
            fields.push(("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE".to_owned()));
        }
        Self { status, text, fields }
    }
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
