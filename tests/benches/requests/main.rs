//! What a request costs, beside nginx, HAProxy and Envoy in the same run.
//!
//! ```sh
//! cargo bench -p tidegate-tests --bench requests                     # CPU time per request; needs nginx, wrk and h2load
//! cargo bench -p tidegate-tests --bench requests -- --rounds 5 --workloads small,conn
//! cargo bench -p tidegate-tests --bench requests -- --costs          # instructions, system calls, memory
//! cargo bench -p tidegate-tests --bench requests -- --costs --gate   # fails above the ceilings in `costs.rs`
//! ```
//!
//! CPU time is user and system time of all threads of the proxy, which has one worker on one CPU; load and origin share
//! another. Every sample starts a fresh proxy, and the proxies take turns. Other work on the machine only ever adds, so the
//! lowest sample of each is the one that is compared. The binary under test is `TIDEGATE_BIN`, else one built in the profile of this bench;
//! published figures are of the profile `dist`.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod costs;
mod envoy;
mod h2load;
mod proxy;
mod workload;
mod wrk;

use std::{fs, time::Duration};

use anyhow::{Context, bail, ensure};
use harness::{Nginx, binary, free_port};
use rustix::{
    process::{Pid, Resource, Rlimit, Signal, getrlimit, setrlimit},
    thread::{CpuSet, sched_setaffinity},
};

use proxy::{Kind, Proxy};
use workload::{Setup, WORKLOADS, Workload};

/// Bytes of the responses' bodies by path.
const SMALL: usize = 1 << 10;
const MEDIUM: usize = 64 << 10;
const LARGE: u64 = 100 << 20;

/// How long a proxy may take to end.
const ENDS: Duration = Duration::from_secs(60);

struct Options {
    rounds: usize,
    seconds: u64,
    workloads: Vec<&'static Workload>,
    costs: bool,
    gate: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse(std::env::args().skip(1).filter(|argument| argument != "--bench"))?;
    // Built before this process is bound to one CPU.
    println!("{}", binary().display());
    raise_descriptor_limit();
    if options.costs { costs::print(options.gate) } else { print_cpu(&options) }
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        const USAGE: &str =
            "usage: requests [--rounds N] [--seconds N] [--workloads NAME,…] | requests --costs [--gate]";
        let mut options =
            Self { rounds: 3, seconds: 3, workloads: WORKLOADS.iter().collect(), costs: false, gate: false };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--rounds" => options.rounds = arguments.next().context(USAGE)?.parse().context(USAGE)?,
                "--seconds" => options.seconds = arguments.next().context(USAGE)?.parse().context(USAGE)?,
                "--workloads" => {
                    let names = arguments.next().context(USAGE)?;
                    options.workloads = names.split(',').map(Workload::named).collect::<anyhow::Result<_>>()?;
                }
                "--costs" => options.costs = true,
                "--gate" => options.gate = true,
                _ => bail!("{argument}: {USAGE}"),
            }
        }
        ensure!(options.rounds > 0 && options.seconds > 0, "{USAGE}");
        ensure!(options.costs || !options.gate, "--gate goes with --costs: CPU time is too uneven to be a gate");
        Ok(options)
    }
}

/// An origin that answers from memory.
fn origin() -> anyhow::Result<Origin> {
    let h2 = free_port();
    let small = "a".repeat(SMALL);
    let origin = Nginx::start(&format!(
        "sendfile on; tcp_nopush on; keepalive_timeout 3600s; client_max_body_size 0; client_body_buffer_size 128k;
         default_type text/plain; open_file_cache max=16 inactive=3600s; open_file_cache_valid 3600s;
         listen 127.0.0.1:{h2} http2; http2_max_concurrent_streams 256;
         location / {{ return 200 {small}; }} location = /call {{ default_type application/grpc; return 200 answer; }} location = /upload {{ return 200 ok; }}
         location = /medium {{ }} location = /large {{ }}"
    ));
    fs::write(origin.root().join("medium"), "b".repeat(MEDIUM))?;
    fs::File::create(origin.root().join("large"))?.set_len(LARGE)?;
    Ok(Origin { nginx: origin, h2: format!("127.0.0.1:{h2}") })
}

