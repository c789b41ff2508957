use ::http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use bytes::Bytes;
use futures_util::FutureExt;
use h2::RecvStream;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use shared::config::{HttpCheck, UpstreamProtocol};
use tokio_util::task::AbortOnDropHandle;

use super::{
    grpc,
    probe::{Connection, Outcome, Plan},
};

/// Bytes of a body that are looked through.
const BODY: usize = 64 << 10;
const AGENT: HeaderValue = HeaderValue::from_static("tidegate-health-check");

/// The rest of a response, in whatever version.
enum Body {
    Http1(Incoming),
    Http2(RecvStream),
}

/// Asks, and judges the answer.
pub(super) async fn probe(connection: Connection, check: &HttpCheck, plan: &Plan) -> Outcome {
    let authority = check.host.as_ref().unwrap_or(&plan.authority);
    // The task that moves the connection's bytes ends with the check.
    let (response, _driver) = match plan.protocol {
        UpstreamProtocol::H1 => {
            let request = request(check, check.path.parse().ok(), Some(authority))?;
            let handshake = hyper::client::conn::http1::handshake(TokioIo::new(connection));
            let (mut sender, driver) = handshake.await.map_err(|error| failure(&error))?;
            let driver = AbortOnDropHandle::new(tokio::spawn(driver.map(drop)));
            let response = sender.send_request(request).await.map_err(|error| failure(&error))?;
            (response.map(Body::Http1), driver)
        }
        UpstreamProtocol::H2c => {
            let uri = Uri::builder().scheme("http").authority(authority.as_str()).path_and_query(check.path.as_str());
            let request = request(check, uri.build().ok(), None)?;
            let (response, driver) = grpc::ask(connection, request.map(drop), Bytes::new()).await?;
            (response.map(Body::Http2), driver)
        }
    };
    judge(response, check).await
}

fn request(check: &HttpCheck, uri: Option<Uri>, host: Option<&String>) -> Result<Request<Empty<Bytes>>, String> {
    let bad = || "the request cannot be written".to_owned();
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::from_bytes(check.method.as_str().as_bytes()).map_err(|_| bad())?;
    *request.uri_mut() = uri.ok_or_else(bad)?;
    let fields = request.headers_mut();
    fields.insert(header::USER_AGENT, AGENT);
    if let Some(host) = host {
        fields.insert(header::HOST, HeaderValue::from_str(host).map_err(|_| bad())?);
        fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    for (name, value) in &check.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| bad())?;
        fields.insert(name, HeaderValue::from_str(value).map_err(|_| bad())?);
    }
    Ok(request)
}

/// Whether `response` passes.
async fn judge(response: Response<Body>, check: &HttpCheck) -> Outcome {
    let status = response.status().as_u16();
    let seen = format!("status {status}");
    if !check.expect.iter().any(|range| range.contains(status)) {
        return Err(seen);
    }
    let Some(text) = &check.body_contains else { return Ok(seen) };
    let (mut rest, mut body) = (response.into_body(), Vec::new());
    while body.len() < BODY {
        let Some(data) = rest.next().await? else { break };
        body.extend_from_slice(&data[..data.len().min(BODY - body.len())]);
        if body.windows(text.len()).any(|window| window == text.as_bytes()) {
            return Ok(seen);
        }
    }
    Err(format!("{seen}, and the body does not contain the text"))
}

impl Body {
    /// The next part; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, String> {
        match self {
            Self::Http1(body) => match body.frame().await {
                Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
                Some(Err(error)) => Err(failure(&error)),
                None => Ok(None),
            },
            Self::Http2(body) => match body.data().await {
                Some(Ok(data)) => {
                    let _ = body.flow_control().release_capacity(data.len());
                    Ok(Some(data))
                }
                Some(Err(error)) => Err(error.to_string()),
                None => Ok(None),
            },
        }
    }
}

fn failure(error: &hyper::Error) -> String {
    if error.is_incomplete_message() { "connection ended without an answer".to_owned() } else { error.to_string() }
}
