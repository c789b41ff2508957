//! The gate against a plain, single-threaded breaker written after the documentation of Resilience4j.

use proptest::prelude::*;
use shared::config::SlidingWindowType;

use super::*;

/// A call of the window or of the trial calls; `None` once it is known by nobody.
#[derive(Clone, Copy)]
struct Call {
    id: usize,
    second: u64,
    is_failed: bool,
    is_slow: bool,
}

enum State {
    Closed,
    Open { until: f64 },
    HalfOpen { permits: u32 },
}

struct Model {
    config: config::Breaker,
    /// In milliseconds: whole ones are exact, so that the edges lie where the gate has them.
    now: f64,
    state: State,
    /// When the state began.
    since: f64,
    /// Distinct for each state.
    stay: u32,
    calls: Vec<Call>,
    openings: u32,
    last_wait: f64,
}

impl Model {
    fn begin(&mut self, state: State) {
        self.state = state;
        self.since = self.now;
        self.stay += 1;
        self.calls.clear();
    }

    fn open(&mut self) {
        if matches!(self.state, State::Closed) && self.now - self.since > self.last_wait {
            self.openings = 0;
        }
        self.openings += 1;
        let wait = self.config.wait_duration_in_open_state.duration().as_millis() as f64;
        let most = self.config.max_wait_duration_in_open_state.duration().as_millis() as f64;
        self.last_wait = (wait * self.config.wait_backoff_factor.powi(self.openings as i32 - 1)).min(most);
        self.begin(State::Open { until: self.now + self.last_wait });
    }

    /// Transitions by time, and what leaves the window by it.
    fn tick(&mut self) {
        let permits = self.config.permitted_number_of_calls_in_half_open_state;
        let limit = self.config.max_wait_duration_in_half_open_state.duration().as_millis() as f64;
        match self.state {
            State::Open { until } if until <= self.now => self.begin(State::HalfOpen { permits }),
            State::HalfOpen { .. } if limit > 0.0 && self.since + limit <= self.now => self.open(),
            State::Closed if self.config.sliding_window_type == SlidingWindowType::Time => {
                let second = ((self.now - self.since) / 1000.0).floor() as u64;
                let size = u64::from(self.config.sliding_window_size);
                self.calls.retain(|call| second - call.second < size);
            }
            _ => {}
        }
    }

    fn enter(&mut self) -> bool {
        self.tick();
        match &mut self.state {
            State::Closed => true,
            State::Open { .. } => false,
            State::HalfOpen { permits } => {
                let has = *permits > 0;
                *permits -= u32::from(has);
                has
            }
        }
    }

    fn leave(&mut self, stay: u32) {
        if let State::HalfOpen { permits } = &mut self.state
            && stay == self.stay
        {
            *permits += 1;
        }
    }

    fn end(&mut self, stay: u32, id: usize, is_failed: bool, is_slow: bool) {
        if stay != self.stay {
            return;
        }
        let second = ((self.now - self.since) / 1000.0).floor() as u64;
        self.tick_window();
        self.calls.push(Call { id, second, is_failed, is_slow });
        if matches!(self.state, State::Closed) && self.config.sliding_window_type == SlidingWindowType::Count {
            let size = self.config.sliding_window_size as usize;
            let surplus = self.calls.len().saturating_sub(size);
            self.calls.drain(..surplus);
        }
        self.judge();
    }

    fn tick_window(&mut self) {
        if matches!(self.state, State::Closed) {
            self.tick();
        }
    }

    fn abort(&mut self, stay: u32, id: usize) {
        if stay != self.stay {
            return;
        }
        self.tick_window();
        if let Some(call) = self.calls.iter_mut().find(|call| call.id == id) {
            call.is_failed = true;
        }
        if matches!(self.state, State::Closed) {
            self.judge();
        }
    }

    fn judge(&mut self) {
        let (calls, failed, slow) = self.counts();
        let is_due = match self.state {
            State::Closed => {
                let minimum = self.config.minimum_number_of_calls;
                let size = self.config.sliding_window_size;
                let is_count = self.config.sliding_window_type == SlidingWindowType::Count;
                calls >= if is_count { minimum.min(size) } else { minimum }
            }
            State::HalfOpen { .. } => calls == self.config.permitted_number_of_calls_in_half_open_state,
            State::Open { .. } => false,
        };
        let rate = |count: u32| 100.0 * f64::from(count) / f64::from(calls);
        if !is_due || calls == 0 {
            return;
        }
        if rate(failed) >= self.config.failure_rate_threshold.into()
            || rate(slow) >= self.config.slow_call_rate_threshold.into()
        {
            self.open();
        } else if matches!(self.state, State::HalfOpen { .. }) {
            self.begin(State::Closed);
        }
    }

