//! What an operator's machine does to a data plane: pipes that nobody reads, disks that fail, signals at any moment.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use harness::{ControlPlane, DEADLINE, DataPlane, Origin, RawClient, Reply, Up, binary, free_port, get, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A listener at `web` and a route for everything to `origin`.
fn site(web: &str, origin: &Origin) -> Value {
    json!({
        "listeners": [{ "name": "web", "address": web }],
        "upstreams": [{ "name": "up", "backends": [{ "name": "b", "address": origin.address() }] }],
        "routes": [{ "name": "r", "action": { "forward": { "upstream": "up" } } }],
    })
}

fn write(path: &Path, config: &Value) {
    fs::write(path, config.to_string()).unwrap();
}

#[test]
fn a_reader_of_the_log_that_stopped_holds_nothing_up() {
    let directory = tempfile::tempdir().unwrap();
    let (file, web) = (directory.path().join("config.json"), format!("127.0.0.1:{}", free_port()));
    let listeners = json!([{ "name": "web", "address": web }]);
    write(&file, &json!({ "listeners": listeners }));
    let mut command = Command::new(binary());
    command.args(["dataplane", "--workers", "1", "--admin-address", &format!("127.0.0.1:{}", free_port())]);
    command.arg("--config").arg(&file).arg("--log-dir").arg(directory.path());
    let mut plane = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut client = wait_for("it listens", DEADLINE, || RawClient::connect(&web).ok());
    // More lines than the pipe and the queue take.
    for _ in 0..180 {
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(100)).unwrap();
        assert!((0..100).all(|_| client.read_response().unwrap().status == 404));
    }
    let other = format!("127.0.0.1:{}", free_port());
    let listeners = json!([{ "name": "web", "address": web }, { "name": "other", "address": other }]);
    write(&file, &json!({ "listeners": listeners, "settings": { "access_log": { "file": "access.log" } } }));
    let pid = Pid::from_child(&plane);
    kill_process(pid, Signal::HUP).unwrap();
    wait_for("the change acts", DEADLINE, || get(&other, "h", "/").ok());
    kill_process(pid, Signal::TERM).unwrap();
    wait_for("it ends", DEADLINE, || plane.try_wait().unwrap());
}

#[test]
fn an_access_log_that_cannot_be_opened_is_refused_beforehand_and_stops_no_traffic_later() {
    let origin = Origin::named("a");
    let directory = tempfile::tempdir().unwrap();
    let web = format!("127.0.0.1:{}", free_port());
    let control = ControlPlane::start(&directory.path().join("control"), &[]);
    let log = directory.path().join("log");
    let flags = ["--workers", "1", "--log-dir", log.to_str().unwrap()];
    let mut data = DataPlane::follow(&control.control_socket(), &directory.path().join("state"), &flags);
    data.wait_until_ready();
    let api = control.api();
    fs::write(&log, "no folder").unwrap();
    let mut config = site(&web, &origin);
    config["settings"] = json!({ "access_log": { "file": "access.log" } });
    let refused = api.put("config?wait=10s", &config).expect(422);
    assert!(refused.to_string().contains("/settings/access_log/file"), "{refused}");

    fs::remove_file(&log).unwrap();
    api.put("config?wait=10s", &config).expect(200);
    wait_for("it lies on disk", DEADLINE, || {
        let plane = api.get("data-planes").expect(200).body["items"][0].clone();
        (plane["persisted_revision"] == plane["applied_revision"]).then_some(())
    });
    data.process.kill();
    drop(control);
    fs::remove_dir_all(&log).unwrap();
    fs::write(&log, "no folder").unwrap();
    data.restart();
    data.wait_until_ready();
    assert_eq!(get(&web, "h", "/").unwrap().text(), "a");
    let ready = get(&data.admin_address(), "h", "/readyz").unwrap().text();
    assert!(ready.contains("access log"), "{ready}");

    fs::remove_file(&log).unwrap();
    wait_for("the log is written", DEADLINE, || {
        assert_eq!(get(&web, "h", "/later").unwrap().text(), "a");
        fs::read_to_string(log.join("access.log")).ok().filter(|text| text.contains("/later"))
    });
}

#[test]
fn a_disk_that_fails_does_not_hold_up_the_end() {
    let origin = Origin::named("a");
    let directory = tempfile::tempdir().unwrap();
    let web = format!("127.0.0.1:{}", free_port());
    let control = ControlPlane::start(&directory.path().join("control"), &[]);
    let state = directory.path().join("state");
    let mut data = DataPlane::follow(&control.control_socket(), &state, &["--workers", "1"]);
    data.wait_until_ready();
    // Both parts of it, which come in any order: one that is written now would be in the way of the removal.
    let copied = || ["snapshot", "material"].iter().all(|name| state.join(name).exists());
    wait_for("the first copy", DEADLINE, || copied().then_some(()));
    // Nobody can write here, root neither.
    fs::remove_dir_all(&state).unwrap();
    control.api().put("config?wait=10s", &site(&web, &origin)).expect(200);
    wait_for("a failed save", DEADLINE, || data.process.errors().contains("could not be saved").then_some(()));
    assert_eq!(get(&web, "h", "/").unwrap().text(), "a");
    assert!(data.stop().success());
    let warnings = data.process.errors().matches("could not be saved").count();
    assert!(warnings < 10, "{warnings} warnings");
}

