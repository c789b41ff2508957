//! What of the live state the control plane was told on a connection, and what is still to be told.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hasher},
    io,
    time::Duration,
};

use serde::Serialize;
use shared::{
    protocol::{EndpointName, Report, UpstreamChange},
    value::Name,
};

use crate::{
    instant::Instant,
    snapshot::{Snapshot, Upstream},
    status,
};

/// Endpoints that are looked at for one report, changed or not: what else there is to do on the connection waits so long.
const SCAN: usize = 2048;
/// Looking takes at most one part of so many of the time, so that 100,000 endpoints do not take a core.
const SHARE: u32 = 10;

/// Finds what changed, upstream by upstream, in rounds. Remembers a hash of what was told of an endpoint, not all of it.
pub(super) struct Reporter {
    told: HashMap<Name, Told>,
    /// Upstreams that are still to be looked at in this round.
    round: VecDeque<Name>,
    /// How many endpoints of the first of them were looked at.
    looked_at: usize,
    /// Upstreams that are no more, to be told.
    removed: Vec<Name>,
    /// Whether nothing was told yet.
    whole: bool,
    /// What this round has cost so far.
    spent: Duration,
    /// When the next one may begin.
    rested: Option<Instant>,
}

/// What was told of an upstream: hashes.
#[derive(Default)]
struct Told {
    budget: Option<u64>,
    /// By the endpoint's id.
    endpoints: HashMap<u64, (u64, EndpointName)>,
}

impl Reporter {
    /// Nothing was told.
    pub(super) fn new() -> Self {
        Self {
            told: HashMap::new(),
            round: VecDeque::new(),
            looked_at: 0,
            removed: Vec::new(),
            whole: true,
            spent: Duration::ZERO,
            rested: None,
        }
    }

    /// Begins a round through all upstreams of `snapshot`, if the last one has ended and was not too costly.
    pub(super) fn begin(&mut self, snapshot: &Snapshot, now: Instant) {
        if self.has_more() || self.rested.is_some_and(|rested| now < rested) {
            return;
        }
        self.round = snapshot.upstreams().map(|upstream| upstream.name().clone()).collect();
        self.spent = Duration::ZERO;
        let gone = self.told.keys().filter(|name| snapshot.upstream(name).is_none());
        self.removed = gone.cloned().collect();
        for name in &self.removed {
            self.told.remove(name);
        }
    }

