use std::{
    cell::Cell,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::hash;
use crate::{
    attempt::{Attempt, Said},
    events::Events,
    instant::Instant,
    live::Live,
    metrics::Metrics,
    snapshot::{Affinity, Unavailable, Upstream},
};

const OK: Said = Said { status: 200, grpc: None };
const PICKS: u64 = 100_000;
const POLICIES: [&str; 5] = ["round_robin", "random", "least_connections", "peak_ewma", "consistent_hash"];

/// An upstream with a random sequence of its own.
struct Subject {
    live: Live,
    upstream: Arc<Upstream>,
    random: Cell<u64>,
    began: Instant,
}

impl Subject {
    /// One that balances by `balance`, with a backend for each of `backends`: more of its fields.
    fn new(balance: &str, backends: &[String]) -> Self {
        let live = Live::new(Metrics::new(), Events::unheard());
        let upstream = Arc::new(Upstream::compile(&config(balance, backends), &live, None));
        Self { live, upstream, random: Cell::new(1), began: Instant::now() }
    }

    fn weighted(balance: &str, weights: &[u64]) -> Self {
        Self::new(balance, &weights.iter().map(|weight| format!("weight: {weight}")).collect::<Vec<_>>())
    }

    /// Changes it as a new snapshot does.
    fn change(&mut self, balance: &str, backends: &[String]) {
        self.upstream = Arc::new(Upstream::compile(&config(balance, backends), &self.live, Some(&self.upstream)));
        // Endpoints that it made were born now, and moments before that would be none to them.
        self.began = Instant::now();
    }

    fn chance(&self) -> u64 {
        self.random.set(self.random.get() + 1);
        hash::with(5, self.random.get())
    }

    fn try_pick(&self, key: Option<u64>, tried: &[u64], after: Duration) -> Result<Attempt, Unavailable> {
        let picked =
            self.upstream.pick(&Affinity { key, session: None }, tried, self.began + after, || self.chance())?;
        Ok(picked.attempt)
    }

    fn pick(&self, key: Option<u64>, after: Duration) -> Attempt {
        self.try_pick(key, &[], after).unwrap()
    }
}

fn config(balance: &str, backends: &[String]) -> shared::config::Upstream {
    let backends = backends.iter().enumerate();
    let backends: Vec<String> =
        backends.map(|(index, more)| format!("{{name: b{index}, address: 127.0.0.1:{}, {more}}}", index + 1)).collect();
    let text = format!("upstreams: [{{name: u, balance: {{{balance}}}, backends: [{}]}}]", backends.join(", "));
    shared::document::read_config(&text).unwrap().upstreams.remove(0)
}

fn index(attempt: &Attempt) -> usize {
    attempt.endpoint().backend.as_str()[1..].parse().unwrap()
}

/// The shares of `picks`, of which always `open` are under way and each takes so long that an endpoint is equally fast.
fn shares(subject: &Subject, count: usize, open: usize) -> Vec<f64> {
    let step = Duration::from_micros(100);
    let (mut counts, mut under_way) = (vec![0u64; count], VecDeque::new());
    for number in 0..PICKS {
        let now = step * number as u32;
        let attempt = subject.pick(Some(hash::with(9, number)), now);
        counts[index(&attempt)] += 1;
        under_way.push_back(attempt);
        if under_way.len() > open {
            under_way.pop_front().unwrap().answered(OK, Duration::ZERO, subject.began + now);
        }
    }
    counts.into_iter().map(|count| count as f64 / PICKS as f64).collect()
}

#[test]
fn shares_are_the_weights() {
    let many: Vec<u64> = (0..24).map(|index| 1 + index % 4).collect();
    for weights in [&[1, 1][..], &[3, 1], &[5, 0, 3, 1], &many] {
        for policy in POLICIES {
            // With a handful under way, one more is a large part of all: who has none is the least, whatever its weight.
            for open in [0, 40] {
                let subject = Subject::weighted(&format!("policy: {policy}"), weights);
                let shares = shares(&subject, weights.len(), open);
                let sum: u64 = weights.iter().sum();
                for (share, weight) in shares.iter().zip(weights) {
                    let wanted = *weight as f64 / sum as f64;
                    assert!((share - wanted).abs() < 0.02, "{policy}, {open} under way, {weights:?}: {shares:?}");
                }
            }
        }
    }
}

#[test]
fn round_robin_is_exact_over_workers() {
    let subject = Subject::weighted("policy: round_robin", &[3, 2, 5]);
    let counts: Vec<[u64; 3]> = std::thread::scope(|scope| {
        let upstream = &subject.upstream;
        let work = || {
            let mut counts = [0; 3];
            (0..PICKS / 2).for_each(|_| {
                let picked = upstream.pick(&Affinity { key: None, session: None }, &[], Instant::now(), || 0).unwrap();
                counts[index(&picked.attempt)] += 1;
            });
            counts
        };
        let workers = [(); 2].map(|()| scope.spawn(work));
        workers.map(|worker| worker.join().unwrap()).into()
    });
    let sums = [0, 1, 2].map(|backend| counts.iter().map(|counts| counts[backend]).sum::<u64>());
    assert_eq!(sums, [PICKS / 10 * 3, PICKS / 10 * 2, PICKS / 10 * 5]);
}

#[test]
fn no_lock_is_taken_to_pick_and_to_record() {
    for policy in POLICIES {
        let subject = Subject::weighted(&format!("policy: {policy}"), &[1; 20]);
        let Subject { live, upstream, .. } = &subject;
        // Somebody else has every lock that there is, for good.
        let endpoints: Vec<_> = upstream.members().map(|(endpoint, ..)| endpoint).collect();
        let held = (live.hold(), upstream.hold(), endpoints.iter().map(|it| it.gate.hold()).collect::<Vec<_>>());
        let (done, is_done) = std::sync::mpsc::channel();
        let upstream = Arc::clone(upstream);
        std::thread::spawn(move || {
            for number in 0..1_000 {
                let affinity = Affinity { key: Some(hash::with(3, number)), session: None };
                let now = Instant::now();
                let mut attempt = upstream.pick(&affinity, &[], now, || hash::with(5, number)).unwrap().attempt;
                // Fewer of each endpoint than would open its breaker: that is a transition.
                let status = if number.is_multiple_of(9) { 503 } else { 200 };
                attempt.answered(Said { status, grpc: None }, Duration::ZERO, now);
            }
            done.send(()).unwrap();
        });
        let waited = is_done.recv_timeout(Duration::from_secs(20));
        assert!(waited.is_ok(), "{policy}: a pick or a record waits for a lock");
        drop(held);
    }
}

#[test]
fn who_may_not_be_used_leaves_the_rest_exact() {
    let backends = ["weight: 3", "weight: 2", "weight: 5, breaker_override: force_open"].map(str::to_owned);
    let subject = Subject::new("policy: round_robin", &backends);
    subject.upstream.configure_live(subject.began);
    let mut counts = [0; 3];
    for _ in 0..PICKS {
        counts[index(&subject.pick(None, Duration::ZERO))] += 1;
    }
    assert_eq!(counts, [PICKS / 5 * 3, PICKS / 5 * 2, 0]);
}

#[test]
fn a_further_try_takes_no_turn() {
    for weights in [&[1, 1][..], &[2, 1, 1]] {
        let subject = Subject::weighted("policy: round_robin", weights);
        let (mut first, mut further) = (vec![0; weights.len()], vec![0; weights.len()]);
        for _ in 0..PICKS {
            let attempt = subject.pick(None, Duration::ZERO);
            first[index(&attempt)] += 1;
            if index(&attempt) == 0 {
                let tried = [attempt.endpoint().id];
                further[index(&subject.try_pick(None, &tried, Duration::ZERO).unwrap())] += 1;
            }
        }
        let sum: u64 = weights.iter().sum();
        let shares: Vec<u64> = weights.iter().map(|weight| PICKS * weight / sum).collect();
        assert_eq!(first, shares, "exact whatever is tried again");
        // What one could not do is the others', by their weights.
        let expected = PICKS * weights[0] / sum / (weights.len() as u64 - 1);
        assert!(
            further[0] == 0 && further[1..].iter().all(|count| expected.abs_diff(*count) * 50 < expected),
            "{further:?}"
        );
    }
}

#[test]
fn slow_endpoints_get_little() {
    for policy in ["least_connections", "peak_ewma"] {
        for count in [2, 5, 20] {
            let subject = Subject::weighted(&format!("policy: {policy}"), &vec![1; count]);
            let mut counts = vec![0u64; count];
            let mut under_way = BinaryHeap::new();
            let (mut open, mut now) = (std::collections::HashMap::new(), Duration::ZERO);
            for number in 0..PICKS {
                if under_way.len() == 4 * count {
                    let std::cmp::Reverse((at, first)) = under_way.pop().unwrap();
                    now = at;
                    let mut attempt: Attempt = open.remove(&first).unwrap();
                    attempt.answered(OK, Duration::ZERO, subject.began + now);
                }
                let attempt = subject.pick(None, now);
                counts[index(&attempt)] += 1;
                // Between three quarters and five of them, as real ones are.
                let jitter = 0.75 + (subject.chance() % 1000) as f64 / 2000.0;
                let took = Duration::from_millis(if index(&attempt) == 0 { 100 } else { 10 }).mul_f64(jitter);
                under_way.push(std::cmp::Reverse((now + took, number)));
                open.insert(number, attempt);
            }
            let equal = PICKS / count as u64;
            assert!(counts[0] * 5 <= equal, "{policy}: {counts:?}");
            assert!(counts[0] > 0, "{policy}: it starves");
            let others = (PICKS - counts[0]) / (count as u64 - 1);
            assert!(counts[1..].iter().all(|count| count.abs_diff(others) * 3 < others), "{policy}: {counts:?}");
        }
    }
}

#[test]
fn a_slow_endpoint_that_recovers_is_found_again() {
    let subject = Subject::weighted("policy: peak_ewma", &[1, 1]);
    let mut counts = [0; 2];
    for number in 0..PICKS as u32 {
        let now = Duration::from_millis(1) * number;
        let mut attempt = subject.pick(None, now);
        counts[index(&attempt)] += u32::from(number >= 60_000);
        let took = if index(&attempt) == 0 && number < 10_000 { 500 } else { 5 };
        attempt.answered(OK, Duration::ZERO, subject.began + now + Duration::from_millis(took));
    }
    assert!(counts[0] > 15_000, "{counts:?}");
}

#[test]
fn keys_stay_when_backends_join_leave_or_change_places() {
    let names = |names: &[&str]| {
        let backends = names.iter().map(|name| format!("{{name: {name}, address: 127.0.0.1:1}}"));
        let text = backends.collect::<Vec<_>>().join(", ");
        let text = format!("upstreams: [{{name: u, balance: {{policy: consistent_hash}}, backends: [{text}]}}]");
        let live = Live::new(Metrics::new(), Events::unheard());
        let upstream = Upstream::compile(&shared::document::read_config(&text).unwrap().upstreams[0], &live, None);
        let of_key = |number| {
            let affinity = Affinity { key: Some(hash::with(2, number)), session: None };
            upstream.pick(&affinity, &[], Instant::now(), || 0).unwrap().attempt.endpoint().backend.clone()
        };
        (0..PICKS).map(of_key).collect::<Vec<_>>()
    };
    let before = names(&["a", "b", "c", "d", "e"]);
    assert_eq!(before, names(&["e", "c", "a", "b", "d"]));
    let after = names(&["a", "b", "c", "d"]);
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!(moved as f64 <= 1.2 / 5.0 * PICKS as f64, "{moved}");
    assert!(before.iter().zip(&after).all(|(before, after)| before == after || before.as_str() == "e"));
}

#[test]
fn no_endpoint_is_above_its_bound() {
    for count in [2, 10, 50] {
        let balance = "policy: consistent_hash, hash: {max_load_percent: 125}";
        let subject = Subject::weighted(balance, &vec![1; count]);
        let mut under_way = VecDeque::new();
        for number in 0..PICKS {
            // Keys that are wanted by very different numbers of clients.
            let key = subject.chance() % (1 + subject.chance() % 50);
            let attempt = subject.pick(Some(hash::with(4, key)), Duration::ZERO);
            let all = under_way.len() as f64 + 1.0;
            let load = attempt.endpoint().load.in_flight();
            assert!(f64::from(load) <= (1.25 * all / count as f64).ceil(), "{number}: {load} of {all}");
            under_way.push_back(attempt);
            if under_way.len() > 100 {
                under_way.pop_front();
            }
        }
    }
}

#[test]
fn backups_are_for_when_no_primary_may_be_used() {
    let backends = ["weight: 1", "backup: true", "backup: true, weight: 3"].map(str::to_owned);
    for policy in POLICIES {
        let balance = format!("policy: {policy}");
        let mut subject = Subject::new(&balance, &backends);
        assert!((0..100).all(|key| index(&subject.pick(Some(hash::with(1, key)), Duration::ZERO)) == 0));
        let mut rest = backends.clone();
        for gone in ["weight: 0", "state: draining", "state: disabled"] {
            rest[0] = gone.to_owned();
            subject.change(&balance, &rest);
            let shares = shares(&subject, 3, 40);
            assert!(shares[0] == 0.0 && (shares[1] - 0.25).abs() < 0.02, "{policy}, {gone}: {shares:?}");
        }
        subject.change(&balance, &["state: disabled".to_owned()]);
        let nothing = subject.try_pick(None, &[], Duration::ZERO).map(drop);
        assert_eq!(nothing, Err(Unavailable::NoBackend));
    }
}

#[test]
fn who_was_tried_is_tried_again_only_if_there_is_no_other() {
    for policy in POLICIES {
        for count in [3, 12] {
            let subject = Subject::weighted(&format!("policy: {policy}"), &vec![1; count]);
            let mut tried = Vec::new();
            for _ in 0..count {
                let attempt = subject.try_pick(Some(77), &tried, Duration::ZERO).unwrap();
                assert!(!tried.contains(&attempt.endpoint().id), "{policy}");
                tried.push(attempt.endpoint().id);
            }
            assert_eq!(subject.try_pick(Some(77), &tried, Duration::ZERO).unwrap().endpoint().id, tried[0]);
        }
    }
}

#[test]
fn who_joins_starts_slowly() {
    for policy in POLICIES {
        let balance = format!("policy: {policy}, slow_start: 60s");
        let mut backends = vec!["weight: 1".to_owned(); 3];
        let mut subject = Subject::new(&balance, &backends);
        backends.push("weight: 1".to_owned());
        subject.change(&balance, &backends);
        let share = |subject: &Subject, from: f64| {
            let mut under_way = VecDeque::new();
            let mut count = 0;
            for number in 0..20_000u32 {
                let now = Duration::from_secs_f64(from + f64::from(number) / 1e5);
                let attempt = subject.pick(Some(hash::with(6, number.into())), now);
                count += u32::from(index(&attempt) == 3);
                under_way.push_back(attempt);
                if under_way.len() > 30 {
                    under_way.pop_front().unwrap().answered(OK, Duration::ZERO, subject.began + now);
                }
            }
            f64::from(count) / 2e4
        };
        for (from, least, most) in [(0.0, 0.01, 0.06), (30.0, 0.10, 0.18), (61.0, 0.23, 0.27)] {
            let share = share(&subject, from);
            assert!((least..most).contains(&share), "{policy} after {from} s: {share}");
        }
        // What has nothing to do with it, and a weight that changes, start nothing anew.
        backends[0] = "weight: 1, max_connections: 7".to_owned();
        subject.change(&balance, &backends);
        assert!((0.23..0.27).contains(&share(&subject, 62.0)), "{policy}");
    }
}

#[test]
fn all_at_once_start_at_once() {
    let subject = Subject::weighted("policy: round_robin, slow_start: 60s", &[1, 1]);
    let indexes: Vec<usize> = (0..4).map(|_| index(&subject.pick(None, Duration::ZERO))).collect();
    assert_eq!(indexes, [0, 1, 0, 1]);
}
