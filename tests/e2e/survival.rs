//! Traffic never depends on the control plane.

use std::{fs, time::Duration};

use harness::{
    Api, ControlPlane, DEADLINE, DataPlane, Load, Origin, Plan, RawClient, RawResponse, Up, free_port, get, wait_for,
};
use serde_json::{Value, json};

/// Both planes by themselves, so that a test decides which of them runs.
struct Planes {
    control: ControlPlane,
    data: DataPlane,
    web: String,
    directory: tempfile::TempDir,
}

impl Planes {
    /// With a route for everything to `origin`, applied and persisted.
    fn start(origin: &Origin) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let control = ControlPlane::start(&directory.path().join("control"), &[]);
        let state = directory.path().join("state");
        let data = DataPlane::follow(&control.control_socket(), &state, &["--workers", "2"]);
        let web = format!("127.0.0.1:{}", free_port());
        let mut planes = Self { control, data, web, directory };
        planes.data.wait_until_ready();
        planes.control.api().put("config?wait=10s", &planes.config(origin)).expect(200);
        planes.wait_until_persisted();
        planes
    }

    fn config(&self, origin: &Origin) -> Value {
        json!({
            "listeners": [{ "name": "web", "address": self.web }],
            "upstreams": [{ "name": "up", "backends": [{ "name": "b", "address": origin.address() }] }],
            "routes": [{ "name": "r", "action": { "forward": { "upstream": "up" } } }],
        })
    }

    fn answer(&self) -> String {
        get(&self.web, "h", "/").map_or_else(|error| error.to_string(), |response| response.text())
    }

    fn wait_until_persisted(&self) {
        let api = self.control.api();
        let newest = api.get("revisions").expect(200).body["items"][0]["number"].clone();
        wait_for("the newest revision lies on the data plane's disk", DEADLINE, || {
            (plane(&api)["persisted_revision"] == newest).then_some(())
        });
    }
}

/// Waits until the data plane is connected, whatever it holds.
fn wait_until_connected(api: &Api) -> Value {
    wait_for("the data plane is back", DEADLINE, || {
        let plane = plane(api);
        (plane["state"] == "connected").then_some(plane)
    })
}

/// The only data plane.
fn plane(api: &Api) -> Value {
    api.get("data-planes").expect(200).body["items"][0].clone()
}

#[test]
fn traffic_and_live_state_outlive_a_killed_control_plane() {
    let origin = Origin::named("a");
    let mut planes = Planes::start(&origin);
    let plan = Plan {
        address: planes.web.clone(),
        host: "h".into(),
        path: "/".into(),
        kept: 2,
        fresh: 1,
        pause: Duration::from_millis(1),
    };
    let load = Load::start(&plan, RawResponse::text);
    planes.control.process.kill();
    let mut client = RawClient::connect(&planes.web).unwrap();
    for _ in 0..50 {
        assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().text(), "a");
    }
    planes.control.restart();
    let api = planes.control.api();
    assert_eq!(wait_until_connected(&api)["foreign"], false);
    // The same revision: nothing was compiled or swapped again.
    let metrics = planes.data.metrics();
    let applied: u64 = metrics
        .lines()
        .find_map(|line| line.strip_prefix("tidegate_snapshots_applied_total "))
        .unwrap()
        .parse()
        .unwrap();
    let tally = load.stop();
    tally.expect_only(&["a"]);
    let requests: u64 = metric(&metrics, "tidegate_backend_requests_total{upstream=\"up\",backend=\"b\"} ");
    assert!(requests >= 50 && applied <= 2, "{requests} requests, {applied} applied");
    // And changes reach it again.
    let other = Origin::named("b");
    api.put("config?wait=10s", &planes.config(&other)).expect(200);
    assert_eq!(planes.answer(), "b");
}

fn metric(metrics: &str, name: &str) -> u64 {
    metrics.lines().find_map(|line| line.strip_prefix(name)).and_then(|value| value.parse().ok()).unwrap_or_default()
}

#[test]
fn a_killed_data_plane_starts_from_disk_without_the_control_plane() {
    let origin = Origin::named("a");
    let mut planes = Planes::start(&origin);
    planes.control.process.kill();
    planes.data.process.kill();
    planes.data.restart();
    planes.data.wait_until_ready();
    assert_eq!(planes.answer(), "a");
    planes.control.restart();
    let api = planes.control.api();
    wait_until_connected(&api);
    api.put("config?wait=10s", &planes.config(&Origin::named("gone"))).expect(200);
}

#[test]
fn a_damaged_copy_on_disk_falls_back_to_the_one_before() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let mut planes = Planes::start(&a);
    planes.control.api().put("config?wait=10s", &planes.config(&b)).expect(200);
    planes.wait_until_persisted();
    planes.control.process.kill();
    planes.data.process.kill();
    let newest = planes.directory.path().join("state/snapshot");
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    planes.data.restart();
    planes.data.wait_until_ready();
    assert_eq!(planes.answer(), "a");
}