    fn counts(&self) -> (u32, u32, u32) {
        let count = |is: fn(&Call) -> bool| self.calls.iter().filter(|call| is(call)).count() as u32;
        (self.calls.len() as u32, count(|call| call.is_failed), count(|call| call.is_slow))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    /// One of the calls under way ends.
    End(usize, bool, bool),
    Cancel(usize),
    /// The response of one that was a success is cut off.
    Abort(usize),
    Wait(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Begin),
        6 => (any::<usize>(), prop::bool::weighted(0.4), prop::bool::weighted(0.2))
            .prop_map(|(which, is_failed, is_slow)| Step::End(which, is_failed, is_slow)),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => any::<usize>().prop_map(Step::Abort),
        2 => (0u32..6_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..300)
}

fn settings() -> impl Strategy<Value = config::Breaker> {
    let window = (prop::bool::ANY, 1u32..12, 1u32..15);
    let thresholds = (1u8..=100, 1u8..=100, 1u32..6);
    let times = (1u64..5_000, prop_oneof![Just(1.0), Just(2.0)], 1u64..8_000, prop_oneof![Just(0u64), 1u64..4_000]);
    (window, thresholds, times).prop_map(|((is_time, size, minimum), (failure, slow, permitted), times)| {
        let (wait, factor, most, half_open) = times;
        config::Breaker {
            sliding_window_type: if is_time { SlidingWindowType::Time } else { SlidingWindowType::Count },
            sliding_window_size: size,
            minimum_number_of_calls: minimum,
            failure_rate_threshold: failure,
            slow_call_rate_threshold: slow,
            slow_call_duration_threshold: TimeSpan::from_secs(2),
            permitted_number_of_calls_in_half_open_state: permitted,
            wait_duration_in_open_state: TimeSpan::from_millis(wait),
            wait_backoff_factor: factor,
            max_wait_duration_in_open_state: TimeSpan::from_millis(most.max(wait)),
            max_wait_duration_in_half_open_state: TimeSpan::from_millis(half_open),
            ..config::Breaker::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_gate_does_what_the_model_does(config in settings(), steps in steps()) {
        let mut bench = Bench::new(|changed| *changed = config.clone());
        let mut model = Model {
            config,
            now: 0.0,
            state: State::Closed,
            since: 0.0,
            stay: 0,
            calls: Vec::new(),
            openings: 0,
            last_wait: 0.0,
        };
        let mut under_way: Vec<(Pass, u32)> = Vec::new();
        let mut answered: Vec<(Answered, u32, usize)> = Vec::new();
        let mut millis = 0u32;
        for (id, step) in steps.into_iter().enumerate() {
            match step {
                Step::Begin => {
                    let pass = bench.enter();
                    prop_assert_eq!(pass.is_ok(), model.enter());
                    under_way.extend(pass.ok().map(|pass| (pass, model.stay)));
                }
                Step::End(which, is_failed, is_slow) if !under_way.is_empty() => {
                    let (pass, stay) = under_way.swap_remove(which % under_way.len());
                    let took = Duration::from_secs(if is_slow { 3 } else { 1 });
                    let counted = bench.gate.judge(pass, if is_failed { BAD } else { GOOD }, took, bench.now);
                    model.end(stay, id, is_failed, is_slow);
                    answered.extend(counted.map(|counted| (counted, stay, id)));
                }
                Step::Cancel(which) if !under_way.is_empty() => {
                    let (pass, stay) = under_way.swap_remove(which % under_way.len());
                    bench.gate.leave(pass);
                    model.leave(stay);
                }
                Step::Abort(which) if !answered.is_empty() => {
                    let (counted, stay, id) = answered.swap_remove(which % answered.len());
                    bench.gate.amend(counted, bench.now);
                    model.abort(stay, id);
                }
                Step::Wait(more) => {
                    millis += more;
                    model.now = f64::from(millis);
                    bench.now = bench.begin + Duration::from_millis(millis.into());
                    bench.gate.tick(bench.now);
                    model.tick();
                }
                _ => {}
            }
            let state = match model.state {
                State::Closed => BreakerState::Closed,
                State::Open { .. } => BreakerState::Open,
                State::HalfOpen { .. } => BreakerState::HalfOpen,
            };
            let shown = bench.gate.status(bench.now).breaker;
            prop_assert_eq!(shown.state, state);
            prop_assert_eq!((shown.calls, shown.failed, shown.slow), model.counts());
            if let State::HalfOpen { permits } = model.state {
                prop_assert_eq!(shown.permits, permits);
            }
        }
    }
}
