use std::{
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use clap::Parser;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

use super::*;

#[derive(Parser)]
#[command(args_override_self = true)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

/// A control plane in this process.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

async fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap()
}

fn options(data_dir: &Path, address: SocketAddr, more: &[&str]) -> Options {
    let address = address.to_string();
    let data_dir = data_dir.to_str().unwrap();
    let arguments = ["controlplane", "--data-dir", data_dir, "--api-address", &address];
    Arguments::try_parse_from(arguments.iter().chain(more)).unwrap().options
}

impl Running {
    /// Starts and waits until it is ready.
    async fn start(data_dir: &Path, more: &[&str]) -> Self {
        let address = free_address().await;
        let (stop, stopped) = oneshot::channel();
        let options = options(data_dir, address, more);
        let task = tokio::spawn(control_plane(options, async move { drop(stopped.await) }));
        let running = Self { address, stop, task };
        let ready = async {
            loop {
                assert!(!running.task.is_finished(), "the control plane ended at its start");
                if running.request("GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.is_ok() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ready).await.unwrap();
        running
    }

    async fn request(&self, text: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(text.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    async fn get(&self, path: &str, token: &str) -> String {
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n");
        self.request(&head).await.unwrap()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

/// Why a control plane does not start.
async fn refusal(data_dir: &Path, more: &[&str]) -> String {
    let options = options(data_dir, free_address().await, more);
    let ended = tokio::time::timeout(Duration::from_secs(20), control_plane(options, std::future::pending()));
    format!("{:#}", ended.await.unwrap().unwrap_err())
}

fn token(data_dir: &Path) -> String {
    fs::read_to_string(data_dir.join("admin.token")).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_first_start_makes_a_token_and_a_listener_and_the_second_keeps_them() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let running = Running::start(&data_dir, &["--initial-listener", "127.0.0.1:8080"]).await;
    let first = token(&data_dir);
    assert!(first.starts_with("tg_") && first.len() > 40, "{first}");
    assert_eq!(fs::metadata(data_dir.join("admin.token")).unwrap().permissions().mode() & 0o777, 0o600);
    let config = running.get("/api/v1/config", &first).await;
    assert!(config.ends_with(r#"{"listeners":[{"name":"web","address":"127.0.0.1:8080"}]}"#), "{config}");
    running.stop().await;

    let running = Running::start(&data_dir, &["--initial-listener", "127.0.0.1:9090"]).await;
    assert_eq!(token(&data_dir), first);
    let config = running.get("/api/v1/config", &first).await;
    assert!(config.starts_with("HTTP/1.1 200") && config.contains("etag: \"1\"\r\n"), "{config}");
    assert!(config.contains("127.0.0.1:8080"), "{config}");
    running.stop().await;
}

#[tokio::test]
async fn a_lost_token_is_replaced_only_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path();
    Running::start(data_dir, &[]).await.stop().await;
    let first = token(data_dir);
    fs::remove_file(data_dir.join("admin.token")).unwrap();
    let running = Running::start(data_dir, &[]).await;
    assert!(!data_dir.join("admin.token").exists());
    assert!(running.get("/api/v1/config", &first).await.starts_with("HTTP/1.1 200"));
    running.stop().await;
    let running = Running::start(data_dir, &["--new-admin-token"]).await;
    let second = token(data_dir);
    assert!(running.get("/api/v1/config", &first).await.starts_with("HTTP/1.1 401"));
    assert!(running.get("/api/v1/config", &second).await.starts_with("HTTP/1.1 200"));
    running.stop().await;
}

#[tokio::test]
async fn a_file_fills_an_empty_store_only() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let file = directory.path().join("site.yaml");
    let file_name = file.to_str().unwrap();
    fs::write(&file, "upstreams: [{name: shop, balance: {policy: magic}}]").unwrap();
    let error = refusal(&data_dir, &["--config", file_name]).await;
    assert!(error.contains("site.yaml is not valid: /upstreams/0/balance/policy: unknown variant `magic`"), "{error}");
    let error = refusal(&data_dir, &["--config", "/nowhere/x"]).await;
    assert!(error.contains("/nowhere/x cannot be read"), "{error}");

    fs::write(&file, "upstreams: [{name: shop}]").unwrap();
    let running = Running::start(&data_dir, &["--config", file_name]).await;
    let config = running.get("/api/v1/upstreams/shop", &token(&data_dir)).await;
    assert!(config.ends_with(r#"{"name":"shop"}"#), "{config}");
    running.stop().await;
    let error = refusal(&data_dir, &["--config", file_name]).await;
    assert!(error.contains("revision 1") && error.contains("tidegate apply -f FILE"), "{error}");
}

#[tokio::test]
async fn what_is_in_use_or_damaged_stops_the_start_with_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let running = Running::start(&data_dir, &[]).await;
    let error = refusal(&data_dir, &[]).await;
    assert!(error.contains("is in use by another control plane"), "{error}");
    let taken = running.address.to_string();
    let other = directory.path().join("other");
    let error = refusal(&other, &["--api-address", &taken]).await;
    assert!(error.contains(&format!("the REST API cannot be served on {taken}")), "{error}");
    running.stop().await;

    fs::write(data_dir.join("tidegate.db"), "no database".repeat(1000)).unwrap();
    let error = refusal(&data_dir, &[]).await;
    assert!(error.contains("tidegate.db cannot be used: the database file is damaged, or no database"), "{error}");
    fs::write(other.join("secret.key"), "short").unwrap();
    let error = refusal(&other, &[]).await;
    assert!(error.contains("secret.key"), "{error}");
}

#[tokio::test]
async fn a_request_under_way_is_finished_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), &[]).await;
    let token = token(directory.path());
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let head = format!(
        "PUT /api/v1/upstreams/u HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The handler asks for the body: from now on the request is under way.
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).await.unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    running.stop.send(()).unwrap();
    stream.write_all(b"{}").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201") && answer.contains("connection: close"), "{answer}");
    running.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_ends_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("d".repeat(120));
    let sentence = refusal(&long, &[]).await;
    assert!(sentence.contains("control socket") && sentence.contains("ddd"), "{sentence}");
}

#[tokio::test]
async fn a_database_that_is_replaced_ends_the_process_with_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path();
    let running = Running::start(data_dir, &["--initial-listener", "127.0.0.1:1"]).await;
    let database = data_dir.join("tidegate.db");
    fs::copy(&database, data_dir.join("backup")).unwrap();
    fs::rename(data_dir.join("backup"), &database).unwrap();
    assert!(running.get("/readyz", "").await.starts_with("HTTP/1.1 503"));
    let head = format!(
        "DELETE /api/v1/listeners/web HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
        token(data_dir)
    );
    let answer = running.request(&head).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("was replaced"), "{answer}");
    let ended = tokio::time::timeout(Duration::from_secs(20), running.task).await.unwrap();
    assert!(ended.unwrap().unwrap_err().to_string().contains("was replaced"));
}
