//! A data plane whose configuration changes all the time, in parts that have nothing to do with what is looked at: counters, the window of
//! a breaker, health, whose turn it is, and requests that wait at a cap.

use std::{
    fs,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{DEADLINE, DataPlane, Load, Origin, Plan, RawClient, RawResponse, Reply, free_port, get, wait_for};

/// Requests that wait the whole time at a backend's cap, behind one that has its connection.
const WAITING: usize = 3;
/// What each change of ten asks for: whose turn it is.
const TURNS: [&str; 3] = ["a", "b", "c"];

/// The data plane and its peers.
pub struct Unrelated {
    plane: DataPlane,
    directory: TempDir,
    address: String,
    config: Value,
    /// Changes so far.
    changes: u64,
    turn: usize,
    client: RawClient,
    waiting: Vec<RawClient>,
    gate: Arc<(Mutex<bool>, Condvar)>,
    /// What is said of endpoints that nothing happens to.
    steady: Value,
    load: Load,
    _origins: Vec<Origin>,
}

/// What the process holds.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    /// Resident memory in KiB.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
    /// Tasks of all runtimes.
    pub tasks: u64,
}

impl Unrelated {
    /// Starts everything: state is there that a change could reset, and requests come all the time.
    ///
    /// # Panics
    /// When that cannot be.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = format!("127.0.0.1:{}", free_port());
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let held = held(&gate);
        let steady = Origin::start(|request| match request.target() {
            "/steady/fail" => Reply::with(503, &[], "no"),
            _ => Reply::text("ok"),
        });
        let turns = TURNS.map(Origin::named);
        let busy = Origin::named("busy");
        let config = config(&address, &steady, &turns, &held, &busy);
        let file = directory.path().join("config.json");
        fs::write(&file, config.to_string()).expect("the directory takes files");
        let plane = DataPlane::of_file(&file, &["--workers", "2", "--log", "warn"]);
        let connect = || RawClient::connect(&address).expect("the data plane listens");
        let mut client = connect();
        for request in 0..30 {
            let path = if request % 3 == 0 { "/steady/fail" } else { "/steady" };
            client.ask(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).expect("an answer");
        }
        let waiting = (0..=WAITING).map(|index| {
            let mut client = connect();
            client.send(format!("GET /held/{index} HTTP/1.1\r\nHost: h\r\n\r\n")).expect("it is taken");
            let wanted = json!(index);
            wait_for("requests wait one behind the other", DEADLINE, || {
                (load(&status(&plane), "held")["queued"] == wanted && (index > 0 || held.connections() == 1))
                    .then_some(())
            });
            client
        });
        let waiting = waiting.collect();
        wait_for("a check has passed", DEADLINE, || {
            (endpoint(&status(&plane), "steady")["health"]["state"] == "healthy").then_some(())
        });
        let plan = Plan {
            address: address.clone(),
            host: "h".to_owned(),
            path: "/busy".to_owned(),
            kept: 2,
            fresh: 1,
            pause: Duration::from_millis(1),
        };
        let load = Load::start(&plan, RawResponse::text);
        let known = steady_part(&status(&plane));
        let _origins = [vec![steady, held, busy], turns.into()].into_iter().flatten().collect();
        Self {
            plane,
            directory,
            address,
            config,
            changes: 0,
            turn: 0,
            client,
            waiting,
            gate,
            steady: known,
            load,
            _origins,
        }
    }

    /// Makes `count` changes, one after the other, each of which acts before the next.
    ///
    /// # Panics
    /// When one resets what it has nothing to do with.
    pub fn change(&mut self, count: u64) {
        for _ in 0..count {
            self.changes += 1;
            edit(&mut self.config, self.changes);
            self.apply();
            if self.changes.is_multiple_of(10) {
                let asked = self.client.ask("GET /turns HTTP/1.1\r\nHost: h\r\n\r\n").expect("an answer");
                assert_eq!(asked.text(), TURNS[self.turn % TURNS.len()], "the turn after {} changes", self.changes);
                self.turn += 1;
            }
            if self.changes.is_multiple_of(100) {
                let status = status(&self.plane);
                assert_eq!(steady_part(&status), self.steady, "after {} changes", self.changes);
                assert_eq!(load(&status, "held")["queued"], WAITING, "after {} changes", self.changes);
            }
        }
    }

    fn apply(&self) {
        let file = self.directory.path().join("config.json");
        let next = file.with_extension("new");
        fs::write(&next, self.config.to_string()).expect("the directory takes files");
        fs::rename(next, file).expect("the directory takes files");
        self.plane.reload();
        let wanted = self.changes + 1;
        wait_for("the change acts", DEADLINE, || (self.metric("snapshots_applied_total") >= wanted).then_some(()));
    }

    /// What the process holds now.
    ///
    /// # Panics
    /// When the kernel does not say.
    pub fn footprint(&self) -> Footprint {
        let process = format!("/proc/{}", self.plane.process.pid());
        let status = fs::read_to_string(format!("{process}/status")).expect("it runs");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says so");
            line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
        };
        Footprint {
            memory: number("VmRSS:"),
            descriptors: fs::read_dir(format!("{process}/fd")).expect("it runs").count() as u64,
            threads: number("Threads:"),
            tasks: self.metric("tasks"),
        }
    }

    /// Lets those go that wait; how many requests were answered in all.
    ///
    /// # Panics
    /// When a request has failed, or those that waited were not served in their order.
    pub fn finish(self) -> u64 {
        *self.gate.0.lock().expect("nobody panics with it") = true;
        self.gate.1.notify_all();
        for mut client in self.waiting {
            assert_eq!(client.read_response().expect("an answer").status, 200);
        }
        let held = self
            ._origins
            .iter()
            .find(|origin| origin.address() == self.config["upstreams"][2]["backends"][0]["address"]);
        let order: Vec<String> =
            held.expect("it is there").received().iter().map(|request| request.target().to_owned()).collect();
        assert_eq!(order, (0..=WAITING).map(|index| format!("/held/{index}")).collect::<Vec<_>>());
        let tally = self.load.stop();
        tally.expect_only(&["busy"]);
        let answered = get(&self.address, "h", "/busy").expect("an answer");
        assert_eq!(answered.status, 200);
        tally.responses()
    }

    fn metric(&self, name: &str) -> u64 {
        let text = self.plane.metrics();
        let name = format!("tidegate_{name} ");
        let number = text.lines().find_map(|line| line.strip_prefix(&name)).and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("no {name}in {text}"))
    }
}

