use std::io;

use http::{HeaderValue, Request, Response, header};
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::body::{RequestBody, ResponseBody};
use crate::{
    error::Reason,
    head::{Fields, RequestHead, ResponseHead},
};

/// Most bytes of a response head and of what is read ahead.
const MAX_BUFFER: usize = 64 << 10;

/// One end of an upstream connection: takes one request at a time.
pub(crate) type RequestSender = http1::SendRequest<RequestBody>;

/// Why no response head came.
pub(crate) struct SendFault {
    /// What went wrong.
    pub(crate) reason: Reason,
    /// The request's body, if nothing of the request was written.
    pub(crate) unsent: Option<RequestBody>,
}

/// Makes `stream` a connection that takes requests; its driver runs on this worker until the connection ends.
///
/// # Errors
/// The connection ended at once.
pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> io::Result<RequestSender> {
    let (mut sender, connection) = http1::Builder::new()
        .writev(false)
        .max_buf_size(MAX_BUFFER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::task::spawn_local(async move {
        // The exchange that is under way reports the error; an idle connection has nobody to tell.
        let _ = connection.await;
    });
    sender.ready().await.map_err(io::Error::other)?;
    Ok(sender)
}

/// Sends one request and waits for the head of its response.
pub(crate) async fn exchange(
    sender: &mut RequestSender,
    head: &RequestHead,
    host: &str,
    body: RequestBody,
) -> Result<(ResponseHead, ResponseBody), SendFault> {
    let request =
        request(head, host, body).map_err(|unsent| SendFault { reason: Reason::BadRequest, unsent: Some(unsent) })?;
    match sender.try_send_request(request).await {
        Ok(response) => Ok(parted(response)),
        Err(fault) => Err(classified(fault)),
    }
}

fn request(head: &RequestHead, host: &str, body: RequestBody) -> Result<Request<RequestBody>, RequestBody> {
    let target = match &head.query {
        Some(query) => format!("{}?{query}", head.path),
        None => head.path.to_string(),
    };
    let mut request = Request::new(body);
    let parsed = (head.method.parse(), target.parse(), HeaderValue::from_str(host));
    let (Ok(method), Ok(uri), Ok(host)) = parsed else { return Err(request.into_body()) };
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::HOST, host);
    for (name, value) in head.fields.iter() {
        let parsed = (header::HeaderName::from_bytes(name), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = parsed
            && name != header::HOST
        {
            headers.append(name, value);
        }
    }
    if headers.contains_key(header::TE) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
    Ok(request)
}

fn parted(response: Response<ResponseBody>) -> (ResponseHead, ResponseBody) {
    let (parts, body) = response.into_parts();
    let mut fields = Fields::with_capacity(parts.headers.len() + 2, 512);
    for (name, value) in &parts.headers {
        fields.push(name.as_str().as_bytes(), value.as_bytes());
    }
    (ResponseHead { status: parts.status.as_u16(), fields }, body)
}

fn classified(mut fault: TrySendError<Request<RequestBody>>) -> SendFault {
    let unsent = fault.take_message().map(Request::into_body);
    let error = fault.error();
    let reason =
        if error.is_parse() || error.is_parse_too_large() { Reason::BadResponse } else { Reason::UpstreamReset };
    SendFault { reason, unsent }
}
