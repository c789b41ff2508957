use shared::{
    config::{FirstState, HealthCheck, TcpCheck, UpstreamProtocol},
    status::{EffectiveState, Health},
    value::{BackendAddress, TimeSpan},
};

use super::*;
use crate::{events::Events, gate::Barred, live::EndpointAddress, metrics::Metrics};

fn check(change: impl FnOnce(&mut HealthCheck)) -> HealthCheck {
    let mut check = HealthCheck { tcp: Some(TcpCheck {}), jitter: 0, ..HealthCheck::default() };
    change(&mut check);
    check
}

/// Endpoints of one upstream, and a clock that only the test moves.
struct Bench {
    live: Live,
    endpoints: Vec<Arc<EndpointLive>>,
    now: Instant,
}

impl Bench {
    fn new(count: u16, check: &HealthCheck) -> Self {
        let live = Live::new(Metrics::new(), Events::unheard());
        let endpoints = (0..count).map(|number| {
            let address = EndpointAddress::Ip(([127, 0, 0, 1], number + 1).into());
            live.endpoint(&"u".parse().unwrap(), &format!("b{number}").parse().unwrap(), &address)
        });
        let mut bench = Self { endpoints: endpoints.collect(), live, now: Instant::now() };
        bench.configure(Some(check));
        bench
    }

    /// As a change of the configuration does it, and the tick after it.
    fn configure(&mut self, check: Option<&HealthCheck>) {
        for endpoint in &self.endpoints {
            let backend: BackendAddress = endpoint.address.to_string().parse().unwrap();
            let check = check.map(|check| (check, UpstreamProtocol::H1, &backend));
            if endpoint.health.configure(check, true, self.now) {
                let (health, assumes_health, reason) = endpoint.health.state();
                endpoint.gate.set_health(health, assumes_health, None, reason, self.now);
            }
        }
        self.tick();
    }

    /// The checks that are due, by endpoint; each is under way from then on.
    fn tick(&mut self) -> Vec<(usize, u64)> {
        let due = due(&self.live, self.now);
        let number = |endpoint: &Arc<EndpointLive>| {
            self.endpoints.iter().position(|known| Arc::ptr_eq(known, endpoint)).unwrap()
        };
        let mut due: Vec<_> = due.iter().map(|(endpoint, _, round)| (number(endpoint), *round)).collect();
        due.sort_unstable();
        due
    }

    fn end(&self, (number, round): (usize, u64), passed: bool) {
        let check = CheckStatus { at: Timestamp::now(), passed, detail: "seen".to_owned(), duration_us: 1 };
        act(&self.live, Ended { endpoint: Arc::clone(&self.endpoints[number]), round, check }, self.now);
    }

    /// Waits for the next check of each endpoint, and has all of them end so.
    fn all(&mut self, passed: bool) {
        self.now += Duration::from_secs(5);
        let due = self.tick();
        assert_eq!(due.len(), self.endpoints.len());
        due.into_iter().for_each(|check| self.end(check, passed));
    }

    fn states(&self) -> Vec<EffectiveState> {
        self.endpoints.iter().map(|endpoint| endpoint.gate.status(self.now).state).collect()
    }

    fn health(&self, number: usize) -> Health {
        self.endpoints[number].gate.status(self.now).health.state
    }
}

#[test]
fn falls_after_so_many_failures_in_a_row_and_rises_after_so_many_passes() {
    let mut bench = Bench::new(1, &check(|check| (check.fall, check.rise, check.panic) = (3, 2, false)));
    assert_eq!((bench.health(0), bench.states()[0]), (Health::Pending, EffectiveState::Serving), "it is assumed");
    for (passed, health) in [
        (true, Health::Healthy),
        (false, Health::Healthy),
        (false, Health::Healthy),
        (true, Health::Healthy),
        (false, Health::Healthy),
        (false, Health::Healthy),
        (false, Health::Unhealthy),
        (true, Health::Unhealthy),
        (false, Health::Unhealthy),
        (true, Health::Unhealthy),
        (true, Health::Healthy),
    ] {
        bench.all(passed);
        assert_eq!(bench.health(0), health);
    }
    let status = bench.endpoints[0].gate.status(bench.now);
    assert_eq!(status.health.last_check.unwrap().detail, "seen");
    let words: Vec<_> = status.transitions.iter().map(|seen| (seen.to.as_str(), seen.reason.as_str())).collect();
    assert_eq!(words, [("serving", "checks_passed"), ("unhealthy", "checks_failed")]);
}

#[test]
fn the_first_check_decides_where_it_is_waited_for() {
    let first = check(|check| (check.first_state, check.panic) = (FirstState::ProbeFirst, false));
    for (passed, state) in [(true, EffectiveState::Serving), (false, EffectiveState::Unhealthy)] {
        let live = Live::new(Metrics::new(), Events::unheard());
        let mut bench = Bench { live, endpoints: Vec::new(), now: Instant::now() };
        let address: BackendAddress = "127.0.0.1:1".parse().unwrap();
        let resolved = EndpointAddress::of(&address).unwrap();
        bench.endpoints = vec![bench.live.endpoint(&"u".parse().unwrap(), &"b".parse().unwrap(), &resolved)];
        let configured = Some((&first, UpstreamProtocol::H1, &address));
        assert!(bench.endpoints[0].health.configure(configured, true, bench.now));
        let (health, assumes_health, reason) = bench.endpoints[0].health.state();
        bench.endpoints[0].gate.set_health(health, assumes_health, None, reason, bench.now);
        assert_eq!(bench.endpoints[0].gate.enter(bench.now).unwrap_err(), Barred::Unavailable, "before any tick");
        let due = bench.tick();
        assert_eq!(due.len(), 1, "at once");
        bench.end(due[0], passed);
        assert_eq!(bench.states(), [state]);
    }
}

