//! A data plane that serves a file, for tests of what it does with requests.

use std::fs;

use harness::{DEADLINE, DataPlane, Origin, RawClient, free_port, get, h2::H2Client, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A data plane that serves a file, and where.
pub(crate) struct Site {
    /// The process.
    pub(crate) plane: DataPlane,
    /// Its listener.
    pub(crate) address: String,
    /// Where its files are.
    pub(crate) directory: TempDir,
}

impl Site {
    /// A data plane with one listener and the rest of `config`. Its access log is `access.log` in its directory.
    pub(crate) fn start(config: Value) -> Self {
        Self::with_workers(2, config)
    }

    /// The same with so many workers.
    pub(crate) fn with_workers(workers: u16, config: Value) -> Self {
        Self::with_arguments(&["--workers", &workers.to_string()], config)
    }

    /// The same with these arguments.
    pub(crate) fn with_arguments(arguments: &[&str], mut config: Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        if config.get("listeners").is_none() {
            config["listeners"] = json!([{ "name": "web", "address": address }]);
        } else {
            config["listeners"][0]["address"] = json!(address);
        }
        config["settings"]["access_log"] = json!({ "file": directory.path().join("access.log") });
        let file = directory.path().join("config.json");
        fs::write(&file, config.to_string()).unwrap();
        let plane = DataPlane::of_file(&file, arguments);
        Self { plane, address, directory }
    }

    /// One route for everything to `origins`, with further fields of the route.
    pub(crate) fn of(origins: &[&Origin], route: Value) -> Self {
        Self::start(one_upstream(origins.iter().map(|origin| (origin.address(), 1)), route))
    }

    /// The same with a listener that takes HTTP/2.
    pub(crate) fn of_h2(origins: &[&Origin], route: Value) -> Self {
        let mut config = one_upstream(origins.iter().map(|origin| (origin.address(), 1)), route);
        config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
        Self::start(config)
    }

    pub(crate) fn client(&self) -> RawClient {
        RawClient::connect(&self.address).unwrap()
    }

    pub(crate) fn h2_client(&self) -> H2Client {
        H2Client::connect(&self.address).unwrap()
    }

    /// What the data plane says of the endpoint of `backend` of `upstream`.
    pub(crate) fn endpoint(&self, upstream: &str, backend: &str) -> Value {
        let text = get(&self.plane.admin_address(), "h", "/status").unwrap().text();
        let whole: Value = serde_json::from_str(&text).unwrap();
        let find = |list: &Value, field: &str, name: &str| {
            let found = list.as_array().unwrap().iter().find(|item| item[field] == name);
            found.unwrap_or_else(|| panic!("no {name} in {list}")).clone()
        };
        find(&find(&whole["upstreams"], "upstream", upstream)["endpoints"], "backend", backend)
    }

    /// Has the data plane serve what `change` makes of its configuration.
    pub(crate) fn reconfigure(&self, change: impl FnOnce(&mut Value)) {
        let file = self.directory.path().join("config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        change(&mut config);
        let next = file.with_extension("new");
        fs::write(&next, config.to_string()).unwrap();
        fs::rename(next, file).unwrap();
        let applied = || {
            let text = self.plane.metrics();
            let line = text.lines().find_map(|line| line.strip_prefix("tidegate_snapshots_applied_total "));
            line.unwrap().parse::<u64>().unwrap()
        };
        let before = applied();
        self.plane.reload();
        wait_for("the change acts", DEADLINE, || (applied() > before).then_some(()));
    }

    /// The lines of the access log so far.
    pub(crate) fn log_lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default();
        // A line that is being written has no end yet.
        let whole = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The line of the access log whose path is `path`; lines come after the response.
    pub(crate) fn logged(&self, path: &str) -> Value {
        let line = || self.log_lines().into_iter().find(|line| line["path"] == path);
        wait_for(&format!("a log line of {path}"), DEADLINE, line)
    }
}

/// One upstream of these backends with their weights, and one route for everything to it.
pub(crate) fn one_upstream<'a>(backends: impl Iterator<Item = (&'a str, u16)>, route: Value) -> Value {
    let backends: Vec<Value> = backends
        .enumerate()
        .map(|(index, (address, weight))| json!({ "name": format!("b{index}"), "address": address, "weight": weight }))
        .collect();
    let mut whole = json!({ "name": "all", "action": { "forward": { "upstream": "up" } } });
    for (name, value) in route.as_object().unwrap() {
        whole[name] = value.clone();
    }
    json!({ "upstreams": [{ "name": "up", "backends": backends }], "routes": [whole] })
}
