//! Ten thousand changes of the configuration under load, none of which has to do with the state that is looked at: nothing is reset, and
//! memory, tasks, threads and descriptors stay what they are.
//!
//! `cargo bench -p tidegate-tests --bench changes` prints what the data plane holds after every thousand changes, and how long a change took
//! until it was seen to act, and fails when something was reset, a request failed, or the process grew by more than the bounds.

use std::{
    io::Write,
    process::ExitCode,
    time::{Duration, Instant},
};

use harness::{Footprint, Unrelated};

const ROUNDS: u64 = 10;
const EACH: u64 = 1_000;
/// By how much descriptors and tasks may differ, for connections of the load come and go; threads, for the ones that block end after 10 s.
const DESCRIPTORS: u64 = 8;
const TASKS: u64 = 16;
const THREADS: u64 = 4;
/// By how many KiB memory may grow after the first round.
const MEMORY: u64 = 8 << 10;

fn main() -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    let mut site = Unrelated::start();
    writeln!(
        out,
        "{:>8} {:>12} {:>12} {:>8} {:>12} {:>10}",
        "changes", "memory KiB", "descriptors", "tasks", "threads", "ms each"
    )?;
    let mut first: Option<Footprint> = None;
    let mut last = site.footprint();
    for round in 1..=ROUNDS {
        let begin = Instant::now();
        site.change(EACH);
        let each = begin.elapsed() / u32::try_from(EACH)?;
        last = site.footprint();
        first.get_or_insert(last);
        let Footprint { memory, descriptors, threads, tasks } = last;
        let each = millis(each);
        writeln!(out, "{:>8} {memory:>12} {descriptors:>12} {tasks:>8} {threads:>12} {each:>10.2}", round * EACH)?;
    }
    let requests = site.finish();
    writeln!(out, "{requests} requests meanwhile, none failed; nothing was reset")?;
    let Some(first) = first else { return Ok(ExitCode::FAILURE) };
    let is_flat = last.memory <= first.memory + MEMORY
        && last.descriptors <= first.descriptors + DESCRIPTORS
        && last.tasks <= first.tasks + TASKS
        && last.threads <= first.threads + THREADS;
    Ok(if is_flat { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
