mod model;
mod transitions;

use std::sync::{Arc, Mutex};

use shared::value::TimeSpan;

use super::*;

/// A gate whose transitions are written down, and a clock that only the test moves.
struct Bench {
    gate: Gate,
    config: config::Breaker,
    begin: Instant,
    now: Instant,
    heard: Arc<Mutex<Vec<String>>>,
}

const GOOD: Verdict = Verdict::Success;
const BAD: Verdict = Verdict::Failure;

impl Bench {
    fn new(change: impl FnOnce(&mut config::Breaker)) -> Self {
        let begin = Instant::now();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        let tell = move |transition: Transition| {
            let Transition { input, from, to, reason, .. } = transition;
            told.lock().unwrap().push(format!("{} {from} -> {to}: {reason}", input.word()));
        };
        let mut config = config::Breaker {
            sliding_window_size: 10,
            minimum_number_of_calls: 4,
            slow_call_duration_threshold: TimeSpan::from_secs(2),
            slow_call_rate_threshold: 80,
            permitted_number_of_calls_in_half_open_state: 3,
            ..config::Breaker::default()
        };
        change(&mut config);
        let mut bench = Self { gate: Gate::new(begin, Box::new(tell)), config, begin, now: begin, heard };
        bench.configure(|_| {});
        bench
    }

    fn configure(&mut self, change: impl FnOnce(&mut config::Breaker)) {
        self.force(change, BreakerOverride::Auto);
    }

    fn force(&mut self, change: impl FnOnce(&mut config::Breaker), forced: BreakerOverride) {
        change(&mut self.config);
        self.gate.configure(&self.config, forced, AdminState::Active, self.now);
    }

    fn wait(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    fn enter(&self) -> Result<Pass, Barred> {
        self.gate.enter(self.now)
    }

    /// One call that ends at once; whether it was let in.
    fn call(&self, verdict: Verdict) -> bool {
        self.call_of(verdict, 0.0)
    }

    fn call_of(&self, verdict: Verdict, took: f64) -> bool {
        let pass = self.enter();
        pass.is_ok_and(|pass| {
            self.gate.judge(pass, verdict, Duration::from_secs_f64(took), self.now);
            true
        })
    }

    fn calls(&self, verdict: Verdict, count: usize) {
        (0..count).for_each(|_| assert!(self.call(verdict), "a call is let in"));
    }

    fn state(&self) -> BreakerState {
        self.gate.status(self.now).breaker.state
    }

    /// Transitions since the last time.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}