/// What the proxies stand in front of.
struct Origin {
    nginx: Nginx,
    /// Where it speaks HTTP/2.
    h2: String,
}

impl Origin {
    /// Where `workload` finds it.
    fn address(&self, setup: &Setup) -> String {
        if setup.grpc { self.h2.clone() } else { self.nginx.address() }
    }
}

fn print_cpu(options: &Options) -> anyhow::Result<()> {
    wrk::check()?;
    if options.workloads.iter().any(|workload| workload.setup.h2) {
        h2load::check()?;
    }
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.is_installed()).collect();
    ensure!(kinds.contains(&Kind::Nginx), "nginx is the origin and the measure: apt-get install nginx-light");
    let cpus = std::thread::available_parallelism()?.get();
    if cpus < 2 {
        println!("there is one CPU only, which proxy, load and origin share: absolute figures are too high");
    }
    // Children inherit it; proxies are started on the other one.
    pin_to(0)?;
    let origin = origin()?;
    println!(
        "{:<12} {:<58} {:>8} {:>9} {:>9} {:>9} {:>9} {:>8}",
        "workload", "", "unit", "tidegate", "nginx", "haproxy", "envoy", "/ nginx"
    );
    for workload in &options.workloads {
        let mut samples: Vec<Vec<f64>> = vec![Vec::new(); kinds.len()];
        for round in 0..options.rounds {
            for turn in 0..kinds.len() {
                let index = (round + turn) % kinds.len();
                if kinds[index].does(workload) {
                    let sample = sample(kinds[index], workload, &origin, options.seconds, 1.min(cpus - 1));
                    samples[index].push(sample.with_context(|| format!("{} {}", workload.name, kinds[index].name()))?);
                }
            }
        }
        print_row(workload, &kinds, &samples);
    }
    Ok(())
}

/// CPU seconds per unit of one proxy.
fn sample(kind: Kind, workload: &Workload, origin: &Origin, seconds: u64, cpu: usize) -> anyhow::Result<f64> {
    let mut proxy =
        Proxy::start(kind, &workload.setup, &origin.address(&workload.setup), &["taskset", "-c", &cpu.to_string()]);
    let load = |seconds| match workload.setup.h2 {
        true => h2load::run(workload, workload.streams, &proxy.address(), seconds),
        false => wrk::run(workload, &proxy.address(), seconds),
    };
    load(1)?;
    let before = cpu_time(proxy.pid())?;
    let done = load(seconds)?;
    let used = cpu_time(proxy.pid())?.saturating_sub(before);
    // As an operator ends it: a build that counts what it does writes that now.
    proxy.process().signal(Signal::TERM);
    proxy.process().wait(ENDS);
    Ok(used.as_secs_f64() / workload.units(&done))
}

fn print_row(workload: &Workload, kinds: &[Kind], samples: &[Vec<f64>]) {
    let (scale, unit) = workload.scale();
    let least = |kind: Kind| {
        let index = kinds.iter().position(|other| *other == kind)?;
        samples[index].iter().copied().reduce(f64::min)
    };
    let shown = |kind| least(kind).map_or("-".to_owned(), |value| format!("{:.1}", value * scale));
    let ratio = match (least(Kind::Tidegate), least(Kind::Nginx)) {
        (Some(ours), Some(nginx)) => format!("{:.2}", ours / nginx),
        _ => "-".to_owned(),
    };
    let [ours, nginx, haproxy, envoy] = Kind::ALL.map(shown);
    println!(
        "{:<12} {:<58} {unit:>8} {ours:>9} {nginx:>9} {haproxy:>9} {envoy:>9} {ratio:>8}",
        workload.name, workload.title
    );
}

/// Time on a CPU of all threads of a process, which has to have one process only.
fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

fn pin_to(cpu: usize) -> anyhow::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    sched_setaffinity(None::<Pid>, &cpus).context("this process cannot be bound to a CPU")
}

/// Lets this process and its children have as many descriptors as the system allows.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // A lower limit is enough for most workloads, and the others say what they miss.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
