//! What a route lookup costs, by the size of the table.
//!
//! ```sh
//! cargo bench -p tidegate-tests --bench lookup                      # nanoseconds
//! cargo bench -p tidegate-tests --bench lookup -- --instructions    # instructions; needs valgrind
//! ```
//!
//! Every lookup asks for another, random key, read from a list that is larger than the caches; the keys are made
//! beforehand. Nanoseconds are those of the fastest of several rounds; each lookup waits for the one before it, so that
//! they include the memory that a random key misses in the caches. Instructions are the difference of two runs under callgrind with different numbers of lookups,
//! divided by it, so they are the same on a busy machine. With `--instructions` the run fails when a table of many
//! hosts, or of many prefixes, takes more than 1.2 times the instructions of a table of one.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    process::Command,
    time::Instant,
};

use anyhow::{Context, ensure};
use serde_json::json;
use shared::{
    config::Route,
    document,
    routing::{RequestView, Table},
};

/// Lookups of one round, and so keys.
const KEYS: usize = 1_000_000;
const ROUNDS: usize = 9;
/// Lookups of the two runs under callgrind.
const COUNTED: [usize; 2] = [50_000, 250_000];
/// Most instructions against those of the table of one.
const MOST_RATIO: f64 = 1.2;

/// A table and the requests that it is asked for.
struct Case {
    name: &'static str,
    /// The case that this one is measured against, with [`MOST_RATIO`].
    baseline: usize,
    hosts: usize,
    prefixes: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Each prefix of each host has a route (a single prefix: the route has no path).
    Hit,
    /// As above, and the requests are for hosts that the table does not have.
    UnknownHost,
    /// Each host is the parent of a wildcard.
    Wildcard,
}

const CASES: &[Case] = &[
    Case { name: "1 host", baseline: 0, hosts: 1, prefixes: 1, kind: Kind::Hit },
    Case { name: "100 hosts", baseline: 0, hosts: 100, prefixes: 1, kind: Kind::Hit },
    Case { name: "10,000 hosts", baseline: 0, hosts: 10_000, prefixes: 1, kind: Kind::Hit },
    Case { name: "100,000 hosts", baseline: 0, hosts: 100_000, prefixes: 1, kind: Kind::Hit },
    Case { name: "100,000 hosts, unknown host", baseline: 0, hosts: 100_000, prefixes: 1, kind: Kind::UnknownHost },
    Case { name: "1 wildcard", baseline: 5, hosts: 1, prefixes: 1, kind: Kind::Wildcard },
    Case { name: "10,000 wildcards", baseline: 5, hosts: 10_000, prefixes: 1, kind: Kind::Wildcard },
    Case { name: "1 host, 2 prefixes", baseline: 7, hosts: 1, prefixes: 2, kind: Kind::Hit },
    Case { name: "1 host, 10,000 prefixes", baseline: 7, hosts: 1, prefixes: 10_000, kind: Kind::Hit },
    Case { name: "10,000 hosts, 10 prefixes each", baseline: 7, hosts: 10_000, prefixes: 10, kind: Kind::Hit },
];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => print_nanoseconds(),
        ["--instructions"] => print_instructions(),
        ["--counted", case, lookups] => {
            let case = CASES.get(case.parse::<usize>()?).context("no such case")?;
            case.prepare().run(lookups.parse()?);
            Ok(())
        }
        _ => anyhow::bail!("usage: lookup [--instructions]"),
    }
}

fn print_nanoseconds() -> anyhow::Result<()> {
    println!("{:<32} {:>10} {:>7}", "table", "ns/lookup", "ratio");
    let mut nanoseconds = Vec::new();
    for case in CASES {
        let prepared = case.prepare();
        let round = |_| {
            let start = Instant::now();
            prepared.run(KEYS);
            start.elapsed().as_nanos() as f64 / KEYS as f64
        };
        nanoseconds.push((0..ROUNDS).map(round).fold(f64::INFINITY, f64::min));
        let ratio = nanoseconds[nanoseconds.len() - 1] / nanoseconds[case.baseline];
        println!("{:<32} {:>10.1} {ratio:>6.2}x", case.name, nanoseconds[nanoseconds.len() - 1]);
    }
    Ok(())
}