    /// Looks at these upstreams next.
    pub(super) fn hurry<'a>(&mut self, upstreams: impl IntoIterator<Item = &'a Name>) {
        let distinct: HashSet<&Name> = upstreams.into_iter().collect();
        // The first one may have been looked at in part.
        let place = usize::from(self.looked_at > 0);
        for name in distinct {
            self.round.insert(place, name.clone());
        }
    }

    /// Whether the round has not ended.
    pub(super) fn has_more(&self) -> bool {
        !self.round.is_empty() || !self.removed.is_empty()
    }

    /// A report of what changed, as much as goes into one. It counts as told: it must be sent.
    pub(super) fn next(&mut self, snapshot: &Snapshot, now: Instant) -> Report {
        let started = Instant::now();
        let rest = self.removed.len().saturating_sub(Report::MAX_UPSTREAMS);
        let mut report = Report {
            whole: std::mem::take(&mut self.whole),
            removed: self.removed.split_off(rest),
            ..Report::default()
        };
        let (mut scanned, mut changed) = (0, 0);
        while let Some(upstream) = self.round.front().map(|name| snapshot.upstream(name)) {
            if report.upstreams.len() == Report::MAX_UPSTREAMS || changed == Report::MAX_ENDPOINTS || scanned >= SCAN {
                break;
            }
            let mut is_done = true;
            if let Some(upstream) = upstream {
                let (before, most) = (self.looked_at, Report::MAX_ENDPOINTS - changed);
                let (change, done) = self.change(upstream, most, SCAN - scanned, now);
                scanned += self.looked_at - before + 1;
                changed += change.as_ref().map_or(0, |change| change.endpoints.len());
                report.upstreams.extend(change);
                is_done = done;
            }
            if is_done {
                self.round.pop_front();
                self.looked_at = 0;
            }
        }
        self.spent += started.elapsed();
        if !self.has_more() {
            self.rested = Some(now + self.spent * (SHARE - 1));
        }
        report
    }

    /// What changed of `upstream` from its endpoint `looked_at` on, and whether that is the rest of it.
    fn change(
        &mut self,
        upstream: &Upstream,
        most: usize,
        scan: usize,
        now: Instant,
    ) -> (Option<UpstreamChange>, bool) {
        let told = self.told.entry(upstream.name().clone()).or_default();
        let retry_budget = upstream.live().budget_status(now);
        let budget = Some(hash(&retry_budget));
        let mut is_changed = std::mem::replace(&mut told.budget, budget) != budget;
        let mut change =
            UpstreamChange { upstream: upstream.name().clone(), retry_budget, endpoints: Vec::new(), gone: Vec::new() };
        let mut is_done = true;
        for (count, (endpoint, weight, backup)) in upstream.members().skip(self.looked_at).enumerate() {
            if count == scan || change.endpoints.len() == most {
                is_done = false;
                break;
            }
            self.looked_at += 1;
            let seen = status::of_endpoint(upstream, &endpoint, weight, backup, now);
            let hash = hash(&seen);
            let known = told.endpoints.get_mut(&endpoint.id);
            match known {
                Some((known, _)) if *known == hash => continue,
                Some((known, _)) => *known = hash,
                None => {
                    let name = EndpointName { backend: seen.backend.clone(), address: seen.address.clone() };
                    told.endpoints.insert(endpoint.id, (hash, name));
                }
            }
            change.endpoints.push(seen);
        }
        if is_done && told.endpoints.len() > upstream.members().count() {
            let members: HashSet<u64> = upstream.members().map(|(endpoint, ..)| endpoint.id).collect();
            let gone = told.endpoints.extract_if(|id, _| !members.contains(id));
            // One that is there again, as another endpoint, is not gone.
            let named = |name: &EndpointName| {
                upstream.members().any(|(endpoint, ..)| {
                    endpoint.backend == name.backend && endpoint.address.to_string() == name.address
                })
            };
            change.gone = gone.map(|(_, (_, name))| name).filter(|name| !named(name)).collect();
        }
        is_changed |= !change.endpoints.is_empty() || !change.gone.is_empty();
        (is_changed.then_some(change), is_done)
    }
}

/// A hash of `value` as it is sent.
fn hash(value: &impl Serialize) -> u64 {
    struct Written(DefaultHasher);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut written = Written(DefaultHasher::new());
    serde_json::to_writer(&mut written, value).expect("a hasher takes everything, and names are the only keys");
    written.0.finish()
}

#[cfg(test)]
mod tests {
    use shared::{config::Config, document, protocol::Revision};

    use super::*;
    use crate::{events::Events, live::Live, metrics::Metrics};

    /// Upstreams `u0`, `u1`, … with so many backends each.
    fn config(sizes: &[usize]) -> Config {
        let upstreams = sizes.iter().enumerate().map(|(index, size)| {
            let backends =
                (0..*size).map(|backend| format!("{{name: b{backend}, address: 127.0.0.1:{}}}", backend + 1));
            format!("{{name: u{index}, backends: [{}]}}", backends.collect::<Vec<_>>().join(","))
        });
        document::read_config(&format!("upstreams: [{}]", upstreams.collect::<Vec<_>>().join(","))).unwrap()
    }

    struct Fixture {
        live: Live,
        snapshot: Snapshot,
        reporter: Reporter,
    }

    impl Fixture {
        fn new(sizes: &[usize]) -> Self {
            let live = Live::new(Metrics::new(), Events::unheard());
            let snapshot = Snapshot::compile(&config(sizes), Revision(1), &live, &Snapshot::empty(&live));
            Self { live, snapshot, reporter: Reporter::new() }
        }

        fn change(&mut self, sizes: &[usize]) {
            self.snapshot = Snapshot::compile(&config(sizes), Revision(2), &self.live, &self.snapshot);
        }

        /// All reports of a round.
        fn round(&mut self) -> Vec<Report> {
            let now = Instant::now();
            self.reporter.rested = None;
            self.reporter.begin(&self.snapshot, now);
            let mut reports = vec![self.reporter.next(&self.snapshot, now)];
            while self.reporter.has_more() {
                reports.push(self.reporter.next(&self.snapshot, now));
            }
            reports
        }

