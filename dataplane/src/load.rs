//! What an endpoint has to do, and how fast it does it: kept by its identity, written by every try, read by who balances and by
//! who asks for its status. No lock, and few atomics: a try touches two words when it begins and ends, and two when it is answered.

mod ewma;
mod latencies;

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ewma::Ewma;
use latencies::Latencies;

use crate::instant::Instant;

/// Bits of the count of requests under way; that of all tries stands above it.
const IN_FLIGHT_BITS: u32 = 24;
const IN_FLIGHT: u64 = (1 << IN_FLIGHT_BITS) - 1;
/// One more under way, and one more try: both in one addition.
const TRY: u64 = (1 << IN_FLIGHT_BITS) | 1;
/// How long a failed try took at least, as far as balancing is concerned: who fails at once is not the fastest.
const FAILED: Duration = Duration::from_secs(1);

/// The load of one endpoint.
#[derive(Debug)]
pub(crate) struct Load {
    /// Moments are counted from here.
    born: Instant,
    tries: AtomicU64,
    ewma: Ewma,
    failures: AtomicU64,
    sessions: AtomicU64,
    /// Made with the first answer: most endpoints of a large configuration rest.
    latencies: OnceLock<Box<Latencies>>,
    /// When it joined others that served already, in microseconds and one more; 0 if it never did.
    joined: AtomicU64,
}

impl Load {
    /// That of an endpoint that is known from `now` on.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            born: now,
            tries: AtomicU64::new(0),
            ewma: Ewma::default(),
            failures: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            latencies: OnceLock::new(),
            joined: AtomicU64::new(0),
        }
    }

    /// Nanoseconds from when the endpoint became known until `moment`.
    pub(crate) fn nanos(&self, moment: Instant) -> u64 {
        moment.nanos_since(self.born)
    }

    /// A try begins.
    pub(crate) fn begin(&self) {
        self.tries.fetch_add(TRY, Ordering::Relaxed);
    }

    /// A try begins, if fewer than `limit` are under way.
    pub(crate) fn begin_below(&self, limit: u32) -> bool {
        let was = self.tries.fetch_add(TRY, Ordering::Relaxed) & IN_FLIGHT;
        let is_below = was < u64::from(limit);
        if !is_below {
            self.cancel();
        }
        is_below
    }

    /// It did not begin after all.
    pub(crate) fn cancel(&self) {
        self.tries.fetch_sub(TRY, Ordering::Relaxed);
    }

    /// It is over.
    pub(crate) fn end(&self) {
        self.tries.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> u32 {
        (self.tries.load(Ordering::Relaxed) & IN_FLIGHT) as u32
    }

    /// Tries that began, ever.
    pub(crate) fn tries(&self) -> u64 {
        self.tries.load(Ordering::Relaxed) >> IN_FLIGHT_BITS
    }

    /// Tries that failed, ever.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// A client gets the cookie of a session there.
    pub(crate) fn session_begins(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    /// Sessions that began, ever.
    pub(crate) fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// The head of a response came after `took`.
    pub(crate) fn answered(&self, took: Duration, now: Instant) {
        let since = now.saturating_duration_since(self.born);
        self.ewma.observe(took, since);
        self.latencies.get_or_init(Box::default).add(took, since);
    }

    /// A try failed after `took`, with an answer or without.
    pub(crate) fn failed(&self, took: Duration, now: Instant) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.ewma.observe(took.max(FAILED), now.saturating_duration_since(self.born));
    }

    /// How long a try probably takes until the head of its response, in microseconds; 0 if nothing is known.
    pub(crate) fn expected_micros(&self, now: Instant) -> f32 {
        self.ewma.read(now.saturating_duration_since(self.born))
    }

    /// Times to the response head over the last two to four minutes, in microseconds: the median, and that of the slowest in a
    /// hundred. None without responses.
    pub(crate) fn quantiles(&self, now: Instant) -> Option<[u64; 2]> {
        self.latencies.get()?.quantiles([0.5, 0.99], now.saturating_duration_since(self.born))
    }

    /// Notes that the endpoint joins others that serve already.
    pub(crate) fn joins(&self, now: Instant) {
        let since = now.saturating_duration_since(self.born).as_micros() as u64;
        self.joined.store(since + 1, Ordering::Relaxed);
    }

    /// When it last joined others that served already, if it ever did.
    pub(crate) fn joined(&self) -> Option<Instant> {
        let since = self.joined.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.born + Duration::from_micros(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_while_they_are_under_way_and_ever() {
        let load = Load::new(Instant::now());
        load.begin();
        assert!(load.begin_below(2) && !load.begin_below(2));
        assert_eq!((load.in_flight(), load.tries()), (2, 2));
        load.end();
        assert!(load.begin_below(2));
        assert_eq!((load.in_flight(), load.tries()), (2, 3));
    }

    #[test]
    fn failures_are_slow_however_quick() {
        let now = Instant::now();
        let load = Load::new(now);
        load.answered(Duration::from_millis(1), now);
        assert_eq!(load.expected_micros(now), 1_000.0);
        load.failed(Duration::ZERO, now);
        assert_eq!((load.expected_micros(now), load.failures()), (1e6, 1));
        assert_eq!(load.quantiles(now).unwrap()[0], load.quantiles(now).unwrap()[1]);
    }
}
