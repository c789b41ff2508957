use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, Response, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::Value;
use shared::{config::Config, seal::SealKey};
use tower::ServiceExt;

use crate::{
    api::{self, Api},
    metrics::Metrics,
    publish::Publisher,
    service::{
        self, Seed, Service,
        tokens::{Tokens, generate},
    },
    store::Store,
};

/// The API over a database in a directory of its own.
pub(super) struct Fixture {
    pub(super) directory: tempfile::TempDir,
    pub(super) store: Store,
    router: Router,
    pub(super) service: std::sync::Arc<Service>,
    pub(super) token: String,
    pub(super) publisher: Publisher,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The revision that a write answered.
    pub(super) fn revision(&self) -> u64 {
        self.header("tidegate-revision").parse().unwrap_or_else(|_| panic!("a revision with {}", self.text))
    }

    /// Asserts a problem with this status and code.
    pub(super) fn is_problem(&self, status: u16, code: &str) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(status.into()), Some(code)));
        assert!(problem["detail"].is_string() && problem["title"].is_string() && problem["type"].is_string());
        self
    }

    /// The pointers of a problem's errors.
    pub(super) fn pointers(&self) -> Vec<String> {
        let problem = self.json();
        let findings = problem["findings"].as_array().unwrap_or_else(|| panic!("findings in {problem}"));
        let errors = findings.iter().filter(|finding| finding["severity"] == "error");
        errors.map(|finding| finding["pointer"].as_str().unwrap().to_owned()).collect()
    }

    /// Asserts the status, and passes the answer on.
    pub(super) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl Fixture {
    pub(super) async fn new() -> Self {
        Self::over(tempfile::tempdir().unwrap()).await
    }

    async fn over(directory: tempfile::TempDir) -> Self {
        let store = Store::open(&directory.path().join("store.db"), Duration::from_millis(200)).await.unwrap();
        let key = SealKey::load_or_create(&directory.path().join("key")).unwrap();
        let seed = Seed { config: Config::default(), summary: "begin empty".to_owned(), only_empty: false };
        let started = service::start(store.clone(), key, seed).await.unwrap();
        let tokens = Tokens::load(store.clone()).await.unwrap();
        let token = generate();
        tokens.set_admin(&token).await.unwrap();
        let publisher =
            Publisher::new(started.snapshot.clone(), started.material.clone(), std::sync::Arc::new(store.clone()));
        let metrics = std::sync::Arc::new(Metrics::new());
        let service = std::sync::Arc::new(Service::new(started, publisher.clone(), metrics.clone()));
        let router = api::router(Api { service: service.clone(), tokens: std::sync::Arc::new(tokens), metrics });
        Self { directory, store, router, service, token, publisher }
    }

    /// The same database in a new process, as it were.
    pub(super) async fn restart(self) -> Self {
        self.store.close().await;
        Self::over(self.directory).await
    }

    /// Sends any request; `path` with a leading `/` is taken as it is, else it is under `/api/v1`.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let (parts, body) = self.open(method, path, fields, body).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// As [`send`](Self::send), without reading the body of the answer.
    pub(super) async fn open(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Response<Body> {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/{path}") };
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        if !fields.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Body::empty()).await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_owned()).await
    }

    pub(super) async fn put(&self, path: &str, body: &str) -> Answer {
        self.send("PUT", path, &[("content-type", "application/json; charset=utf-8")], body.to_owned()).await
    }

    pub(super) async fn patch(&self, path: &str, body: &str) -> Answer {
        self.send("PATCH", path, &[("content-type", "application/merge-patch+json")], body.to_owned()).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Body::empty()).await
    }

    /// The current revision.
    pub(super) async fn revision(&self) -> u64 {
        self.get("revisions?limit=1").await.json()["items"][0]["number"].as_u64().unwrap()
    }

    /// An upstream `shop` with the backend `a`, and the route `shop` to it.
    pub(super) async fn with_shop(self) -> Self {
        self.post("upstreams", r#"{"name":"shop","backends":[{"name":"a","address":"127.0.0.1:9001"}]}"#).await.is(201);
        let route = r#"{"name":"shop","match":{"hosts":["shop.localhost"]},"action":{"forward":{"upstream":"shop"}}}"#;
        self.post("routes", route).await.is(201);
        self
    }
}
