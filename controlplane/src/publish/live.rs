//! What one data plane reported of its upstreams, put together from what changed each time.

use std::{collections::BTreeMap, time::Instant};

use shared::{
    protocol::{Report, UpstreamChange},
    status::{BudgetStatus, EffectiveState, EndpointStatus},
    value::Name,
};

use super::bounds;

/// Most endpoints that are kept of one data plane.
pub(super) const ENDPOINTS: usize = 50_000;
/// Most upstreams; a configuration cannot have more.
const UPSTREAMS: usize = shared::validate::limits::UPSTREAMS;
/// A rate is of the reports of so many seconds; who had no request for longer has none.
const RATE_SECONDS: f64 = 2.5;

/// The live state of one data plane.
#[derive(Default)]
pub(super) struct LiveState {
    upstreams: BTreeMap<Name, Known>,
    /// Endpoints of all of them.
    count: usize,
}

/// What is known of an upstream.
#[derive(Default)]
struct Known {
    retry_budget: BudgetStatus,
    /// By backend and address.
    endpoints: BTreeMap<(Name, String), Endpoint>,
}

struct Endpoint {
    status: EndpointStatus,
    rate: Rate,
}

/// How many requests an endpoint gets.
#[derive(Clone, Copy)]
struct Rate {
    per_second: f64,
    at: Instant,
}

/// What is shown of an upstream.
pub(super) struct Shown {
    pub(super) panic: bool,
    pub(super) retry_budget: BudgetStatus,
    pub(super) endpoints: Vec<EndpointStatus>,
}

impl LiveState {
    /// Takes in what changed. What is above the limits is left out.
    pub(super) fn take(&mut self, report: &mut Report, now: Instant) {
        if report.whole {
            *self = Self::default();
        }
        for name in &report.removed {
            if let Some(known) = self.upstreams.remove(name) {
                self.count -= known.endpoints.len();
            }
        }
        for change in report.upstreams.drain(..) {
            if self.upstreams.len() < UPSTREAMS || self.upstreams.contains_key(&change.upstream) {
                self.change(change, now);
            }
        }
    }

    fn change(&mut self, change: UpstreamChange, now: Instant) {
        let known = self.upstreams.entry(change.upstream).or_default();
        known.retry_budget = change.retry_budget;
        for name in change.gone {
            self.count -= usize::from(known.endpoints.remove(&(name.backend, name.address)).is_some());
        }
        for status in change.endpoints {
            let status = bounds::endpoint(status);
            let key = (status.backend.clone(), status.address.clone());
            match known.endpoints.get_mut(&key) {
                Some(endpoint) => {
                    endpoint.rate.count(endpoint.status.load.requests, status.load.requests, now);
                    endpoint.status = status;
                }
                None if self.count < ENDPOINTS => {
                    self.count += 1;
                    known.endpoints.insert(key, Endpoint { status, rate: Rate { per_second: 0.0, at: now } });
                }
                None => {}
            }
        }
    }

    /// What is known of the upstream `name`, as of `now`.
    pub(super) fn shown(&self, name: &Name, now: Instant) -> Option<Shown> {
        let known = self.upstreams.get(name)?;
        let endpoints = known.endpoints.values().map(|endpoint| {
            let mut status = endpoint.status.clone();
            status.load.requests_per_second = Some(endpoint.rate.at(now));
            status
        });
        let endpoints: Vec<_> = endpoints.collect();
        let panic = endpoints.iter().any(|endpoint| endpoint.state == EffectiveState::Panic);
        Some(Shown { panic, retry_budget: known.retry_budget.clone(), endpoints })
    }
}

impl Rate {
    /// Notes that there were `before` requests when it was counted last, and are `after` now.
    fn count(&mut self, before: u64, after: u64, now: Instant) {
        // An endpoint without news is left out of reports: then its requests are of the last second.
        let seconds = now.duration_since(self.at).as_secs_f64();
        let seconds = if seconds > RATE_SECONDS { 1.0 } else { seconds.max(0.05) };
        // A counter that went back begins anew.
        let requests = after.checked_sub(before).unwrap_or(after);
        let per_second = requests as f64 / seconds;
        *self = Self { per_second: (per_second * 10.0).round() / 10.0, at: now };
    }

