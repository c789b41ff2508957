//! A control socket that lies: the data plane refuses, says why, and what acted before goes on.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
};

use bytes::BytesMut;
use harness::{DEADLINE, DataPlane, Origin, free_port, get, wait_for};
use serde_json::{Value, json};
use shared::protocol::{BodyHash, FrameCodec, Revision, Snapshot, StoreId, ToControl, ToData};
use tokio_util::codec::{Decoder, Encoder};

type Codec = FrameCodec<ToControl, ToData>;

/// A control plane that says whatever a test wants.
struct Liar {
    listener: UnixListener,
    directory: tempfile::TempDir,
}

/// One connection of the data plane.
struct Session {
    stream: UnixStream,
    received: BytesMut,
}

impl Liar {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("control.sock")).unwrap();
        Self { listener, directory }
    }

    fn data_plane(&self) -> DataPlane {
        DataPlane::follow(&self.directory.path().join("control.sock"), &self.state(), &["--workers", "1"])
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// The next connection, after its hello.
    fn accept(&self) -> Session {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut session = Session { stream, received: BytesMut::new() };
        assert!(matches!(session.next(), Some(ToControl::Hello(_))));
        session
    }
}

impl Session {
    fn send(&mut self, frame: &ToData) {
        let mut bytes = BytesMut::new();
        Codec::default().encode(frame, &mut bytes).unwrap();
        self.stream.write_all(&bytes).unwrap();
    }

