//! Out of file descriptors: who is in is served, who waits comes in when there is room again, and nothing spins or ends.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

use harness::{DEADLINE, Origin, Process, RawClient, binary, free_port, get, wait_for};
use serde_json::json;

use crate::site::one_upstream;

#[test]
fn accepting_survives_a_lack_of_descriptors() {
    const CLIENTS: usize = 150;
    let origin = Origin::named("ok");
    let directory = tempfile::tempdir().unwrap();
    let (address, admin) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let mut config = one_upstream([(origin.address(), 1)].into_iter(), json!({}));
    config["listeners"] = json!([{ "name": "web", "address": address }]);
    config["settings"] = json!({ "access_log": { "enabled": false } });
    let file = directory.path().join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100; exec \"$0\" \"$@\""]).arg(binary());
    command.args(["dataplane", "--workers", "2", "--admin-address", &admin, "--config"]).arg(&file);
    let mut plane = Process::spawn("the data plane", command);
    plane.wait_until("ready", || get(&admin, &admin, "/readyz").is_ok_and(|answer| answer.status == 200).then_some(()));

    let mut first = RawClient::connect(&address).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(first.ask(request).unwrap().status, 200);
    // The kernel takes all of them; the process cannot.
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let descriptors = format!("/proc/{}/fd", plane.pid());
    plane.wait_until("descriptors are used up", || {
        (std::fs::read_dir(&descriptors).unwrap().count() >= 99).then_some(())
    });
    assert_eq!(first.ask(request).unwrap().status, 200, "who was served before is served still");

    // Those who wait are served as soon as others go.
    clients.drain(..CLIENTS * 2 / 3);
    for mut client in clients {
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        // Without a descriptor left there is none for a connection to the backend either.
        assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 502"), "{answer}");
    }
    let answer = wait_for("a fresh connection to be served", DEADLINE, || get(&address, "h", "/").ok());
    assert_eq!(answer.text(), "ok");
    let metrics = get(&admin, &admin, "/metrics").unwrap().text();
    let errors = metrics.lines().find_map(|line| line.strip_prefix("tidegate_accept_errors_total ")).unwrap();
    let errors: u64 = errors.parse().unwrap();
    assert!((1..2_000).contains(&errors), "it pauses rather than spins: {errors}");
    assert!(plane.ended().is_none());
}
