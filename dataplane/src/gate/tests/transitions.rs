//! Every transition, after what the documentation of Resilience4j says of it.

use BreakerState::{Closed, HalfOpen, Open};
use shared::config::SlidingWindowType;

use super::*;

fn opened(change: impl FnOnce(&mut config::Breaker)) -> Bench {
    let bench = Bench::new(change);
    bench.calls(BAD, 4);
    assert_eq!(bench.state(), Open);
    bench
}

/// Open, and its wait is over.
fn half_open(change: impl FnOnce(&mut config::Breaker)) -> Bench {
    let mut bench = opened(change);
    bench.wait(10.0);
    assert_eq!(bench.state(), HalfOpen);
    bench.heard();
    bench
}

#[test]
fn closed_opens_at_the_failure_rate_and_not_before_the_minimum() {
    let bench = Bench::new(|_| {});
    bench.calls(GOOD, 2);
    bench.calls(BAD, 1);
    assert_eq!(bench.state(), Closed);
    bench.calls(BAD, 1);
    assert_eq!(bench.state(), Open, "2 of 4 are 50 %");
    assert_eq!(
        bench.heard(),
        ["breaker closed -> open: failure_rate", "effective serving -> breaker_open: failure_rate"]
    );
    assert_eq!(bench.enter().unwrap_err(), Barred::Breaker(Duration::from_secs(10)));
}

#[test]
fn a_success_may_be_the_call_that_makes_up_the_minimum() {
    let bench = Bench::new(|_| {});
    bench.calls(BAD, 3);
    assert_eq!(bench.state(), Closed);
    bench.calls(GOOD, 1);
    assert_eq!(bench.state(), Open);
}

#[test]
fn slow_calls_open_at_their_rate_whether_they_failed_or_not() {
    let bench = Bench::new(|_| {});
    assert!(bench.call_of(GOOD, 2.0), "not longer than the threshold: not slow");
    (0..3).for_each(|_| assert!(bench.call_of(GOOD, 2.001)));
    assert_eq!(bench.state(), Closed, "3 of 4 are 75 %");
    assert!(bench.call_of(GOOD, 2.001));
    assert_eq!(bench.state(), Open, "4 of 5 are 80 %");
    assert_eq!(bench.heard()[0], "breaker closed -> open: slow_call_rate");
}

#[test]
fn what_left_a_window_of_calls_does_not_count() {
    let bench = Bench::new(|_| {});
    bench.calls(GOOD, 6);
    bench.calls(BAD, 4);
    bench.calls(GOOD, 6);
    let breaker = bench.gate.status(bench.now).breaker;
    assert_eq!((breaker.calls, breaker.failed, breaker.failure_rate), (10, 4, Some(40.0)));
    bench.calls(GOOD, 4);
    assert_eq!(bench.gate.status(bench.now).breaker.failed, 0);
    bench.calls(BAD, 4);
    assert_eq!(bench.state(), Closed);
    bench.calls(BAD, 1);
    assert_eq!(bench.state(), Open);
}

#[test]
fn what_left_a_window_of_seconds_does_not_count() {
    let mut bench = Bench::new(|config| config.sliding_window_type = SlidingWindowType::Time);
    bench.calls(BAD, 3);
    bench.wait(9.0);
    let breaker = bench.gate.status(bench.now).breaker;
    assert_eq!((breaker.calls, breaker.failed, breaker.failure_rate), (3, 3, None), "the tenth second is under way");
    bench.wait(1.0);
    assert_eq!(bench.gate.status(bench.now).breaker.calls, 0);
    bench.calls(BAD, 3);
    assert_eq!(bench.state(), Closed);
    bench.wait(5.0);
    bench.calls(GOOD, 1);
    assert_eq!(bench.state(), Open);
}

#[test]
fn open_lets_nothing_in_until_its_wait_is_over() {
    let mut bench = opened(|_| {});
    bench.heard();
    bench.wait(9.999);
    assert_eq!(bench.enter().unwrap_err(), Barred::Breaker(Duration::from_millis(1)));
    bench.wait(0.001);
    assert!(bench.enter().is_ok());
    assert_eq!(bench.heard(), ["breaker open -> half_open: wait_over", "effective breaker_open -> probing: wait_over"]);
}

