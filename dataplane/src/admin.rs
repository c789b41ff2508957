//! The admin endpoint: metrics, live state, liveness, readiness.

use std::{
    convert::Infallible,
    fmt::Write,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tracing::warn;

use crate::{apply::Status, instant::Instant, metrics::Metrics, snapshot::Snapshot, status};

/// How long a request head may take.
const HEAD: Duration = Duration::from_secs(10);
/// Connections at one time.
const CONNECTIONS: usize = 64;
/// How long a connection may take in all: whoever does not read the answer gives its place back.
const LIFE: Duration = Duration::from_secs(30);
/// Texts of metrics and live state that exist at one time, for each may have many megabytes; the other places are left for
/// health.
const SCRAPES: usize = 4;

/// What is served.
#[derive(Clone)]
pub(crate) struct Sources {
    /// Counters.
    pub(crate) metrics: Metrics,
    /// What readiness is judged by.
    pub(crate) status: watch::Receiver<Status>,
    /// What acts.
    pub(crate) snapshots: Arc<ArcSwap<Snapshot>>,
}

/// The admin endpoint, bound and not yet serving.
pub(crate) struct Admin {
    listener: TcpListener,
}

impl Admin {
    /// Binds `address`.
    ///
    /// # Errors
    /// It cannot be bound; the message names it and the flag.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("the admin address {address} cannot be bound: {error}; see --admin-address"),
            )
        })?;
        Ok(Self { listener })
    }

    /// Serves until dropped.
    pub(crate) async fn serve(self, sources: Sources) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let scrapes = Arc::new(Semaphore::new(SCRAPES));
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "accepting on the admin address failed; pausing");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            // No waiting for a place: a health check would wait with it. It is closed, and sees that soon.
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let (sources, scrapes) = (sources.clone(), Arc::clone(&scrapes));
            tokio::spawn(async move {
                // A scrape's place is kept until its connection is done with the text, which is when the connection ends.
                let held = Arc::new(Mutex::new(None));
                let service = service_fn(|request| {
                    let (sources, scrapes, held) = (sources.clone(), Arc::clone(&scrapes), Arc::clone(&held));
                    async move { Ok::<_, Infallible>(answer(&request, sources, scrapes, &held).await) }
                });
                let mut served = http1::Builder::new();
                served.timer(TokioTimer::new()).header_read_timeout(HEAD);
                let _ = timeout(LIFE, served.serve_connection(TokioIo::new(stream), service)).await;
                drop((held, place));
            });
        }
    }
}

async fn answer(
    request: &Request<Incoming>,
    sources: Sources,
    scrapes: Arc<Semaphore>,
    held: &Mutex<Option<OwnedSemaphorePermit>>,
) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
    }
    match request.uri().path() {
        "/metrics" => {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            large(content_type, scrapes, held, move || sources.metrics.render()).await
        }
        "/status" => {
            let render = move || {
                let whole = status::of_all(&sources.snapshots.load(), Instant::now());
                serde_json::to_string(&whole).expect("names are the only keys")
            };
            large("application/json", scrapes, held, render).await
        }
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => readiness(&sources.status.borrow()),
        _ => text(StatusCode::NOT_FOUND, "here are /metrics, /status, /healthz and /readyz\n".to_owned()),
    }
}

/// A text that may be large, if not too many of them are under way.
async fn large(
    content_type: &'static str,
    scrapes: Arc<Semaphore>,
    held: &Mutex<Option<OwnedSemaphorePermit>>,
    render: impl FnOnce() -> String + Send + 'static,
) -> Response<Full<Bytes>> {
    let Ok(turn) = scrapes.try_acquire_owned() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "too many scrapes are under way\n".to_owned());
    };
    *held.lock().unwrap_or_else(PoisonError::into_inner) = Some(turn);
    let Ok(rendered) = tokio::task::spawn_blocking(render).await else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "writing the answer panicked\n".to_owned());
    };
    let mut response = text(StatusCode::OK, rendered);
    let fields = response.headers_mut();
    // The place is given back with the connection; the next scrape makes another.
    fields.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    fields.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

fn readiness(status: &Status) -> Response<Full<Bytes>> {
    let mut reasons = String::new();
    if status.draining {
        reasons.push_str("draining\n");
    }
    if status.revision.is_none() {
        reasons.push_str("no configuration acts yet\n");
    }
    for fault in &status.faults {
        let _ = writeln!(reasons, "listener {} on {} is not accepting: {}", fault.name, fault.address, fault.error);
    }
    if reasons.is_empty() {
        let note = status.log_fault.as_ref().map(|fault| format!("access log: {fault}\n"));
        text(StatusCode::OK, format!("ready\n{}", note.unwrap_or_default()))
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, reasons)
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
