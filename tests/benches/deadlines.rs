//! How long after its `timeouts.total` a request is answered, whatever took its time; and how soon where no endpoint may be used.
//!
//! `cargo bench -p tidegate-tests --bench deadlines` prints for each case the median and the longest overshoot, as the client sees it, and
//! then the same of the time until a request is answered 503 while the breakers of all endpoints are open.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use harness::{DataPlane, FastOrigin, Habits, RawClient, free_port};
use serde_json::{Value, json};

/// The time that each request has.
const TOTAL: Duration = Duration::from_millis(250);

const THREADS: usize = 4;
const EACH: usize = 40;

fn main() -> anyhow::Result<()> {
    // Connections are made, and nobody reads what comes on them.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let silent = silent.local_addr().map(|address| (silent, address.to_string()))?;
    let busy = FastOrigin::start(Habits { status: Some(503), ..Habits::default() });
    let budget = json!({ "percent": 100, "min_per_second": 10_000 });
    let slow = json!({ "attempts": 10, "per_try_timeout": "60ms", "backoff": { "base": "20ms", "max": "20ms" } });
    let again = json!({ "attempts": 10, "on": ["503"], "backoff": { "base": "100ms", "max": "100ms" } });
    let backends = |address: &str, count: usize| -> Value {
        (0..count).map(|index| json!({ "name": format!("b{index}"), "address": address })).collect()
    };
    let capped = json!([{ "name": "b", "address": silent.1, "max_connections": 1 }]);
    let mut lines = vec![format!("{:<40} {:>10} {:>10}", "a request of 250 ms, overshoot", "median ms", "longest ms")];
    for (name, backends, retries) in [
        ("waits for a response", backends(&silent.1, 1), json!({ "attempts": 0 })),
        ("waits for a connection at the cap", capped, json!({ "attempts": 0 })),
        ("is tried again and again, each too slow", backends(&silent.1, 11), slow),
        ("is tried again after pauses", backends(busy.address(), 3), again),
    ] {
        let mut over = measure(&backends, &retries, &budget)?;
        over.sort_unstable_by(f64::total_cmp);
        let (median, longest) = (over[over.len() / 2], over[over.len() - 1]);
        lines.push(format!("{name:<40} {median:>10.1} {longest:>10.1}"));
    }
    let mut took = refused()?;
    took.sort_unstable_by(f64::total_cmp);
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    lines.push(format!("{:<40} {median:>10.3} {longest:>10.3}", "answered 503 while all breakers are open"));
    writeln!(std::io::stdout(), "{}", lines.join("\n"))?;
    Ok(())
}

/// Milliseconds until requests are answered while no endpoint may be used.
fn refused() -> anyhow::Result<Vec<f64>> {
    let dead = format!("127.0.0.1:{}", free_port());
    let backends: Vec<Value> = (0..3).map(|index| json!({ "name": format!("b{index}"), "address": dead })).collect();
    let breaker = json!({ "minimum_number_of_calls": 2, "wait_duration_in_open_state": "1h" });
    let upstream = json!({ "name": "up", "backends": backends, "breaker": breaker });
    let (_directory, _plane, address) = start(&upstream, &json!({ "retries": { "attempts": 0 } }))?;
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut client = RawClient::connect(&address)?;
    while client.ask(get)?.status != 503 {}
    let asking = || -> anyhow::Result<Vec<f64>> {
        let mut client = RawClient::connect(&address)?;
        let mut ask = || {
            let begin = Instant::now();
            let status = client.ask(get).context("no answer")?.status;
            ensure!(status == 503, "status {status}");
            Ok(begin.elapsed().as_secs_f64() * 1000.0)
        };
        (0..EACH * 100).map(|_| ask()).collect()
    };
    all_threads(asking)
}

/// Milliseconds by which each request took longer than it may; below 0 if it was answered before.
fn measure(backends: &Value, retries: &Value, budget: &Value) -> anyhow::Result<Vec<f64>> {
    let upstream = json!({
        "name": "up", "backends": backends, "retry_budget": budget,
        "breaker": { "enabled": false },
    });
    let timeouts = json!({ "connect": "10s", "total": format!("{}ms", TOTAL.as_millis()) });
    let (_directory, _plane, address) = start(&upstream, &json!({ "retries": retries, "timeouts": timeouts }))?;
    all_threads(|| (0..EACH).map(|_| ask(&address)).collect())
}

/// A data plane with one route to `upstream`, with the fields of `route`; its directory and its address.
fn start(upstream: &Value, route: &Value) -> anyhow::Result<(tempfile::TempDir, DataPlane, String)> {
    let directory = tempfile::tempdir()?;
    let address = format!("127.0.0.1:{}", free_port());
    let mut whole = json!({ "name": "all", "action": { "forward": { "upstream": "up" } } });
    for (name, value) in route.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    let config = json!({
        "listeners": [{ "name": "web", "address": address }],
        "upstreams": [upstream],
        "routes": [whole],
        "settings": { "access_log": { "enabled": false } },
    });
    let file = directory.path().join("config.json");
    fs::write(&file, config.to_string())?;
    let plane = DataPlane::of_file(&file, &["--workers", "2"]);
    Ok((directory, plane, address))
}

/// What `asking` finds on all threads at once.
fn all_threads(asking: impl Fn() -> anyhow::Result<Vec<f64>> + Sync) -> anyhow::Result<Vec<f64>> {
    let took = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(&asking)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect::<Vec<_>>()
    });
    took.into_iter().collect::<anyhow::Result<Vec<_>>>().map(|took| took.concat())
}

fn ask(address: &str) -> anyhow::Result<f64> {
    let mut client = RawClient::connect(address)?;
    let begin = Instant::now();
    let status = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").context("no answer")?.status;
    ensure!(matches!(status, 503 | 504), "status {status}");
    Ok((begin.elapsed().as_secs_f64() - TOTAL.as_secs_f64()) * 1000.0)
}
