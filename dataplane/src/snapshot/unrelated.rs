//! Ten thousand snapshots, none of which has to do with the live state that is looked at.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::FutureExt;
use serde_json::json;
use shared::status::Health;

use super::*;
use crate::{attempt::Said, engine::Bell, events::Events, live::EndpointLive, metrics::Metrics};

const CHANGES: u64 = 10_000;

/// Live state that a snapshot could reset, as it is `now`.
fn state(snapshot: &Snapshot, now: Instant) -> String {
    let mut upstreams: Vec<_> = snapshot.upstreams().filter(|upstream| upstream.name().as_str() != "other").collect();
    upstreams.sort_by_key(|upstream| upstream.name().clone());
    let of_endpoint = |endpoint: &Arc<EndpointLive>| {
        let EndpointLive { id, load, gate, health, capacity, .. } = &**endpoint;
        let counts = [load.tries(), load.failures(), load.in_flight().into()];
        let mut shown = gate.status(now);
        // By the wall clock of whoever asks.
        shown.breaker.open_until = None;
        let connections = [capacity.open(), capacity.pending(), capacity.idle()];
        format!(
            "{id} {counts:?} {} {:?} {:?} {:?} {:?} {connections:?} {}",
            load.expected_micros(now),
            load.quantiles(now),
            load.joined(),
            shown,
            health.state(),
            endpoint.is_removed(),
        )
    };
    let lines = upstreams.iter().flat_map(|upstream| {
        let live = upstream.live();
        let turns = live.turns.each_ref().map(|turn| turn.load(Ordering::Relaxed));
        let budget = live.budget_status(now);
        let mut endpoints: Vec<_> = upstream.members().map(|(endpoint, ..)| of_endpoint(&endpoint)).collect();
        endpoints.sort();
        std::iter::once(format!("{} {turns:?} {budget:?}", upstream.name())).chain(endpoints)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn config() -> Config {
    let backend = |name: &str| json!({ "name": name, "address": "127.0.0.1:1" });
    let capped = json!({ "name": "c", "address": "127.0.0.1:2", "max_connections": 1, "queue_timeout": "1h" });
    let value = json!({
        "listeners": [{ "name": "web", "address": "127.0.0.1:80" }],
        "upstreams": [
            {
                "name": "averages",
                "balance": { "policy": "peak_ewma", "slow_start": "1h" },
                "backends": [backend("a"), backend("b"), capped],
                "health_check": { "tcp": {} },
                "breaker": { "sliding_window_size": 10, "minimum_number_of_calls": 4, "failure_rate_threshold": 60 },
            },
            { "name": "turns", "backends": [backend("a"), backend("b"), backend("c")] },
            { "name": "other", "backends": [backend("a")] },
        ],
        "routes": [{ "name": "r", "action": { "forward": { "upstream": "averages" } } }],
    });
    serde_json::from_value(value).unwrap()
}

/// The change number `number`: of IP rules, routes, another upstream, a listener, or of what an upstream says of something else.
fn edit(config: &mut Config, number: u64) {
    let name = |text: String| text.parse::<Name>().unwrap();
    match number % 5 {
        0 => {
            let rule = json!({ "action": "deny", "cidr": format!("192.0.2.{}", number % 250) });
            config.ip_rules = vec![serde_json::from_value(rule).unwrap()];
        }
        1 => {
            config.routes.truncate(1);
            let route = json!({ "name": name(format!("r{}", number % 3)), "match": { "hosts": [format!("h{number}.test")] },
                "action": { "forward": { "upstream": "other" } } });
            config.routes.push(serde_json::from_value(route).unwrap());
        }
        2 => config.upstreams[2].backends[0].name = name(format!("b{number}")),
        3 => config.listeners[0].limits.connections = Some(number as u32 + 1),
        _ => config.upstreams[0].pool.max_idle = number as u32,
    }
}

#[test]
fn ten_thousand_unrelated_changes_reset_no_live_state_and_leave_none_behind() {
    let live = Live::new(Metrics::new(), Events::unheard());
    let mut config = config();
    let mut snapshot = Snapshot::compile(&config, Revision(1), &live, &Snapshot::empty(&live));
    snapshot.configure_live();

    let now = Instant::now() + Duration::from_secs(1);
    let named = |name: &str| snapshot.upstream(&name.parse().unwrap()).unwrap();
    let averages = named("averages");
    let nobody = Affinity { key: None, session: None };
    for call in 0..9 {
        let mut picked = averages.pick(&nobody, &[], now, || call).unwrap();
        let status = if call % 3 == 0 { 503 } else { 200 };
        let said = Said { status, grpc: None };
        picked.attempt.answered(said, Duration::ZERO, now + Duration::from_millis(call));
    }
    let _under_way = averages.pick(&nobody, &[], now, || 0).unwrap();
    averages.live().budget.receive(now);
    assert!(averages.live().budget.spend(now));
    for _ in 0..4 {
        drop(named("turns").pick(&nobody, &[], now, || 0).unwrap());
    }
    let endpoints: Vec<_> = averages.members().map(|(endpoint, ..)| endpoint).collect();
    endpoints[0].load.joins(now);
    // The first is kept out, the second's breaker is open.
    endpoints[0].gate.set_health(Health::Unhealthy, false, None, "checks_failed", now);
    for _ in 0..10 {
        let pass = endpoints[1].gate.enter(now);
        let failed = pass.map(|pass| endpoints[1].gate.judge(pass, crate::gate::Verdict::Failure, Duration::ZERO, now));
        drop(failed);
    }
    let capped = endpoints.iter().find(|endpoint| endpoint.backend.as_str() == "c").unwrap();
    let bell = Arc::new(Bell::default());
    let _place = capped.capacity.try_open().unwrap();
    let pending = capped.capacity.pend().unwrap();
    let mut waiting = capped.capacity.wait(&bell, true);

    let before = state(&snapshot, now);
    assert!(before.contains("open") && before.contains("Unhealthy"), "{before}");
    let sizes = live.sizes();
    for number in 1..=CHANGES {
        edit(&mut config, number);
        let next = Snapshot::compile(&config, Revision(number + 1), &live, &snapshot);
        next.configure_live();
        next.forget_replaced(&snapshot, &live);
        snapshot = next;
        if number.is_multiple_of(1_000) {
            assert_eq!(state(&snapshot, now), before, "after {number} changes");
            assert_eq!(live.sizes(), sizes, "after {number} changes");
        }
    }
    assert!((&mut waiting).now_or_never().is_none());
    drop((waiting, pending));
    assert_eq!(capped.capacity.pending(), 0);
}