    fn at(self, now: Instant) -> f64 {
        let is_over = now.duration_since(self.at).as_secs_f64() > RATE_SECONDS;
        if is_over { 0.0 } else { self.per_second }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use shared::protocol::EndpointName;

    use super::*;

    fn endpoint(backend: &str, requests: u64) -> EndpointStatus {
        let since = "2027-01-01T00:00:00Z";
        serde_json::from_value(json!({
            "backend": backend, "address": "127.0.0.1:1", "weight": 1.0, "backup": false,
            "state": "serving", "reason": "active", "since": since, "admin": "active",
            "health": { "state": "unchecked", "since": since },
            "breaker": {
                "state": "closed", "since": since, "calls": 0, "failed": 0, "slow": 0, "permits": 0,
                "consecutive_openings": 0,
            },
            "load": { "requests": requests },
        }))
        .unwrap()
    }

    fn change(upstream: &str, endpoints: Vec<EndpointStatus>) -> UpstreamChange {
        UpstreamChange {
            upstream: upstream.parse().unwrap(),
            retry_budget: BudgetStatus::default(),
            endpoints,
            gone: Vec::new(),
        }
    }

    fn backends(live: &LiveState, upstream: &str) -> Option<Vec<String>> {
        let shown = live.shown(&upstream.parse().unwrap(), Instant::now())?;
        Some(shown.endpoints.iter().map(|endpoint| endpoint.backend.to_string()).collect())
    }

    #[test]
    fn changes_are_put_together() {
        let (mut live, now) = (LiveState::default(), Instant::now());
        let upstreams = vec![change("u", vec![endpoint("b", 1), endpoint("a", 1)]), change("v", vec![])];
        live.take(&mut Report { whole: true, upstreams, ..Report::default() }, now);
        assert_eq!(backends(&live, "u").unwrap(), ["a", "b"]);
        assert_eq!(backends(&live, "v").unwrap(), [""; 0]);
        let gone = vec![EndpointName { backend: "a".parse().unwrap(), address: "127.0.0.1:1".to_owned() }];
        let upstreams = vec![UpstreamChange { gone, ..change("u", vec![endpoint("b", 7)]) }];
        live.take(&mut Report { upstreams, removed: vec!["v".parse().unwrap()], ..Report::default() }, now);
        assert_eq!((backends(&live, "u").unwrap(), backends(&live, "v")), (vec!["b".to_owned()], None));
        assert_eq!(live.count, 1);
        live.take(&mut Report { whole: true, ..Report::default() }, now);
        assert_eq!((backends(&live, "u"), live.count), (None, 0));
    }

    #[test]
    fn an_upstream_panics_when_an_endpoint_is_used_all_the_same() {
        let mut live = LiveState::default();
        for state in [EffectiveState::Panic, EffectiveState::Serving] {
            let upstreams = vec![change("u", vec![EndpointStatus { state, ..endpoint("a", 0) }])];
            live.take(&mut Report { upstreams, ..Report::default() }, Instant::now());
            let shown = live.shown(&"u".parse().unwrap(), Instant::now()).unwrap();
            assert_eq!(shown.panic, state == EffectiveState::Panic);
        }
    }

    #[test]
    fn rates_are_of_the_time_between_reports_and_end() {
        let (mut live, start) = (LiveState::default(), Instant::now());
        let mut rates = Vec::new();
        for (requests, seconds) in [(0, 0.0), (10, 1.0), (30, 1.5), (30, 2.0), (40, 60.0), (5, 61.0)] {
            let now = start + Duration::from_secs_f64(seconds);
            let upstreams = vec![change("u", vec![endpoint("a", requests)])];
            live.take(&mut Report { upstreams, ..Report::default() }, now);
            let shown = live.shown(&"u".parse().unwrap(), now).unwrap();
            rates.push(shown.endpoints[0].load.requests_per_second.unwrap());
        }
        assert_eq!(rates, [0.0, 10.0, 40.0, 0.0, 10.0, 5.0]);
        let later = live.shown(&"u".parse().unwrap(), start + Duration::from_secs(70)).unwrap();
        assert_eq!(later.endpoints[0].load.requests_per_second, Some(0.0));
    }

    #[test]
    fn what_is_above_the_limits_is_left_out() {
        let (mut live, now) = (LiveState::default(), Instant::now());
        for upstream in 0..60 {
            let endpoints = (0..1000).map(|backend| endpoint(&format!("b{backend}"), 0)).collect();
            let upstreams = vec![change(&format!("u{upstream}"), endpoints)];
            live.take(&mut Report { upstreams, ..Report::default() }, now);
        }
        assert_eq!((live.count, live.upstreams.len()), (ENDPOINTS, 60));
        for upstream in 0..UPSTREAMS {
            let upstreams = vec![change(&format!("v{upstream}"), vec![])];
            live.take(&mut Report { upstreams, ..Report::default() }, now);
        }
        assert_eq!(live.upstreams.len(), UPSTREAMS);
    }
}
