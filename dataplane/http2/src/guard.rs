//! How often a peer may do what costs us more than it costs the peer.

use std::time::Instant;

/// What a connection was ended for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guard {
    /// PING frames.
    Ping,
    /// SETTINGS frames.
    Settings,
    /// `WINDOW_UPDATE` frames.
    WindowUpdate,
    /// DATA frames without data.
    EmptyData,
    /// PRIORITY frames, frames of unknown types, and heads and trailers of streams that are gone.
    PassedOver,
    /// Streams that were reset by who opened them.
    RapidReset,
    /// Requests that were malformed.
    Malformed,
    /// Resets that the peer provoked by breaking the protocol on a stream, or by streams beyond those that are allowed.
    Provoked,
    /// CONTINUATION frames.
    Continuation,
    /// A header list far beyond what was announced.
    HeaderList,
}

impl Guard {
    /// All guards, for metrics.
    pub const ALL: [Self; 10] = [
        Self::Ping,
        Self::Settings,
        Self::WindowUpdate,
        Self::EmptyData,
        Self::PassedOver,
        Self::RapidReset,
        Self::Malformed,
        Self::Provoked,
        Self::Continuation,
        Self::HeaderList,
    ];

    /// The word in logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Settings => "settings",
            Self::WindowUpdate => "window_update",
            Self::EmptyData => "empty_data",
            Self::PassedOver => "passed_over",
            Self::RapidReset => "rapid_reset",
            Self::Malformed => "malformed",
            Self::Provoked => "provoked_reset",
            Self::Continuation => "continuation",
            Self::HeaderList => "header_list",
        }
    }
}

/// How often something may happen on one connection.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// At once.
    pub burst: u32,
    /// Refilled with time.
    pub per_second: u32,
    /// Refilled by each DATA or HEADERS frame that the peer got; for [`Guard::RapidReset`] by each stream that we ended.
    pub per_frame_sent: u32,
}

/// The allowances of a connection's peer.
#[derive(Clone, Copy, Debug)]
pub struct Allowances {
    /// Of [`Guard::Ping`].
    pub ping: Allowance,
    /// Of [`Guard::Settings`].
    pub settings: Allowance,
    /// Of [`Guard::WindowUpdate`].
    pub window_update: Allowance,
    /// Of [`Guard::EmptyData`].
    pub empty_data: Allowance,
    /// Of [`Guard::PassedOver`].
    pub passed_over: Allowance,
    /// Of [`Guard::RapidReset`].
    pub rapid_reset: Allowance,
    /// Of [`Guard::Malformed`].
    pub malformed: Allowance,
    /// Of [`Guard::Provoked`].
    pub provoked: Allowance,
}

/// What is left of the allowances of one connection.
pub(crate) struct Guards {
    /// In the order of [`Guard`].
    buckets: [Bucket; Guard::Provoked as usize + 1],
}

impl Guards {
    pub(crate) fn new(allowances: &Allowances) -> Self {
        let Allowances { ping, settings, window_update, empty_data, passed_over, rapid_reset, malformed, provoked } =
            *allowances;
        let now = Instant::now();
        let of = |allowance: Allowance| Bucket { allowance, left: allowance.burst, filled: now };
        let allowances = [ping, settings, window_update, empty_data, passed_over, rapid_reset, malformed, provoked];
        Self { buckets: allowances.map(of) }
    }

    /// Takes one; an error if none is left.
    pub(crate) fn take(&mut self, guard: Guard) -> Result<(), Guard> {
        if self.buckets[guard as usize].take() { Ok(()) } else { Err(guard) }
    }

    /// The peer was sent DATA or HEADERS, which ended their stream or not.
    pub(crate) fn sent(&mut self, is_end: bool) {
        for guard in [Guard::Ping, Guard::WindowUpdate, Guard::PassedOver] {
            self.buckets[guard as usize].sent();
        }
        if is_end {
            self.buckets[Guard::RapidReset as usize].sent();
        }
    }
}

struct Bucket {
    allowance: Allowance,
    left: u32,
    filled: Instant,
}

impl Bucket {
    fn take(&mut self) -> bool {
        if self.left == 0 {
            let now = Instant::now();
            let refill = now.duration_since(self.filled).as_secs_f64() * f64::from(self.allowance.per_second);
            if refill < 1.0 {
                return false;
            }
            self.filled = now;
            self.refill(refill as u32);
        }
        self.left -= 1;
        true
    }

    fn sent(&mut self) {
        self.refill(self.allowance.per_frame_sent);
    }

    fn refill(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(self.allowance.burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_refills_and_what_is_not_ends() {
        let allowance = Allowance { burst: 3, per_second: 0, per_frame_sent: 1 };
        let all = Allowances {
            ping: allowance,
            settings: allowance,
            window_update: allowance,
            empty_data: allowance,
            passed_over: allowance,
            rapid_reset: allowance,
            malformed: allowance,
            provoked: allowance,
        };
        let mut guards = Guards::new(&all);
        for _ in 0..100 {
            assert!(guards.take(Guard::Ping).is_ok() && guards.take(Guard::RapidReset).is_ok());
            guards.sent(true);
        }
        assert_eq!(std::iter::from_fn(|| guards.take(Guard::Settings).ok()).count(), 3);
        assert_eq!(std::iter::from_fn(|| guards.take(Guard::Ping).ok()).count(), 3);
        assert_eq!(guards.take(Guard::Ping), Err(Guard::Ping));
    }

    #[test]
    fn each_guard_has_its_own_word() {
        let words: std::collections::HashSet<_> = Guard::ALL.map(Guard::word).into_iter().collect();
        assert_eq!(words.len(), Guard::ALL.len());
    }
}