fn print_instructions() -> anyhow::Result<()> {
    println!("{:<32} {:>13} {:>7}", "table", "instr/lookup", "ratio");
    let mut instructions = Vec::new();
    let mut too_many = Vec::new();
    for (index, case) in CASES.iter().enumerate() {
        let [few, many] = COUNTED;
        let difference = count(index, many)? - count(index, few)?;
        instructions.push(difference / (many - few) as f64);
        let ratio = instructions[index] / instructions[case.baseline];
        println!("{:<32} {:>13.1} {ratio:>6.2}x", case.name, instructions[index]);
        if ratio > MOST_RATIO {
            too_many.push(case.name);
        }
    }
    ensure!(too_many.is_empty(), "more than {MOST_RATIO} times the instructions of one: {}", too_many.join("; "));
    Ok(())
}

/// The instructions of a whole run of this program with `lookups` lookups of a case.
fn count(case: usize, lookups: usize) -> anyhow::Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--counted", &case.to_string(), &lookups.to_string()])
        .output()
        .context("valgrind does not run: install it to count instructions")?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind failed: {log}");
    let (_, collected) = log.split_once("Collected : ").with_context(|| format!("valgrind counted nothing: {log}"))?;
    Ok(collected.split_whitespace().next().unwrap_or_default().parse()?)
}

/// A table with the requests for it.
struct Prepared {
    table: Table,
    requests: Requests,
    /// Whether every request finds a route, or none does.
    finds: bool,
}

impl Case {
    fn prepare(&self) -> Prepared {
        let mut random = Random(0x5eed);
        // All names of one length: the hash reads every byte, and that is not what is compared here.
        let hosts: Vec<String> = (0..self.hosts).map(|_| format!("{:016x}.example.com", random.next())).collect();
        let paths: Vec<String> = (0..self.prefixes).map(|_| format!("/api/{:016x}", random.next())).collect();
        let table = Table::build(&self.routes(&hosts, &paths));
        let mut requests = Requests::default();
        for _ in 0..KEYS {
            let path = format!("{}/items", paths[random.below(paths.len())]);
            match self.kind {
                Kind::Hit => requests.push(&hosts[random.below(hosts.len())], &path),
                Kind::UnknownHost => requests.push(&format!("{:016x}.example.com", random.next()), &path),
                Kind::Wildcard => requests.push(&format!("www.{}", hosts[random.below(hosts.len())]), &path),
            }
        }
        Prepared { table, requests, finds: self.kind != Kind::UnknownHost }
    }

    fn routes(&self, hosts: &[String], paths: &[String]) -> Vec<Route> {
        let sound = json!({"name": "r", "action": {"forward": {"upstream": "u"}}});
        let sound: Route = document::from_value(sound).expect("a sound route");
        let wildcard = if self.kind == Kind::Wildcard { "*." } else { "" };
        let mut routes = Vec::new();
        for host in hosts {
            for path in paths {
                let mut route = sound.clone();
                route.name = format!("r{}", routes.len()).parse().expect("a sound name");
                route.matches.hosts = vec![format!("{wildcard}{host}").parse().expect("a sound host")];
                if paths.len() > 1 {
                    let prefix = path.parse().expect("a sound path");
                    route.matches.path = Some(shared::config::PathMatch::Prefix(prefix));
                }
                routes.push(route);
            }
        }
        routes
    }
}

impl Prepared {
    /// Looks up the first `lookups` keys, each when the one before it was found: in a proxy, too, lookups do not overlap.
    fn run(&self, lookups: usize) {
        let (mut found, mut zero) = (0, 0);
        for index in 0..lookups {
            let route = self.table.find(&self.requests.get(index + zero));
            found += usize::from(route.is_some());
            // No table has 2^63 routes; the processor does not know.
            zero = black_box(route.unwrap_or(0)) >> 63;
        }
        assert_eq!(found, if self.finds { lookups } else { 0 }, "each key finds what it should");
    }
}

/// Hosts and paths in one text, in the order in which they are asked for.
#[derive(Default)]
struct Requests {
    text: String,
    /// Where host, path and the next host begin.
    starts: Vec<(usize, usize, usize)>,
}

impl Requests {
    fn push(&mut self, host: &str, path: &str) {
        let start = self.text.len();
        self.text.push_str(host);
        self.text.push_str(path);
        self.starts.push((start, start + host.len(), self.text.len()));
    }

    fn get(&self, index: usize) -> Key<'_> {
        let (host, path, end) = self.starts[index];
        Key { host: &self.text[host..path], path: &self.text[path..end] }
    }
}

/// What is looked up.
struct Key<'a> {
    host: &'a str,
    path: &'a str,
}

impl RequestView for Key<'_> {
    fn host(&self) -> &str {
        self.host
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn method(&self) -> &'static str {
        "GET"
    }

    fn client(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    fn listener(&self) -> &'static str {
        "web"
    }

    fn any_header(&self, _name: &str, _check: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }
}

/// `SplitMix64`: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