#[test]
fn the_end_of_the_wait_is_seen_without_a_call() {
    let mut bench = opened(|_| {});
    bench.wait(10.0);
    bench.gate.tick(bench.now);
    assert_eq!(bench.heard().last().unwrap(), "effective breaker_open -> probing: wait_over");
}

#[test]
fn half_open_lets_the_permitted_calls_in_and_closes_when_all_passed() {
    let bench = half_open(|_| {});
    let passes: Vec<Pass> = (0..3).map(|_| bench.enter().unwrap()).collect();
    assert_eq!(bench.enter().unwrap_err(), Barred::Breaker(Duration::ZERO));
    for (ended, pass) in passes.into_iter().enumerate() {
        assert_eq!((bench.state(), ended), (HalfOpen, ended));
        bench.gate.judge(pass, GOOD, Duration::ZERO, bench.now);
    }
    assert_eq!(bench.state(), Closed);
    assert_eq!(
        bench.heard(),
        ["breaker half_open -> closed: trial_calls_passed", "effective probing -> serving: trial_calls_passed"]
    );
    let breaker = bench.gate.status(bench.now).breaker;
    assert_eq!((breaker.calls, breaker.failed), (0, 0), "the window is new");
}

#[test]
fn half_open_is_judged_when_all_trial_calls_have_ended() {
    for (verdicts, took, state, reason) in [
        ([BAD, BAD, BAD], 0.0, Open, "failure_rate"),
        ([GOOD, BAD, BAD], 0.0, Open, "failure_rate"),
        ([BAD, GOOD, GOOD], 0.0, Closed, "trial_calls_passed"),
        ([GOOD, GOOD, GOOD], 3.0, Open, "slow_call_rate"),
    ] {
        let bench = half_open(|_| {});
        for (index, verdict) in verdicts.into_iter().enumerate() {
            assert_eq!((bench.state(), index), (HalfOpen, index));
            assert!(bench.call_of(verdict, took));
        }
        assert_eq!(bench.state(), state, "{verdicts:?}");
        assert!(bench.heard()[0].ends_with(reason), "{verdicts:?}");
    }
}

#[test]
fn a_cancelled_trial_call_gives_its_permit_back_and_says_nothing() {
    let bench = half_open(|_| {});
    for _ in 0..50 {
        let passes: Vec<Pass> = (0..3).map(|_| bench.enter().unwrap()).collect();
        assert_eq!(bench.gate.status(bench.now).breaker.permits, 0);
        passes.into_iter().for_each(|pass| bench.gate.leave(pass));
    }
    assert_eq!((bench.state(), bench.gate.status(bench.now).breaker.permits), (HalfOpen, 3));
    bench.calls(GOOD, 3);
    assert_eq!(bench.state(), Closed);
}

#[test]
fn half_open_ends_after_its_longest_time_if_there_is_one() {
    let mut bench = half_open(|_| {});
    let _pass = bench.enter().unwrap();
    bench.wait(1_000_000.0);
    assert_eq!(bench.state(), HalfOpen, "0s waits for all trial calls");

    let mut bench = half_open(|config| config.max_wait_duration_in_half_open_state = TimeSpan::from_secs(5));
    let late = bench.enter().unwrap();
    bench.wait(5.0);
    assert_eq!(bench.enter().unwrap_err(), Barred::Breaker(Duration::from_secs(20)), "open again, twice as long");
    assert_eq!(bench.heard()[0], "breaker half_open -> open: half_open_too_long");
    bench.gate.judge(late, GOOD, Duration::ZERO, bench.now);
    assert_eq!(bench.state(), Open, "what ended late counts nowhere");
}

#[test]
fn the_wait_grows_while_it_opens_again_and_is_forgotten_after_a_good_time() {
    let mut bench = opened(|_| {});
    for wait in [10.0, 20.0, 40.0, 60.0, 60.0] {
        assert_eq!(bench.enter().unwrap_err(), Barred::Breaker(Duration::from_secs_f64(wait)));
        bench.wait(wait);
        bench.calls(BAD, 3);
    }
    bench.wait(60.0);
    bench.calls(GOOD, 3);
    // It flaps: closed for less time than it was open.
    bench.wait(60.0);
    bench.calls(BAD, 4);
    assert_eq!(bench.enter().unwrap_err(), Barred::Breaker(Duration::from_secs(60)));
    assert_eq!(bench.gate.status(bench.now).breaker.consecutive_openings, 7);
    bench.wait(60.0);
    bench.calls(GOOD, 3);
    bench.wait(60.001);
    bench.calls(BAD, 4);
    assert_eq!(bench.enter().unwrap_err(), Barred::Breaker(Duration::from_secs(10)));
    assert_eq!(bench.gate.status(bench.now).breaker.consecutive_openings, 1);
}