    fn send_raw(&mut self, bytes: &[u8]) {
        // The data plane may hang up before it has read all of it.
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame but reports and persisted; none when the data plane hangs up.
    fn next(&mut self) -> Option<ToControl> {
        loop {
            match Codec::default().decode(&mut self.received).unwrap() {
                Some(ToControl::Report(_) | ToControl::Persisted(_)) => continue,
                Some(frame) => return Some(frame),
                None => {}
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.received.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the data plane neither answered nor hung up: {error}"),
            }
        }
    }

    /// The findings with which the data plane refuses `snapshot`.
    fn refusal(&mut self, snapshot: Snapshot) -> String {
        self.send(&ToData::Snapshot(snapshot));
        match self.next() {
            Some(ToControl::Rejected(rejected)) => rejected.findings.to_string(),
            other => panic!("expected a refusal: {other:?}"),
        }
    }
}

fn snapshot(store: StoreId, revision: u64, config: &Value) -> Snapshot {
    let body = serde_json::value::to_raw_value(config).unwrap();
    let hash = BodyHash::of(body.get().as_bytes());
    Snapshot { store, revision: Revision(revision), hash, schema: 1, adopt: false, body }
}

#[test]
fn hostile_snapshots_are_refused_with_findings_and_the_old_revision_stays() {
    let origin = Origin::named("a");
    let liar = Liar::new();
    let plane = liar.data_plane();
    let store = StoreId(uuid::Uuid::from_u128(1));
    let web = format!("127.0.0.1:{}", free_port());
    let good = json!({
        "listeners": [{ "name": "web", "address": web }],
        "upstreams": [{ "name": "up", "backends": [{ "name": "b", "address": origin.address() }] }],
        "routes": [{ "name": "r", "action": { "forward": { "upstream": "up" } } }],
    });
    let serves = || assert_eq!(get(&web, "h", "/").unwrap().text(), "a");
    let mut session = liar.accept();
    session.send(&ToData::Snapshot(snapshot(store, 5, &good)));
    assert!(matches!(session.next(), Some(ToControl::Applied(applied)) if applied.revision == Revision(5)));
    serves();

    let with = |pointer: &str, value: Value| {
        let mut config = good.clone();
        *config.pointer_mut(pointer).unwrap() = value;
        config
    };
    let mut unknown = good.clone();
    unknown["routes"][0]["magic"] = json!(true);
    for (config, expected) in [
        (with("/routes/0/action/forward/upstream", json!("none")), "/routes/0/action/forward/upstream"),
        (with("/listeners/0/address", json!("nowhere")), "/listeners/0/address"),
        (with("/upstreams/0/backends/0/address", json!(7)), "/upstreams/0/backends/0/address"),
        (unknown, "/routes/0/magic"),
        (json!([]), ""),
        (json!("text"), ""),
        (json!({ "listeners": [good["listeners"][0], good["listeners"][0]] }), "/listeners/1"),
        (json!({ "settings": { "access_log": { "file": "/etc/passwd" } } }), "/settings/access_log/file"),
        (json!({ "settings": { "access_log": { "file": "../up" } } }), "/settings/access_log/file"),
    ] {
        let findings = session.refusal(snapshot(store, 6, &config));
        assert!(findings.contains(expected), "{config}: {findings}");
        serves();
    }

    let mut wrong_hash = snapshot(store, 6, &good);
    wrong_hash.hash = BodyHash::of(b"another body");
    assert!(session.refusal(wrong_hash).contains("hash"));
    let other_store = StoreId(uuid::Uuid::from_u128(2));
    assert!(session.refusal(snapshot(other_store, 9, &json!({}))).contains("adopted"));
    assert!(session.refusal(snapshot(store, 4, &json!({}))).contains("adopted"));
    serves();

    let whole = {
        let mut bytes = BytesMut::new();
        Codec::default().encode(&ToData::Snapshot(snapshot(store, 7, &json!({}))), &mut bytes).unwrap();
        bytes
    };
    let random: Vec<u8> = (1..4096).map(|at| (at * 7919 % 251) as u8).collect();
    let framed_random = [&(random.len() as u32).to_be_bytes()[..], &random].concat();
    let deep = format!("{{\"snapshot\":{}", "[".repeat(200_000));
    let framed = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
    let too_large = [&u32::MAX.to_be_bytes()[..], &[b'x'; 1000]].concat();
    let lies: Vec<Vec<u8>> = vec![
        random,
        framed_random,
        too_large,
        framed("{}"),
        framed("null"),
        framed("not json"),
        framed("{\"hello\":{}}"),
        framed("{\"snapshot\":{\"store\":1}}"),
        framed(&deep),
        framed("{\"checked\":{\"id\":1,\"findings\":[],\"listeners\":[]}}"),
    ];
    for lie in &lies {
        session.send_raw(lie);
        assert!(
            session.next().is_none(),
            "the data plane hangs up: {:?}",
            String::from_utf8_lossy(&lie[..lie.len().min(60)])
        );
        serves();
        session = liar.accept();
    }
    for cut in [1, 4, 10, whole.len() - 1] {
        session.send_raw(&whole[..cut]);
        session.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(session.next().is_none());
        serves();
        session = liar.accept();
    }

    session.send(&ToData::Snapshot(snapshot(store, 8, &good)));
    assert!(matches!(session.next(), Some(ToControl::Applied(applied)) if applied.revision == Revision(8)));
    assert!(plane.metrics().contains("tidegate_panics_total 0"));
    assert!(plane.metrics().contains("tidegate_revision 8"));
}

#[test]
fn a_check_binds_and_holds_and_says_what_it_could_not() {
    let liar = Liar::new();
    let mut plane = liar.data_plane();
    let mut session = liar.accept();
    session.send(&ToData::Snapshot(snapshot(StoreId(uuid::Uuid::from_u128(1)), 1, &json!({}))));
    assert!(matches!(session.next(), Some(ToControl::Applied(_))));
    plane.wait_until_ready();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = format!("127.0.0.1:{}", free_port());
    let config = json!({ "listeners": [
        { "name": "free", "address": free }, { "name": "taken", "address": taken.local_addr().unwrap() },
    ]});
    let check = shared::protocol::Check { id: 7, body: serde_json::value::to_raw_value(&config).unwrap() };
    session.send(&ToData::Check(check));
    let Some(ToControl::Checked(checked)) = session.next() else { panic!("checked") };
    assert_eq!((checked.id, checked.findings.is_empty(), checked.listeners.len()), (7, true, 1));
    assert_eq!(checked.listeners[0].name.as_str(), "taken");
    // Held, and no longer after a while.
    let bind = || std::net::TcpListener::bind(&free);
    assert!(bind().is_err());
    wait_for("the held socket is let go", DEADLINE, || bind().ok());
}
