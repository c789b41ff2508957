//! Bad input to the REST API: the right status, a clear sentence, and nothing changed.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use harness::{Api, ControlPlane, DEADLINE, wait_for};
use serde_json::{Value, json};

fn start() -> (tempfile::TempDir, ControlPlane) {
    let directory = tempfile::tempdir().unwrap();
    let control = ControlPlane::start(&directory.path().join("data"), &[]);
    (directory, control)
}

fn newest(api: &Api) -> Value {
    api.get("revisions").expect(200).body["items"][0]["number"].clone()
}

#[test]
fn a_bad_body_gets_the_right_status_and_changes_nothing() {
    let (_directory, control) = start();
    let api = control.api();
    api.put("upstreams/up", &json!({})).expect(201);
    api.put("routes/r", &json!({ "action": { "forward": { "upstream": "up" } } })).expect(201);
    let (before, revision) = (api.get("config").expect(200).body, newest(&api));
    type Case = (&'static str, &'static str, &'static str, &'static [u8], u16, &'static str);
    let cases: &[Case] = &[
        (
            "POST",
            "routes",
            "application/json",
            br#"{"name":"x","action":{"forward":{"upstream":"up"}},"magic":1}"#,
            422,
            "invalid",
        ),
        ("POST", "routes", "application/json", br#"{"name":7,"action":{"forward":{"upstream":"up"}}}"#, 422, "invalid"),
        (
            "POST",
            "routes",
            "application/json",
            br#"{"name":"x","action":{"forward":{"upstream":"none"}}}"#,
            422,
            "invalid",
        ),
        ("POST", "ip-rules", "application/json", br#"{"action":"deny","cidr":"10.0.0.0/33"}"#, 422, "invalid"),
        ("POST", "ip-rules", "application/json", br#"{"action":"deny","cidr":"10.0.0.1/8"}"#, 422, "invalid"),
        ("POST", "routes", "application/json", br#"{"name":"#, 400, "malformed"),
        ("POST", "routes", "text/plain", br#"{"name":"x"}"#, 415, "unsupported_media_type"),
        ("POST", "upstreams", "application/json", br#"{"name":"up"}"#, 409, "already_exists"),
        ("PUT", "upstreams/other", "application/json", br#"{"name":"up"}"#, 422, "invalid"),
        ("DELETE", "upstreams/up", "application/json", b"", 409, "in_use"),
        ("GET", "upstreams/none", "application/json", b"", 404, "not_found"),
        ("GET", "nothing", "application/json", b"", 404, "not_found"),
        ("PUT", "upstreams/up/breaker", "application/json", br#"{"failure_rate_threshold":101}"#, 422, "invalid"),
        ("PATCH", "routes/r", "application/merge-patch+json", br#"{"action":null}"#, 422, "invalid"),
    ];
    for (method, path, media_type, body, status, code) in cases {
        let answer = api.request(method, path, &[("content-type", media_type)], body);
        assert_eq!((answer.status, answer.code()), (*status, *code), "{method} {path}: {answer}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer}");
    }
    let stale = api.request("DELETE", "routes/r", &[("if-match", "\"999\"")], b"").expect(412);
    assert_eq!(stale.code(), "precondition_failed");
    for token in [None, Some("wrong")] {
        let answer = api.with_token(token).put("upstreams/up", &json!({})).expect(401);
        assert_eq!((answer.code(), answer.header("www-authenticate").is_some()), ("unauthorized", true));
    }
    let huge = vec![b' '; 50 << 20];
    let answer = api.try_request("PUT", "config", &[("content-type", "application/json")], &huge);
    // It may hang up on the rest of 50 MiB, but never takes it.
    if let Ok(answer) = answer {
        assert_eq!((answer.status, answer.code()), (413, "too_large"));
    }
    assert_eq!((api.get("config").expect(200).body, newest(&api)), (before, revision));
}

#[test]
fn a_locked_database_is_a_503_and_no_more() {
    let (directory, control) = start();
    let api = control.api();
    let database = database(&directory);
    let mut lock = Command::new("python3")
        .args(["-c", "import sqlite3,sys; c=sqlite3.connect(sys.argv[1],isolation_level=None); c.execute('BEGIN IMMEDIATE'); print('locked',flush=True); sys.stdin.read()"])
        .arg(&database)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the tests need python3: apt-get install python3");
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(lock.stdout.take().unwrap()), &mut said).unwrap();
    assert_eq!(said.trim(), "locked");
    let refused = api.put("upstreams/up", &json!({})).expect(503);
    assert_eq!(refused.code(), "store_unavailable");
    assert!(refused.to_string().contains("locked"), "{refused}");
    api.get("config").expect(200);
    api.get("upstreams/up").expect(404);
    drop(lock.stdin.take());
    lock.wait().unwrap();
    api.put("upstreams/up", &json!({})).expect(201);
}

/// The only file of the data directory that is SQLite's.
fn database(directory: &tempfile::TempDir) -> std::path::PathBuf {
    let data = directory.path().join("data");
    let found = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3")));
    found.expect("the data directory holds a database")
}

#[test]
fn a_database_that_cannot_be_opened_ends_the_start_with_a_sentence() {
    let (directory, mut control) = start();
    let database = database(&directory);
    assert!(control.stop().success());
    fs::write(&database, b"this is no database, and was never one; it is long enough to be looked at").unwrap();
    let mut broken = ControlPlane::spawn(&directory.path().join("data"), &[]);
    let status = broken.process.wait(DEADLINE);
    assert!(!status.success() && broken.process.errors().contains("not a database"), "{}", broken.process.story());
}

#[test]
fn a_full_disk_is_a_503_and_the_configuration_stays() {
    // A small file system of the test's own.
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs"]).arg(&data).status();
    assert!(mounted.is_ok_and(|status| status.success()), "this test mounts a tmpfs of 2 MiB and needs root for it");
    let mount = Mount(data.clone());
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    let mut control = ControlPlane::start(&data, &[]);
    let api = control.api();
    api.put("upstreams/first", &json!({})).expect(201);
    let filler = fs::File::create(data.join("filler")).unwrap();
    let block = vec![0u8; 64 << 10];
    while std::io::Write::write_all(&mut &filler, &block).is_ok() {}
    let revision = newest(&api);
    let big = json!({ "backends": (0..500).map(|n| json!({ "name": format!("b{n}"), "address": format!("10.0.0.1:{}", n + 1) })).collect::<Vec<_>>() });
    let refused = (0..20)
        .map(|n| api.put(&format!("upstreams/u{n}"), &big))
        .find(|answer| answer.status != 201)
        .expect("the disk is full at last");
    assert_eq!((refused.status, refused.code()), (503, "store_unavailable"), "{refused}");
    assert!(refused.to_string().contains("full"), "{refused}");
    api.get("upstreams/first").expect(200);
    assert!(newest(&api).as_u64() >= revision.as_u64());
    drop(filler);
    fs::remove_file(data.join("filler")).unwrap();
    wait_for("writes work again", DEADLINE, || (api.put("upstreams/after", &json!({})).status < 300).then_some(()));
    assert!(control.stop().success());
    drop(control);
    drop(mount);
}

struct Mount(std::path::PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