#[test]
fn what_began_in_another_stay_counts_nowhere() {
    let mut bench = Bench::new(|_| {});
    let old: Vec<Pass> = (0..10).map(|_| bench.enter().unwrap()).collect();
    bench.calls(BAD, 4);
    bench.wait(10.0);
    assert_eq!(bench.state(), HalfOpen);
    let mut old = old.into_iter();
    old.by_ref().take(3).for_each(|pass| _ = bench.gate.judge(pass, BAD, Duration::ZERO, bench.now));
    old.by_ref().take(3).for_each(|pass| bench.gate.leave(pass));
    assert_eq!((bench.state(), bench.gate.status(bench.now).breaker.permits), (HalfOpen, 3));
    bench.calls(GOOD, 3);
    old.for_each(|pass| _ = bench.gate.judge(pass, BAD, Duration::ZERO, bench.now));
    assert_eq!((bench.state(), bench.gate.status(bench.now).breaker.calls), (Closed, 0));
}

#[test]
fn a_response_that_is_cut_off_makes_a_failure_of_the_same_call() {
    for kind in [SlidingWindowType::Count, SlidingWindowType::Time] {
        let bench = Bench::new(|config| config.sliding_window_type = kind);
        let answered: Vec<Answered> = (0..4)
            .map(|_| bench.gate.judge(bench.enter().unwrap(), GOOD, Duration::ZERO, bench.now).unwrap())
            .collect();
        let mut answered = answered.into_iter();
        bench.gate.amend(answered.next().unwrap(), bench.now);
        let breaker = bench.gate.status(bench.now).breaker;
        assert_eq!((breaker.calls, breaker.failed), (4, 1), "{kind:?}: one call, not two");
        bench.gate.amend(answered.next().unwrap(), bench.now);
        assert_eq!(bench.state(), Open);
        bench.gate.amend(answered.next().unwrap(), bench.now);
    }
    let bench = half_open(|_| {});
    let answered: Vec<_> =
        (0..2).map(|_| bench.gate.judge(bench.enter().unwrap(), GOOD, Duration::ZERO, bench.now).unwrap()).collect();
    answered.into_iter().for_each(|counted| bench.gate.amend(counted, bench.now));
    bench.calls(GOOD, 1);
    assert_eq!(bench.state(), Open, "2 of 3 trial calls failed");
}

#[test]
fn a_changed_setting_resets_only_what_it_defines() {
    let mut bench = Bench::new(|_| {});
    bench.calls(BAD, 1);
    bench.calls(GOOD, 9);
    bench.configure(|config| {
        config.failure_rate_threshold = 60;
        config.minimum_number_of_calls = 10;
        config.slow_call_duration_threshold = TimeSpan::from_secs(9);
    });
    assert_eq!(bench.gate.status(bench.now).breaker.calls, 10, "a threshold keeps the window");
    bench.configure(|config| config.sliding_window_size = 20);
    assert_eq!(bench.gate.status(bench.now).breaker.calls, 0, "the size is the window's");
    bench.configure(|config| config.minimum_number_of_calls = 4);
    assert!(bench.heard().is_empty());

    bench.calls(BAD, 4);
    bench.wait(3.0);
    bench.configure(|config| config.sliding_window_size = 10);
    assert_eq!(bench.enter().unwrap_err(), Barred::Breaker(Duration::from_secs(7)), "it goes on being open");
    bench.configure(|config| config.wait_duration_in_open_state = TimeSpan::from_secs(5));
    assert_eq!(bench.enter().unwrap_err(), Barred::Breaker(Duration::from_secs(2)), "the wait is as it is now");
    bench.wait(2.0);
    let pass = bench.enter().unwrap();
    bench.configure(|config| config.failure_rate_threshold = 70);
    assert_eq!(bench.gate.status(bench.now).breaker.permits, 2, "a threshold keeps the trial calls");
    bench.configure(|config| config.permitted_number_of_calls_in_half_open_state = 2);
    bench.gate.judge(pass, BAD, Duration::ZERO, bench.now);
    assert_eq!(bench.gate.status(bench.now).breaker.permits, 2, "their number begins them anew");
    bench.calls(GOOD, 2);
    assert_eq!(bench.state(), Closed);
}

