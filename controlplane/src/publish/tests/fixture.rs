//! A served publisher, and a data plane that says exactly what a test tells it to.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use tempfile::TempDir;
use tokio::{
    net::UnixStream,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::{codec::Framed, sync::CancellationToken};
use uuid::Uuid;

use shared::{
    Findings,
    config::{Config, SCHEMA},
    protocol::{
        self, Applied, BodyHash, FrameCodec, Held, Hello, InstanceId, ListenerFault, Material, Rejected, Revision,
        Snapshot, StoreId, ToControl, ToData,
    },
};

use super::super::{BodyHashFuture, DataPlane, History, Limits, Publisher, Unreadable};

/// Longer than anything takes on a busy machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// The revision that the store of a test fails to read.
pub(super) const UNREADABLE: Revision = Revision(3_000);

/// What the store of a test remembers.
#[derive(Default)]
pub(super) struct Past(pub(super) Mutex<HashMap<Revision, BodyHash>>);

impl History for Past {
    fn body_hash(&self, revision: Revision) -> BodyHashFuture<'_> {
        let unreadable = revision == UNREADABLE;
        Box::pin(async move {
            if unreadable { Err(Unreadable) } else { Ok(self.0.lock().unwrap().get(&revision).copied()) }
        })
    }
}

/// A publisher that serves a socket in a directory of its own.
pub(super) struct Fixture {
    pub(super) publisher: Publisher,
    pub(super) store: StoreId,
    pub(super) past: Arc<Past>,
    pub(super) shutdown: CancellationToken,
    pub(super) server: JoinHandle<io::Result<()>>,
    pub(super) directory: TempDir,
}

impl Fixture {
    /// Serves revision 1 with the usual limits.
    pub(super) async fn start() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub(super) async fn with_limits(limits: Limits) -> Self {
        let store = StoreId(Uuid::new_v4());
        let past = Arc::new(Past::default());
        let directory = tempfile::tempdir().unwrap();
        let publisher = Publisher::with_limits(snapshot(store, 1), Material::default(), past.clone(), limits);
        let shutdown = CancellationToken::new();
        let socket = directory.path().join("control.sock");
        let server = tokio::spawn(publisher.clone().serve(socket.clone(), shutdown.clone()));
        eventually("the socket is there", || socket.exists()).await;
        Self { publisher, store, past, shutdown, server, directory }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    pub(super) fn publish(&self, revision: u64) {
        self.publisher.publish(self.snapshot(revision), Material::default());
    }

    pub(super) fn snapshot(&self, revision: u64) -> Arc<Snapshot> {
        snapshot(self.store, revision)
    }

    /// A connection that said nothing yet.
    pub(super) async fn dial(&self) -> Scripted {
        let stream = UnixStream::connect(self.socket()).await.unwrap();
        Scripted { instance: InstanceId(Uuid::new_v4()), frames: Framed::new(stream, FrameCodec::default()) }
    }

    /// A new data plane that said hello, is entered, and was sent material and snapshot.
    pub(super) async fn data_plane(&self) -> Scripted {
        let mut data_plane = self.dial().await;
        data_plane.hello(None).await;
        data_plane.material().await;
        data_plane.snapshot().await;
        data_plane
    }

    /// What is shown of `instance` as soon as `condition` holds for it.
    pub(super) async fn shown(&self, instance: InstanceId, condition: impl Fn(&DataPlane) -> bool) -> DataPlane {
        let find = || self.publisher.data_planes().into_iter().find(|shown| shown.id == instance);
        eventually("the data plane is shown so", || find().as_ref().is_some_and(&condition)).await;
        find().unwrap()
    }
}

/// Revision `revision` of `store`; no two have the same body.
pub(super) fn snapshot(store: StoreId, revision: u64) -> Arc<Snapshot> {
    Arc::new(Snapshot::new(store, Revision(revision), &config(&format!("u{revision}"))))
}

/// A configuration of one upstream.
pub(super) fn config(upstream: &str) -> Config {
    serde_json::from_value(serde_json::json!({"upstreams": [{"name": upstream}]})).unwrap()
}

/// Material of one secret.
pub(super) fn material(secret: &str) -> Material {
    Material { secrets: [("id".to_owned(), secret.to_owned())].into(), ..Material::default() }
}

/// A listener that does not accept.
pub(super) fn fault() -> ListenerFault {
    ListenerFault {
        name: "web".parse().unwrap(),
        address: "127.0.0.1:8080".parse().unwrap(),
        error: "address in use".to_owned(),
    }
}

/// A data plane whose every word is in the test.
pub(super) struct Scripted {
    pub(super) instance: InstanceId,
    pub(super) frames: Framed<UnixStream, FrameCodec<ToData, ToControl>>,
}

impl Scripted {
    pub(super) async fn send(&mut self, frame: ToControl) {
        self.frames.send(&frame).await.unwrap();
    }

    pub(super) fn greeting(&self, applied: Option<Held>) -> Hello {
        Hello {
            protocol: protocol::VERSION,
            schema: SCHEMA,
            version: "0.1.0".to_owned(),
            instance: self.instance,
            applied,
            persisted: applied.map(|held| held.revision),
        }
    }

    pub(super) async fn hello(&mut self, applied: Option<Held>) {
        let hello = self.greeting(applied);
        self.send(ToControl::Hello(hello)).await;
    }

    /// The next frame; none when the control plane closed the connection.
    pub(super) async fn next(&mut self) -> Option<ToData> {
        match timeout(DEADLINE, self.frames.next()).await.expect("a frame in time") {
            Some(Ok(frame)) => Some(frame),
            // A close with unread bytes in the queue is a reset.
            Some(Err(protocol::FrameError::Io(_))) | None => None,
            Some(Err(error)) => panic!("{error}"),
        }
    }

    pub(super) async fn snapshot(&mut self) -> Snapshot {
        match self.next().await {
            Some(ToData::Snapshot(snapshot)) => snapshot,
            other => panic!("a snapshot, not {other:?}"),
        }
    }

    pub(super) async fn material(&mut self) -> Material {
        match self.next().await {
            Some(ToData::Material(material)) => material,
            other => panic!("material, not {other:?}"),
        }
    }

    pub(super) async fn apply(&mut self, snapshot: &Snapshot, listeners: Vec<ListenerFault>) {
        let (revision, hash) = (snapshot.revision, snapshot.hash);
        self.send(ToControl::Applied(Applied { revision, hash, duration_us: 42, listeners })).await;
    }

    pub(super) async fn reject(&mut self, revision: u64, message: &str) {
        let findings = Findings::of_error("/upstreams/0", message);
        self.send(ToControl::Rejected(Rejected { revision: Revision(revision), findings })).await;
    }

    /// Waits until the control plane closes the connection, whatever it still sends.
    pub(super) async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }
}

/// Waits until `condition` holds.
pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("in time: {what}"));
}