#[test]
fn signals_end_nothing_that_they_should_not_and_a_second_one_ends_it_at_once() {
    let origin = Origin::start(|_| {
        Reply::script(false, |_| {
            thread::park_timeout(DEADLINE);
            Ok(())
        })
    });
    let directory = tempfile::tempdir().unwrap();
    let web = format!("127.0.0.1:{}", free_port());
    let control = ControlPlane::start(&directory.path().join("control"), &[]);
    let mut data = DataPlane::follow(&control.control_socket(), &directory.path().join("state"), &["--workers", "1"]);
    data.wait_until_ready();
    data.process.signal(Signal::HUP);
    data.process.signal(Signal::USR1);
    wait_for("it says that it ignores SIGHUP", DEADLINE, || {
        data.process.errors().contains("SIGHUP is ignored").then_some(())
    });
    control.api().put("config?wait=10s", &site(&web, &origin)).expect(200);
    let address = web.clone();
    let open = thread::spawn(move || get(&address, "h", "/"));
    wait_for("the request at the origin", DEADLINE, || (origin.connections() > 0).then_some(()));
    data.process.signal(Signal::TERM);
    wait_for("it drains", DEADLINE, || RawClient::connect(&web).is_err().then_some(()));
    data.process.signal(Signal::TERM);
    assert_eq!(data.process.wait(Duration::from_secs(5)).code(), Some(1));
    assert!(open.join().unwrap().is_err());
}

#[test]
fn a_killed_up_leaves_its_place_within_seconds_even_with_a_long_request_open() {
    let origin = Origin::start(|_| {
        Reply::script(false, |_| {
            thread::park_timeout(DEADLINE);
            Ok(())
        })
    });
    let mut up = Up::start();
    up.api().put("config?wait=10s", &site(&up.listen_address(), &origin)).expect(200);
    let address = up.listen_address();
    let open = thread::spawn(move || get(&address, "h", "/"));
    wait_for("the request at the origin", DEADLINE, || (origin.connections() > 0).then_some(()));
    let killed = Instant::now();
    up.restart();
    assert!(killed.elapsed() < Duration::from_secs(15), "{:?}", killed.elapsed());
    assert!(open.join().unwrap().is_err());
}

#[test]
fn a_plane_whose_parent_is_gone_does_not_start() {
    let mut data = DataPlane::spawn(&["--exit-with-parent", "1"]);
    assert_eq!(data.process.wait(DEADLINE).code(), Some(1));
    assert!(data.process.errors().contains("the parent process 1 has ended"), "{}", data.process.story());
}

#[test]
fn scrapers_that_do_not_read_leave_room_for_health() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    let route = |index| json!({ "name": format!("route-{index}"), "match": { "path": { "exact": format!("/{index}") } }, "action": { "forward": { "upstream": "up" } } });
    let routes: Vec<Value> = (0..10_000).map(route).collect();
    write(&file, &json!({ "upstreams": [{ "name": "up" }], "routes": routes }));
    let data = DataPlane::of_file(&file, &["--workers", "1"]);
    let scrapers: Vec<RawClient> = (0..100)
        .map(|_| {
            let mut client = RawClient::connect(&data.admin_address()).unwrap();
            client.send("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            client
        })
        .collect();
    wait_for("health", DEADLINE, || {
        get(&data.admin_address(), "h", "/healthz").ok().filter(|answer| answer.status == 200)
    });
    let status = fs::read_to_string(format!("/proc/{}/status", data.process.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned();
    let kilobytes: u64 = peak.strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(kilobytes < 300_000, "{peak}");
    drop(scrapers);
    // The places of those that went are given back when the data plane notices.
    wait_for("a whole scrape", DEADLINE, || {
        let scrape = get(&data.admin_address(), "h", "/metrics").ok()?;
        (scrape.status == 200 && scrape.text().ends_with("# EOF\n")).then_some(())
    });
}

#[test]
fn connections_stay_counted_when_their_listener_is_renamed() {
    let directory = tempfile::tempdir().unwrap();
    let (file, web) = (directory.path().join("config.json"), format!("127.0.0.1:{}", free_port()));
    let named = |name: &str| json!({ "listeners": [{ "name": name, "address": web }] });
    write(&file, &named("old"));
    let data = DataPlane::of_file(&file, &["--workers", "1"]);
    let mut client = RawClient::connect(&web).unwrap();
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().status, 404);
    write(&file, &named("new"));
    data.reload();
    wait_for("the new name", DEADLINE, || data.metrics().contains(r#"listener="new""#).then_some(()));
    let open = |metrics: String| -> u64 {
        let lines = metrics.lines().filter(|line| line.starts_with("tidegate_connections_open{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    assert_eq!(open(data.metrics()), 1);
    drop(client);
    wait_for("it is gone", DEADLINE, || (open(data.metrics()) == 0).then_some(()));
    write(&file, &named("newer"));
    data.reload();
    wait_for("the first name is gone", DEADLINE, || {
        let metrics = data.metrics();
        (metrics.contains(r#"listener="newer""#) && !metrics.contains(r#"listener="old""#)).then_some(())
    });
}