/// A backend whose answers wait for the gate.
fn held(gate: &Arc<(Mutex<bool>, Condvar)>) -> Origin {
    let gate = Arc::clone(gate);
    Origin::start(move |_| {
        let gate = Arc::clone(&gate);
        Reply::script(true, move |stream| {
            let (lock, opened) = &*gate;
            let held = lock.lock().expect("nobody panics with it");
            drop(opened.wait_while(held, |open| !*open).expect("nobody panics with it"));
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        })
    })
}

fn config(address: &str, steady: &Origin, turns: &[Origin; 3], held: &Origin, busy: &Origin) -> Value {
    let backend = |name: &str, origin: &Origin| json!({ "name": name, "address": origin.address() });
    let route = |name: &str| {
        json!({
            "name": name,
            "match": { "path": { "prefix": format!("/{name}") } },
            "action": { "forward": { "upstream": name } },
            "timeouts": { "first_byte": "1h", "idle": "1h" },
            "retries": { "on": [] },
        })
    };
    let mut capped = backend("b", held);
    capped["max_connections"] = json!(1);
    capped["queue_timeout"] = json!("1h");
    json!({
        "listeners": [{ "name": "web", "address": address }],
        "upstreams": [
            {
                "name": "steady",
                "balance": { "policy": "peak_ewma", "slow_start": "1h" },
                "backends": [backend("b", steady)],
                "health_check": { "http": { "path": "/healthz" }, "interval": "200ms", "timeout": "10s" },
                "breaker": { "sliding_window_size": 100, "minimum_number_of_calls": 100 },
                "pool": { "idle_timeout": "1h" },
            },
            { "name": "turns", "backends": [backend("a", &turns[0]), backend("b", &turns[1]), backend("c", &turns[2])] },
            { "name": "held", "backends": [capped] },
            { "name": "busy", "backends": [backend("b", busy)] },
            { "name": "other", "backends": [{ "name": "b", "address": "127.0.0.1:1" }] },
        ],
        "routes": [route("steady"), route("turns"), route("held"), route("busy")],
        "settings": { "access_log": { "enabled": false } },
    })
}

/// The change number `number`: of an IP rule, a route, an upstream, the route that requests come by, or the listener.
fn edit(config: &mut Value, number: u64) {
    match number % 5 {
        0 => config["ip_rules"] = json!([{ "action": "deny", "cidr": format!("192.0.2.{}", number % 250) }]),
        1 => {
            let routes = config["routes"].as_array_mut().expect("it is a list");
            routes.truncate(4);
            routes.extend((0..number % 3).map(|index| {
                json!({
                    "name": format!("extra{index}"),
                    "match": { "hosts": [format!("h{number}.example")] },
                    "action": { "forward": { "upstream": "other" } },
                })
            }));
        }
        2 => config["upstreams"][4]["backends"][0]["weight"] = json!(number % 9 + 1),
        3 => config["routes"][3]["response_headers"] = json!({ "set": { "x-change": number.to_string() } }),
        _ => config["listeners"][0]["limits"] = json!({ "connections": 10_000 + number }),
    }
}

fn status(plane: &DataPlane) -> Value {
    let text = get(&plane.admin_address(), "h", "/status").expect("an answer").text();
    serde_json::from_str(&text).expect("it is JSON")
}

/// The first endpoint of an upstream.
fn endpoint<'a>(status: &'a Value, upstream: &str) -> &'a Value {
    let upstreams = status["upstreams"].as_array().expect("it is a list");
    let found = upstreams.iter().find(|found| found["upstream"] == upstream);
    &found.unwrap_or_else(|| panic!("no {upstream} in {status}"))["endpoints"][0]
}

fn load<'a>(status: &'a Value, upstream: &str) -> &'a Value {
    &endpoint(status, upstream)["load"]
}

/// What does not change of an endpoint to which no requests go, unless it is reset.
fn steady_part(status: &Value) -> Value {
    let mut endpoint = endpoint(status, "steady").clone();
    let health = endpoint["health"].as_object_mut().expect("it is an object");
    drop(health.remove("last_check"));
    let load = endpoint["load"].as_object_mut().expect("it is an object");
    // These grow old.
    for aging in ["latency_p50_us", "latency_p99_us", "latency_ewma_us"] {
        drop(load.remove(aging));
    }
    let (load, breaker) = (&endpoint["load"], &endpoint["breaker"]);
    let counts = [&load["requests"], &breaker["calls"], &load["failures"], &breaker["failed"]];
    assert_eq!(counts, [30, 30, 10, 10], "{status}");
    endpoint
}
