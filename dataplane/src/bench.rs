//! What the benches beside this crate measure of its inside: no interface for anybody else.

use std::sync::Arc;

use shared::config;

use crate::{
    attempt::{Attempt, Said},
    clock::Clock,
    events::Events,
    live::Live,
    metrics::Metrics,
    snapshot::{Affinity, Upstream},
};

/// An upstream whose endpoints are all in order.
pub struct Picking {
    upstream: Arc<Upstream>,
    /// Its endpoints live as long as this.
    _live: Live,
}

/// What one worker picks with: a clock and a random sequence of its own.
pub struct Picker<'a> {
    upstream: &'a Arc<Upstream>,
    clock: Clock,
}

/// A try under way. Dropping it ends it.
pub struct Try(Attempt);

impl Picking {
    /// That of `upstream`.
    pub fn new(upstream: &config::Upstream) -> Self {
        let metrics = Metrics::new();
        // Nobody hears of transitions: there are none.
        let (events, _) = Events::channel(&metrics);
        let live = Live::new(metrics, events);
        let upstream = Arc::new(Upstream::compile(upstream, &live, None));
        upstream.configure_live(crate::instant::Instant::now());
        Self { upstream, _live: live }
    }

    /// One for each worker, made on its thread.
    pub fn picker(&self) -> Picker<'_> {
        Picker { upstream: &self.upstream, clock: Clock::new() }
    }
}

impl Picker<'_> {
    /// Reads the clock, as a request does before it is routed, and begins a try at the endpoint that the policy says, for a key of its
    /// own.
    ///
    /// # Panics
    /// When no endpoint may be used.
    pub fn pick(&self) -> Try {
        let key = Some(self.clock.next_random());
        let affinity = Affinity { key, session: None };
        let picked = self.upstream.pick(&affinity, &[], self.clock.now(), || self.clock.next_random());
        let Ok(picked) = picked else { unreachable!("the endpoints of a bench are in order") };
        Try(picked.attempt)
    }

    /// Reads the clock, as is done when the head of a response came, and has the breaker record that it was a success.
    pub fn record(&self, of: &mut Try) {
        of.0.answered(Said { status: 200, grpc: None }, std::time::Duration::ZERO, self.clock.now());
    }
}
