use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use shared::config;

/// How long connections to an endpoint are kept, as the configuration says now: live, so that a change acts on connections that
/// are open.
#[derive(Debug)]
pub(crate) struct PoolSettings {
    idle_timeout_ms: AtomicU64,
    max_age_ms: AtomicU64,
    max_idle: AtomicU32,
    max_requests: AtomicU32,
    ping_interval_ms: AtomicU64,
    ping_timeout_ms: AtomicU64,
}

/// How long the peer of an HTTP/2 connection with requests on it may be silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silence {
    /// Then it is sent a PING.
    pub(crate) asked_after: Duration,
    /// So long after that it counts as gone.
    pub(crate) answered_within: Duration,
}

/// Stands for no limit.
const NONE: u64 = u64::MAX;

impl PoolSettings {
    /// Settings as `pool` says.
    pub(crate) fn new(pool: &config::Pool) -> Self {
        let settings = Self {
            idle_timeout_ms: AtomicU64::new(0),
            max_age_ms: AtomicU64::new(0),
            max_idle: AtomicU32::new(0),
            max_requests: AtomicU32::new(0),
            ping_interval_ms: AtomicU64::new(0),
            ping_timeout_ms: AtomicU64::new(0),
        };
        settings.set(pool);
        settings
    }

    /// Changes all of them.
    pub(crate) fn set(&self, pool: &config::Pool) {
        let millis = |span: shared::value::TimeSpan| span.duration().as_millis() as u64;
        self.idle_timeout_ms.store(millis(pool.idle_timeout), Relaxed);
        self.max_age_ms.store(pool.max_age.map_or(NONE, millis), Relaxed);
        self.max_idle.store(pool.max_idle, Relaxed);
        self.max_requests.store(pool.max_requests.unwrap_or(u32::MAX), Relaxed);
        self.ping_interval_ms.store(millis(pool.ping_interval), Relaxed);
        self.ping_timeout_ms.store(millis(pool.ping_timeout), Relaxed);
    }

    /// How long a connection may lie idle.
    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms.load(Relaxed))
    }

    /// How old a connection may be that takes another request.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        let millis = self.max_age_ms.load(Relaxed);
        (millis != NONE).then(|| Duration::from_millis(millis))
    }

    /// Idle connections per worker.
    pub(crate) fn max_idle(&self) -> usize {
        self.max_idle.load(Relaxed) as usize
    }

    /// After how long a silence an HTTP/2 backend is asked for a sign of life, and how long it may take.
    pub(crate) fn silence(&self) -> Silence {
        Silence {
            asked_after: Duration::from_millis(self.ping_interval_ms.load(Relaxed)),
            answered_within: Duration::from_millis(self.ping_timeout_ms.load(Relaxed)),
        }
    }

    /// Requests per connection.
    pub(crate) fn max_requests(&self) -> u32 {
        self.max_requests.load(Relaxed)
    }
}