        fn request(&self, upstream: &str, backend: &str) {
            let upstream = self.snapshot.upstream(&upstream.parse().unwrap()).unwrap();
            let (endpoint, ..) =
                upstream.members().find(|(endpoint, ..)| endpoint.backend.as_str() == backend).unwrap();
            endpoint.load.begin();
            endpoint.load.end();
        }
    }

    fn endpoints(reports: &[Report]) -> Vec<String> {
        let mut names = Vec::new();
        for change in reports.iter().flat_map(|report| &report.upstreams) {
            names.extend(change.endpoints.iter().map(|endpoint| format!("{}/{}", change.upstream, endpoint.backend)));
        }
        names.sort();
        names
    }

    #[test]
    fn only_what_changed_is_told_again() {
        let mut fixture = Fixture::new(&[2, 1]);
        let first = fixture.round();
        assert!(first[0].whole);
        assert_eq!(endpoints(&first), ["u0/b0", "u0/b1", "u1/b0"]);
        assert_eq!(fixture.round(), [Report::default()]);
        fixture.request("u0", "b1");
        let report = &fixture.round()[0];
        assert_eq!((report.upstreams[0].endpoints.len(), report.upstreams[0].endpoints[0].load.requests), (1, 1));
        assert_eq!(fixture.round(), [Report::default()]);
    }

    #[test]
    fn what_is_no_more_is_told() {
        let mut fixture = Fixture::new(&[2, 1]);
        fixture.round();
        fixture.change(&[1]);
        let reports = fixture.round();
        assert_eq!(reports[0].removed, ["u1".parse().unwrap()]);
        let gone: Vec<_> = reports[0].upstreams[0].gone.iter().map(|name| name.backend.to_string()).collect();
        assert_eq!((gone, endpoints(&reports)), (vec!["b1".to_owned()], Vec::new()));
        assert_eq!(fixture.round(), [Report::default()]);
    }

    #[test]
    fn a_thousand_endpoints_come_in_several_reports_below_the_cap_of_a_frame() {
        for sizes in [vec![1000], vec![1; 1000], vec![300, 400, 300]] {
            let mut fixture = Fixture::new(&sizes);
            let reports = fixture.round();
            assert_eq!(endpoints(&reports).len(), 1000);
            assert!(reports.len() >= 4, "{}", reports.len());
            for report in &reports {
                let count: usize = report.upstreams.iter().map(|change| change.endpoints.len()).sum();
                assert!(count <= Report::MAX_ENDPOINTS && report.upstreams.len() <= Report::MAX_UPSTREAMS);
                assert!(serde_json::to_vec(report).unwrap().len() < 1 << 20);
            }
            assert!(fixture.round().iter().all(|report| report.upstreams.is_empty()));
        }
    }

    #[test]
    fn an_upstream_with_a_transition_goes_first() {
        let mut fixture = Fixture::new(&[300, 300, 1]);
        let now = Instant::now();
        fixture.reporter.begin(&fixture.snapshot, now);
        let first = fixture.reporter.next(&fixture.snapshot, now).upstreams[0].upstream.clone();
        fixture.reporter.hurry([&"u2".parse().unwrap()]);
        let mut reports = vec![];
        while fixture.reporter.has_more() {
            reports.push(fixture.reporter.next(&fixture.snapshot, now));
        }
        // Behind the rest of the one that was begun.
        let order: Vec<_> =
            reports.iter().flat_map(|report| &report.upstreams).map(|u| u.upstream.to_string()).collect();
        if first.as_str() != "u2" {
            assert_eq!(order[1], "u2", "{order:?}");
        }
        assert!(endpoints(&reports).len() <= 601);
    }

    #[test]
    fn a_costly_round_is_followed_by_a_rest() {
        let mut fixture = Fixture::new(&[1]);
        fixture.round();
        let now = Instant::now();
        fixture.reporter.rested = Some(now + Duration::from_secs(1));
        fixture.reporter.begin(&fixture.snapshot, now);
        assert!(!fixture.reporter.has_more());
        fixture.reporter.begin(&fixture.snapshot, now + Duration::from_secs(1));
        assert!(fixture.reporter.has_more());
    }
}
