//! What choosing an endpoint costs, and choosing and recording the call at its breaker.
//!
//! `cargo bench -p tidegate-dataplane --bench picks` prints nanoseconds of CPU time for each policy: two threads at once, as two workers, at
//! one upstream of 100 endpoints with weights of 1 to 4. Each thread keeps 32 tries under way, so that what compares loads has loads to
//! compare. A pick holds everything from reading the clock to the end of the try; with the record the clock is read once more, as it is
//! when the head of a response comes. The figure of a case is the median of its rounds, which take turns with those of the other
//! cases. The run fails when a figure is above its ceiling: run it on a machine that is at rest.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{collections::VecDeque, process::ExitCode, sync::Barrier, thread, time::Duration};

use dataplane::bench::{Picker, Picking};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

const ENDPOINTS: usize = 100;
const WORKERS: usize = 2;
const UNDER_WAY: usize = 32;
const PICKS: u32 = 200_000;
const ROUNDS: usize = 9;
/// Nanoseconds that a pick, and a pick with the record of its call, may take.
const CEILINGS: [f64; 2] = [200.0, 300.0];

fn main() -> ExitCode {
    let of_calls = json!({});
    let of_seconds = json!({ "sliding_window_type": "time", "sliding_window_size": 60 });
    let bounded = json!({ "policy": "consistent_hash", "hash": { "max_load_percent": 150 } });
    let cases = [
        ("round_robin", json!({ "policy": "round_robin" }), &of_calls),
        ("round_robin, window of 60 s", json!({ "policy": "round_robin" }), &of_seconds),
        ("random", json!({ "policy": "random" }), &of_calls),
        ("least_connections", json!({ "policy": "least_connections" }), &of_calls),
        ("peak_ewma", json!({ "policy": "peak_ewma" }), &of_calls),
        ("consistent_hash", json!({ "policy": "consistent_hash" }), &of_calls),
        ("consistent_hash, bounded", bounded, &of_calls),
    ];
    let upstreams: Vec<Picking> = cases.iter().map(|(_, balance, breaker)| upstream(balance, breaker)).collect();
    let mut figures = vec![[const { Vec::new() }; 2]; cases.len()];
    for _ in 0..ROUNDS {
        for (upstream, figures) in upstreams.iter().zip(&mut figures) {
            for (records, figures) in [false, true].into_iter().zip(figures) {
                figures.push(measure(upstream, records));
            }
        }
    }
    println!("{:<28} {:>10} {:>16}", format!("{ENDPOINTS} endpoints, {WORKERS} threads"), "pick, ns", "and record, ns");
    let mut is_within = true;
    for ((name, ..), figures) in cases.iter().zip(figures) {
        let [pick, both] = figures.map(median);
        is_within &= pick <= CEILINGS[0] && both <= CEILINGS[1];
        println!("{name:<28} {pick:>10.0} {both:>16.0}");
    }
    println!("{:<28} {:>10.0} {:>16.0}", "ceiling", CEILINGS[0], CEILINGS[1]);
    if is_within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn upstream(balance: &Value, breaker: &Value) -> Picking {
    let backend = |index: usize| {
        let address = format!("10.0.{}.{}:80", index / 250, index % 250 + 1);
        json!({ "name": format!("b{index}"), "address": address, "weight": index % 4 + 1 })
    };
    let backends: Vec<Value> = (0..ENDPOINTS).map(backend).collect();
    let config = json!({ "name": "up", "balance": balance, "breaker": breaker, "backends": backends });
    Picking::new(&serde_json::from_value(config).expect("a sound upstream"))
}

/// Nanoseconds of one pick, on the average over the threads.
fn measure(upstream: &Picking, records: bool) -> f64 {
    let start = Barrier::new(WORKERS);
    let took: Duration = thread::scope(|scope| {
        let work = || {
            let picker = upstream.picker();
            // Fills the caches, and the list of tries.
            let mut under_way = VecDeque::with_capacity(UNDER_WAY + 1);
            pick(&picker, &mut under_way, PICKS / 10, records);
            start.wait();
            let begin = cpu_time();
            pick(&picker, &mut under_way, PICKS, records);
            cpu_time() - begin
        };
        let threads: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a worker does not panic")).sum()
    });
    took.as_nanos() as f64 / f64::from(PICKS) / WORKERS as f64
}

fn pick(picker: &Picker<'_>, under_way: &mut VecDeque<dataplane::bench::Try>, count: u32, records: bool) {
    for _ in 0..count {
        under_way.push_back(picker.pick());
        if under_way.len() > UNDER_WAY
            && let Some(mut ends) = under_way.pop_front()
            && records
        {
            picker.record(&mut ends);
        }
    }
}

/// What this thread has used so far: whoever else uses the machine does not count.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