#[test]
fn a_threshold_that_is_lowered_acts_with_the_next_call() {
    let mut bench = Bench::new(|_| {});
    bench.calls(GOOD, 6);
    bench.calls(BAD, 4);
    bench.configure(|config| config.failure_rate_threshold = 30);
    assert_eq!(bench.state(), Closed);
    bench.calls(GOOD, 1);
    assert_eq!(bench.state(), Open);
}

#[test]
fn an_operator_opens_closes_and_releases() {
    use BreakerOverride::{Auto, ForceClosed, ForceOpen};
    let mut bench = Bench::new(|_| {});
    bench.force(|_| {}, ForceOpen);
    bench.wait(1_000.0);
    assert!(matches!(bench.enter(), Err(Barred::Breaker(_))));
    let status = bench.gate.status(bench.now);
    assert_eq!((status.breaker.forced.as_deref(), status.breaker.open_until), (Some("force_open"), None));
    assert_eq!((status.state, status.reason.as_str()), (EffectiveState::BreakerOpen, "forced_open"));
    bench.gate.reset(bench.now);
    assert_eq!(bench.state(), Open, "a reset does not undo what the configuration says");
    bench.force(|_| {}, ForceClosed);
    bench.calls(BAD, 20);
    assert_eq!((bench.state(), bench.gate.status(bench.now).breaker.failed), (Closed, 10), "it counts all the same");
    bench.force(|_| {}, Auto);
    assert_eq!(bench.gate.status(bench.now).breaker.calls, 0);
    bench.calls(BAD, 4);
    assert_eq!(bench.state(), Open);
    let words = |line: &str| line.starts_with("effective");
    assert_eq!(bench.heard().iter().filter(|line| words(line)).count(), 3);
}

#[test]
fn a_breaker_that_is_switched_off_counts_nothing_and_bars_nothing() {
    let mut bench = Bench::new(|config| config.enabled = false);
    bench.calls(BAD, 100);
    assert_eq!((bench.state(), bench.gate.status(bench.now).breaker.calls), (Closed, 0));
    bench.configure(|config| config.enabled = true);
    bench.calls(BAD, 4);
    assert_eq!(bench.state(), Open);
    bench.configure(|config| config.enabled = false);
    bench.calls(BAD, 1);
    assert_eq!(bench.state(), Closed);
}

#[test]
fn a_reset_closes_and_forgets() {
    let bench = half_open(|_| {});
    let late = bench.enter().unwrap();
    bench.gate.reset(bench.now);
    assert_eq!(bench.heard(), ["breaker half_open -> closed: reset", "effective probing -> serving: reset"]);
    bench.gate.leave(late);
    bench.calls(BAD, 3);
    bench.gate.reset(bench.now);
    bench.calls(BAD, 3);
    assert_eq!((bench.state(), bench.gate.status(bench.now).breaker.consecutive_openings), (Closed, 0));
}

#[test]
fn the_last_transitions_are_remembered() {
    let mut bench = opened(|_| {});
    for _ in 0..6 {
        bench.wait(60.0);
        bench.calls(BAD, 3);
    }
    let transitions = bench.gate.status(bench.now).transitions;
    assert_eq!(transitions.len(), 8);
    let newest = &transitions[0];
    assert_eq!((newest.from.as_str(), newest.to.as_str()), ("probing", "breaker_open"));
    assert!(transitions.windows(2).all(|pair| pair[0].from == pair[1].to), "{transitions:?}");
}

/// Threads that call while others end theirs: in all, exactly as many pass as are permitted.
#[test]
fn concurrent_callers_of_half_open_get_the_permitted_calls_in_all() {
    for _ in 0..50 {
        let bench = half_open(|config| config.permitted_number_of_calls_in_half_open_state = 7);
        let let_in = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for turn in 0..200 {
                        match bench.gate.enter(bench.now) {
                            Ok(pass) if turn % 3 == 0 => bench.gate.leave(pass),
                            Ok(pass) => {
                                let_in.fetch_add(1, Relaxed);
                                bench.gate.judge(pass, BAD, Duration::ZERO, bench.now);
                            }
                            Err(_) => {}
                        }
                    }
                });
            }
        });
        assert_eq!(let_in.load(Relaxed), 7);
        assert_eq!(bench.state(), Open);
    }
}
