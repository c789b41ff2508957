//! Whether the peer of a connection with open streams is still there.

use std::time::Duration;

use http2::Connection;

use super::chunk::Chunk;
use crate::engine::Silence;

/// How long a connection has been silent.
#[derive(Default)]
pub(super) struct Heartbeat {
    quiet: Duration,
}

impl Heartbeat {
    /// To be called every `period`, with whether anything was read in it: whether the peer counts as gone, as it does by `allowed`. A
    /// PING is sent before.
    pub(super) fn beat(
        &mut self,
        connection: &Connection<Chunk>,
        period: Duration,
        allowed: Silence,
        has_read: bool,
    ) -> bool {
        self.quiet = if has_read { Duration::ZERO } else { self.quiet + period };
        if connection.active() == 0 || self.quiet < allowed.asked_after {
            return false;
        }
        if self.quiet >= allowed.asked_after.saturating_add(allowed.answered_within) {
            return true;
        }
        // The answer is a byte that came, and no more is asked of it.
        connection.ping();
        false
    }
}
