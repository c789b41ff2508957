//! A data plane that reports what a test tells it to, over the real control socket.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::{Value, json};
use shared::{
    config::SCHEMA,
    protocol::{FrameCodec, Hello, InstanceId, Report, ToControl, ToData, VERSION},
    status::{EndpointStatus, Event},
};
use tokio::net::UnixStream;
use tokio_util::{codec::Framed, sync::CancellationToken};
use uuid::Uuid;

use super::fixture::Fixture;

const DEADLINE: Duration = Duration::from_secs(20);
pub(super) const SINCE: &str = "2027-01-01T00:00:00Z";

/// A data plane.
pub(super) struct Reporting {
    pub(super) id: String,
    frames: Framed<UnixStream, FrameCodec<ToData, ToControl>>,
}

/// Begins to listen for data planes.
pub(super) async fn listen(fixture: &Fixture) {
    let socket = fixture.directory.path().join("control.sock");
    let bound = fixture.publisher.clone().bind(socket).await.unwrap();
    tokio::spawn(bound.serve(CancellationToken::new()));
}

impl Reporting {
    /// The data plane of this number, connected.
    pub(super) async fn connect(fixture: &Fixture, number: u128) -> Self {
        let stream = UnixStream::connect(fixture.directory.path().join("control.sock")).await.unwrap();
        let mut frames = Framed::new(stream, FrameCodec::default());
        let instance = InstanceId(Uuid::from_u128(number));
        let version = "test".to_owned();
        let hello = Hello { protocol: VERSION, schema: SCHEMA, version, instance, applied: None, persisted: None };
        frames.send(&ToControl::Hello(hello)).await.unwrap();
        Self { id: instance.to_string(), frames }
    }

    /// Sends a report.
    pub(super) async fn report(&mut self, report: Report) {
        self.frames.send(&ToControl::Report(report)).await.unwrap();
    }

    /// Reports `endpoints` of `upstream`.
    pub(super) async fn endpoints(&mut self, upstream: &str, endpoints: Vec<EndpointStatus>) {
        let change = json!({ "upstream": upstream, "endpoints": endpoints });
        self.report(Report { upstreams: vec![serde_json::from_value(change).unwrap()], ..Report::default() }).await;
    }

    /// Reports so many transitions of `upstream`, each with a reason of its own.
    pub(super) async fn transitions(&mut self, upstream: &str, count: usize) {
        let event = |number: usize| -> Event {
            let event = json!({
                "upstream": upstream, "backend": "a", "address": "127.0.0.1:9001", "at": SINCE, "input": "breaker",
                "from": "closed", "to": "open", "reason": format!("r{number}"),
            });
            serde_json::from_value(event).unwrap()
        };
        self.report(Report { events: (0..count).map(event).collect(), ..Report::default() }).await;
    }
}

/// An endpoint of the backend `backend` that got so many requests.
pub(super) fn endpoint(backend: &str, requests: u64) -> EndpointStatus {
    serde_json::from_value(json!({
        "backend": backend, "address": "127.0.0.1:9001", "weight": 1.0, "backup": false,
        "state": "serving", "reason": "active", "since": SINCE, "admin": "active",
        "health": { "state": "unchecked", "since": SINCE },
        "breaker": {
            "state": "closed", "since": SINCE, "calls": 0, "failed": 0, "slow": 0, "permits": 0, "consecutive_openings": 0,
        },
        "load": { "requests": requests },
    }))
    .unwrap()
}

/// Asks for `path` until the answer is as `condition` wants it.
pub(super) async fn eventually(fixture: &Fixture, path: &str, condition: impl Fn(&Value) -> bool) -> Value {
    let met = async {
        loop {
            let shown = fixture.get(path).await.is(200).json();
            if condition(&shown) {
                return shown;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, met).await.unwrap()
}
