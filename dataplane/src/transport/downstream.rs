use std::{convert::Infallible, rc::Rc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, request::Parts};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use shared::routing::{host, path};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::body::{AnswerBody, RequestBody};
use crate::{
    error::Reason,
    head::{Fields, RequestHead, ResponseHead},
    proxy::{self, Connection},
    worker::Worker,
};

/// Most fields of a request head.
const MAX_FIELDS: usize = 100;
/// Most bytes of a request head.
const MAX_HEAD: usize = 32 << 10;
/// How long a request head may take, and how long a connection may lie idle.
const HEAD: Duration = Duration::from_secs(75);

/// Serves one client connection until it ends, or after `drain` until the request under way is answered.
pub(crate) async fn serve(worker: Rc<Worker>, stream: TcpStream, connection: Connection, drain: CancellationToken) {
    let connection = Rc::new(connection);
    let service = service_fn(move |request: Request<Incoming>| {
        let (worker, connection) = (Rc::clone(&worker), Rc::clone(&connection));
        async move { Ok::<_, Infallible>(answer(worker, connection, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(MAX_FIELDS)
        .max_header_size(MAX_HEAD)
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    tokio::select! {
        biased;
        _ = &mut served => return,
        () = drain.cancelled() => served.as_mut().graceful_shutdown(),
    }
    // How a client's connection ended is told by the records of its requests.
    let _ = served.await;
}

async fn answer(worker: Rc<Worker>, connection: Rc<Connection>, request: Request<Incoming>) -> Response<AnswerBody> {
    let (parts, body) = request.into_parts();
    let mut raw = proxy::RawRequest {
        method: parts.method.as_str().into(),
        target: parts.uri.path().into(),
        head: head_of(&parts),
        fields: Fields::default(),
    };
    // The client's address is needed for the log line even when the head is refused.
    let fields = fields_of(&parts.headers);
    match &mut raw.head {
        Ok(head) => head.fields = fields,
        Err(_) => raw.fields = fields,
    }
    let (head, body) = proxy::handle(&worker, &connection, raw, |counter| RequestBody::new(body, counter)).await;
    response(head, body)
}

/// Reads a request head into our own form; nothing that can be read in two ways passes.
fn head_of(parts: &Parts) -> Result<RequestHead, Reason> {
    let mut hosts = parts.headers.get_all(http::header::HOST).iter();
    let field = hosts.next();
    if hosts.next().is_some() || (field.is_none() && parts.version == http::Version::HTTP_11) {
        return Err(Reason::BadRequest);
    }
    if parts.method == http::Method::CONNECT {
        return Err(Reason::MethodRefused);
    }
    // An absolute target names the host, whatever the field says (RFC 9112 §3.2.2).
    let authority = match (parts.uri.authority(), field) {
        (Some(authority), _) => authority.as_str(),
        (None, Some(field)) => field.to_str().map_err(|_| Reason::BadRequest)?,
        (None, None) => "",
    };
    // An empty Host field is what a client without a host sends (RFC 9112 §3.2).
    let host = if authority.is_empty() { "".into() } else { host::parse(authority.as_bytes())?.host.into() };
    let target = match parts.uri.path() {
        "*" if parts.method == http::Method::OPTIONS => "*".into(),
        "" => "/".into(),
        raw => path::canonicalize(raw.as_bytes())?.into(),
    };
    Ok(RequestHead {
        method: parts.method.as_str().into(),
        authority: authority.into(),
        host,
        path: target,
        query: parts.uri.query().map(Into::into),
        fields: Fields::default(),
    })
}

fn fields_of(headers: &HeaderMap) -> Fields {
    let mut fields = Fields::with_capacity(headers.len() + 8, 1024);
    for (name, value) in headers {
        fields.push(name.as_str().as_bytes(), value.as_bytes());
    }
    fields
}

fn response(head: ResponseHead, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in head.fields.iter() {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
