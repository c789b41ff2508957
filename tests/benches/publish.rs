//! How long a change takes from the REST call to traffic, beside a bare SQLite commit on the same disk in the same run.
//!
//! `cargo bench -p tidegate-tests --bench publish` prints the medians for 10 and for 10,000 routes and fails when one is above its
//! bound: a commit + 5 ms, and a commit + 250 ms.
//!
//! A change replaces one route's `host`; it acts when a request on an open connection reaches the backend with the new one.

use std::{
    io::Write,
    path::Path,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use harness::{Api, Origin, RawClient, Reply, Up};
use serde_json::{Value, json};

/// Routes, changes that are measured, and how much more than a commit the median may take.
const CASES: [(usize, u32, Duration); 2] =
    [(10, 100, Duration::from_millis(5)), (10_000, 30, Duration::from_millis(250))];

/// Commits of one small row with `synchronous = FULL` in WAL mode, as the store's; prints seconds, one a line.
const COMMITS: &str = "
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute('PRAGMA journal_mode=WAL'); c.execute('PRAGMA synchronous=FULL')
c.execute('CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, body TEXT)')
for i in range(int(sys.argv[2])):
    begin = time.perf_counter()
    c.execute('BEGIN IMMEDIATE'); c.execute('INSERT INTO t(body) VALUES(?)', ('x' * 200,)); c.execute('COMMIT')
    print(time.perf_counter() - begin)
";

fn main() -> anyhow::Result<ExitCode> {
    let mut lines = vec![format!(
        "{:>8} {:>14} {:>14} {:>14} {:>14} {:>10}",
        "routes", "commit ms", "answer ms", "traffic ms", "over commit", "bound"
    )];
    let mut failed = false;
    for (routes, changes, bound) in CASES {
        let figures = measure(routes, changes)?;
        let over = figures.traffic.saturating_sub(figures.commit);
        failed |= over > bound;
        lines.push(format!(
            "{routes:>8} {:>14.2} {:>14.2} {:>14.2} {:>14.2} {:>10.0}",
            millis(figures.commit),
            millis(figures.answer),
            millis(figures.traffic),
            millis(over),
            millis(bound)
        ));
    }
    writeln!(std::io::stdout(), "medians\n{}", lines.join("\n"))?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Medians of one case.
struct Figures {
    commit: Duration,
    answer: Duration,
    traffic: Duration,
}

fn measure(routes: usize, changes: u32) -> anyhow::Result<Figures> {
    let origin = Origin::start(|request| Reply::text(request.head.field("host").unwrap_or_default()));
    let up = Up::start();
    let api = up.api();
    api.put("config?wait=30s", &config(&up, &origin, routes)).expect(200);
    let mut client = RawClient::connect(&up.listen_address())?;
    let commits = commits(&up.data_dir(), changes)?;
    let (mut answers, mut traffic) = (Vec::new(), Vec::new());
    for change in 0..changes {
        let begin = Instant::now();
        put(&api, change);
        answers.push(begin.elapsed());
        let expected = format!("v{change}.example");
        while client.ask("GET / HTTP/1.1\r\nHost: h0.example\r\n\r\n")?.text() != expected {
            ensure!(begin.elapsed() < Duration::from_secs(30), "change {change} does not reach traffic");
        }
        traffic.push(begin.elapsed());
    }
    Ok(Figures { commit: median(commits), answer: median(answers), traffic: median(traffic) })
}

fn put(api: &Api, change: u32) {
    api.put("routes/r0", &route(0, &format!("v{change}.example"))).expect(200);
}

fn config(up: &Up, origin: &Origin, routes: usize) -> Value {
    json!({
        "listeners": [{ "name": "web", "address": up.listen_address() }],
        "upstreams": [{ "name": "up", "backends": [{ "name": "b", "address": origin.address() }] }],
        "routes": (0..routes).map(|index| route(index, "first.example")).collect::<Vec<_>>(),
    })
}

fn route(index: usize, host: &str) -> Value {
    json!({
        "name": format!("r{index}"),
        "match": { "hosts": [format!("h{index}.example")] },
        "action": { "forward": { "upstream": "up" } },
        "host": host,
    })
}

fn commits(folder: &Path, count: u32) -> anyhow::Result<Vec<Duration>> {
    let database = folder.join("commits.db");
    let output = Command::new("python3").args(["-c", COMMITS]).arg(&database).arg(count.to_string()).output();
    let output = output.context("python3 does not run: install it to measure bare commits")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seconds = std::str::from_utf8(&output.stdout)?.lines().map(|line| Ok(Duration::from_secs_f64(line.parse()?)));
    seconds.collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
