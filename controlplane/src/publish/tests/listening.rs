use std::{fs, io, os::unix::fs::PermissionsExt, sync::Arc};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use shared::protocol::{Material, StoreId};

use super::{
    super::Publisher,
    fixture::{DEADLINE, Fixture, Past, eventually, snapshot},
};

/// A publisher that listens nowhere yet.
fn another() -> Publisher {
    let store = StoreId(uuid::Uuid::new_v4());
    Publisher::new(snapshot(store, 1), Material::default(), Arc::new(Past::default()))
}

#[tokio::test]
async fn the_socket_is_its_owners_only_and_nothing_else_is_left() {
    let fixture = Fixture::start().await;
    fixture.data_plane().await;
    assert_eq!(fs::metadata(fixture.socket()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(fixture.directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn shutdown_closes_connections_and_removes_the_socket() {
    let fixture = Fixture::start().await;
    let (mut greeted, mut silent) = (fixture.data_plane().await, fixture.dial().await);
    fixture.shutdown.cancel();
    greeted.closed().await;
    silent.closed().await;
    let path = fixture.socket();
    timeout(DEADLINE, fixture.server).await.expect("in time").unwrap().unwrap();
    assert!(!path.exists());
    assert_eq!(fixture.publisher.connected(), 0);
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced() {
    let fixture = Fixture::start().await;
    let path = fixture.directory.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(another().serve(path.clone(), shutdown.clone()));
    eventually("somebody listens", || std::os::unix::net::UnixStream::connect(&path).is_ok()).await;
    shutdown.cancel();
    server.await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_live_socket_is_not_taken_over() {
    let fixture = Fixture::start().await;
    let error = another().serve(fixture.socket(), CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(text.contains("control.sock") && text.contains("another process listens there"), "{text}");
    fixture.data_plane().await;
}

#[tokio::test]
async fn what_is_no_socket_is_not_removed() {
    let fixture = Fixture::start().await;
    let path = fixture.directory.path().join("notes.txt");
    fs::write(&path, "keep").unwrap();
    let error = another().serve(path.clone(), CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&path).unwrap(), "keep");

    let missing = fixture.directory.path().join("no/such/control.sock");
    let error = another().serve(missing, CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