#[test]
fn a_listener_that_cannot_bind_at_a_start_is_named_and_tried_again() {
    let origin = Origin::named("a");
    let mut planes = Planes::start(&origin);
    let extra = format!("127.0.0.1:{}", free_port());
    let mut config = planes.config(&origin);
    config["listeners"].as_array_mut().unwrap().push(json!({ "name": "extra", "address": extra }));
    let api = planes.control.api();
    api.put("config?wait=10s", &config).expect(200);
    planes.wait_until_persisted();
    planes.data.process.kill();
    let taken = std::net::TcpListener::bind(&extra).unwrap();
    planes.data.restart();
    wait_for("the other listener accepts", DEADLINE, || (planes.answer() == "a").then_some(()));
    let unready = wait_for("readiness names it", DEADLINE, || {
        let answer = get(&planes.data.admin_address(), "h", "/readyz").ok()?;
        (answer.status == 503 && answer.text().contains("extra")).then_some(answer.text())
    });
    assert!(unready.contains("in use"), "{unready}");
    wait_for("so does the control plane", DEADLINE, || (plane(&api)["listeners"][0]["name"] == "extra").then_some(()));
    let late = api.put("ip-rules/x?wait=100ms", &json!({ "action": "deny", "cidr": "192.0.2.1" })).expect(504);
    assert!(
        late.code() == "not_applied" && late.body["committed"] == true && late.to_string().contains("extra"),
        "{late}"
    );
    drop(taken);
    planes.data.wait_until_ready();
    assert_eq!(get(&extra, "h", "/").unwrap().text(), "a");
}

#[test]
fn a_wiped_database_does_not_empty_live_traffic_until_it_is_adopted() {
    let origin = Origin::named("a");
    let mut planes = Planes::start(&origin);
    planes.control.process.kill();
    let data_dir = planes.directory.path().join("control");
    fs::remove_dir_all(&data_dir).unwrap();
    planes.control.restart();
    let api = planes.control.api();
    let foreign = wait_until_connected(&api);
    assert_eq!(foreign["foreign"], true);
    assert_eq!(planes.answer(), "a");
    let refused =
        api.put("config?wait=5s", &json!({ "listeners": [{ "name": "web", "address": planes.web }] })).expect(504);
    assert!(refused.code() == "not_applied" && refused.to_string().contains("adopt"), "{refused}");
    assert_eq!(planes.answer(), "a");

    api.post(&format!("data-planes/{}/adopt", foreign["id"].as_str().unwrap()), &json!({})).expect(204);
    wait_for("the new store's configuration acts", DEADLINE, || planes.answer().contains("no_route").then_some(()));
    api.put("config?wait=10s", &planes.config(&origin)).expect(200);
    assert_eq!(planes.answer(), "a");
}

#[test]
fn a_restored_backup_does_not_turn_live_traffic_back_until_it_is_adopted() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let mut planes = Planes::start(&a);
    let (data_dir, backup) = (planes.directory.path().join("control"), planes.directory.path().join("backup"));
    assert!(planes.control.stop().success());
    copy(&data_dir, &backup);
    planes.control.restart();
    wait_until_connected(&planes.control.api());
    planes.control.api().put("config?wait=10s", &planes.config(&b)).expect(200);
    assert!(planes.control.stop().success());
    fs::remove_dir_all(&data_dir).unwrap();
    fs::rename(&backup, &data_dir).unwrap();
    planes.control.restart();
    let api = planes.control.api();
    let foreign = wait_until_connected(&api);
    assert_eq!(foreign["foreign"], true);
    // The numbers meet again, with another content.
    api.put("ip-rules/x", &json!({ "action": "deny", "cidr": "192.0.2.1" })).expect(201);
    api.put("ip-rules/y", &json!({ "action": "deny", "cidr": "192.0.2.2" })).expect(201);
    assert_eq!(planes.answer(), "b");
    api.post(&format!("data-planes/{}/adopt", foreign["id"].as_str().unwrap()), &json!({})).expect(204);
    wait_for("the backup's configuration acts", DEADLINE, || (planes.answer() == "a").then_some(()));
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn up_brings_either_plane_back_under_load() {
    let origin = Origin::named("a");
    let up = Up::start();
    let (api, web) = (up.api(), up.listen_address());
    let config = json!({
        "listeners": [{ "name": "web", "address": web }],
        "upstreams": [{ "name": "up", "backends": [{ "name": "b", "address": origin.address() }] }],
        "routes": [{ "name": "r", "action": { "forward": { "upstream": "up" } } }],
    });
    api.put("config?wait=10s", &config).expect(200);
    let plan = Plan {
        address: web.clone(),
        host: "h".into(),
        path: "/".into(),
        kept: 1,
        fresh: 1,
        pause: Duration::from_millis(2),
    };
    let load = Load::start(&plan, RawResponse::text);
    let killed = up.control_plane();
    up.kill_control_plane();
    wait_for("another control plane", DEADLINE, || (up.control_plane() != killed).then_some(()));
    wait_for("it answers", DEADLINE, || {
        api.try_request("GET", "config", &[], b"").ok().filter(|answer| answer.status == 200).map(drop)
    });
    load.stop().expect_only(&["a"]);
    let killed = up.data_plane();
    up.kill_data_plane();
    wait_for("another data plane", DEADLINE, || (up.data_plane() != killed).then_some(()));
    wait_for("it serves", DEADLINE, || get(&web, "h", "/").ok().filter(|answer| answer.text() == "a").map(drop));
}