#[test]
fn panic_keeps_the_last_one_serving_and_ends_with_the_first_that_recovers() {
    let mut bench = Bench::new(3, &check(|check| check.fall = 1));
    bench.all(true);
    bench.now += Duration::from_secs(5);
    let due = bench.tick();
    bench.end(due[0], false);
    bench.end(due[1], false);
    use EffectiveState::{Panic, Serving, Unhealthy};
    assert_eq!(bench.states(), [Unhealthy, Unhealthy, Serving]);
    bench.end(due[2], false);
    assert_eq!(bench.states(), [Panic; 3]);
    let seen: Vec<_> = bench.endpoints[2].gate.status(bench.now).transitions;
    assert_eq!((seen[0].to.as_str(), seen[0].reason.as_str()), ("panic", "all_unhealthy"), "it was never kept out");
    assert!(seen.iter().all(|seen| seen.to != "unhealthy"));
    bench.all(true);
    assert_eq!(bench.states(), [Panic; 3]);
    bench.now += Duration::from_secs(5);
    let due = bench.tick();
    bench.end(due[0], true);
    assert_eq!(bench.states(), [Serving, Unhealthy, Unhealthy]);
}

#[test]
fn without_panic_nothing_is_used_when_all_fail() {
    let mut bench = Bench::new(2, &check(|check| (check.fall, check.panic) = (1, false)));
    bench.all(false);
    assert_eq!(bench.states(), [EffectiveState::Unhealthy; 2]);
    let mut allowed = check(|check| check.fall = 1);
    bench.configure(Some(&allowed));
    assert_eq!(bench.states(), [EffectiveState::Panic; 2], "a changed setting acts");
    allowed.panic = false;
    bench.configure(Some(&allowed));
    assert_eq!(bench.states(), [EffectiveState::Unhealthy; 2]);
}

#[test]
fn a_changed_setting_resets_only_what_it_defines() {
    let slow = check(|check| check.fall = 2);
    let mut bench = Bench::new(1, &slow);
    bench.all(true);
    bench.all(false);
    // Another interval: what was counted stays, and the next check comes by it.
    let quick = check(|check| (check.fall, check.interval) = (2, TimeSpan::from_millis(500)));
    bench.configure(Some(&quick));
    bench.now += Duration::from_millis(500);
    let due = bench.tick();
    assert_eq!(due.len(), 1);
    bench.end(due[0], false);
    assert_eq!(bench.states(), [EffectiveState::Panic], "the second failure in a row");
    // Something else is checked: the health stays until a check says otherwise, and a check that is under way says nothing.
    bench.now += Duration::from_secs(2);
    let old = bench.tick();
    let other = HealthCheck { tcp: None, http: Some(Default::default()), ..quick };
    bench.configure(Some(&other));
    old.into_iter().for_each(|check| bench.end(check, true));
    assert_eq!(bench.health(0), Health::Unhealthy);
    // None any more.
    bench.configure(None);
    assert_eq!((bench.health(0), bench.states()[0]), (Health::Unchecked, EffectiveState::Serving));
    bench.now += Duration::from_secs(60);
    assert!(bench.tick().is_empty());
}

#[test]
fn an_endpoint_that_is_down_is_checked_more_often_and_none_twice_at_a_time() {
    let mut bench = Bench::new(1, &check(|check| check.fall = 1));
    bench.all(false);
    bench.now += Duration::from_millis(1_999);
    assert!(bench.tick().is_empty());
    bench.now += Duration::from_millis(1);
    let due = bench.tick();
    assert_eq!(due.len(), 1);
    bench.now += Duration::from_secs(60);
    assert!(bench.tick().is_empty(), "one is under way");
    bench.end(due[0], true);
    assert_eq!(bench.tick().len(), 1);
}

#[test]
fn an_endpoint_that_no_snapshot_names_is_not_checked() {
    let mut bench = Bench::new(3, &check(|_| {}));
    bench.live.retain(|_| true, |endpoint| endpoint.address.to_string() != "127.0.0.1:2");
    bench.now += Duration::from_secs(60);
    let due: Vec<_> = bench.tick().into_iter().map(|(number, _)| number).collect();
    assert_eq!(due, [0, 2]);
    assert_eq!(bench.live.endpoints_of(&"u".parse().unwrap()).len(), 2);
}

#[test]
fn intervals_differ_by_their_jitter() {
    let config = check(|check| check.jitter = 20);
    let plan = Plan::new((&config, UpstreamProtocol::H1, &"127.0.0.1:1".parse().unwrap()));
    let drawn: Vec<Duration> = (0..200).map(|_| plan.interval(Health::Healthy)).collect();
    let (least, most) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
    assert!(*least >= Duration::from_secs(4) && *most <= Duration::from_secs(6) && least < most, "{least:?} {most:?}");
}
