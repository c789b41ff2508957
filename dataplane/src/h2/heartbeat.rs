//! Whether the peer of a connection with open streams is still there.

use std::{task::Context, time::Duration};

use h2::{Ping, PingPong};

use crate::engine::Silence;

/// How long a connection has been silent.
#[derive(Default)]
pub(super) struct Heartbeat {
    quiet: Duration,
}

impl Heartbeat {
    /// To be called every `period`: whether the peer counts as gone, as it does by `allowed`. A PING is sent before.
    pub(super) fn beat(
        &mut self,
        period: Duration,
        allowed: Silence,
        has_streams: bool,
        has_read: bool,
        pings: Option<&mut PingPong>,
        context: &mut Context<'_>,
    ) -> bool {
        self.quiet = if has_read { Duration::ZERO } else { self.quiet + period };
        if !has_streams || self.quiet < allowed.asked_after {
            return false;
        }
        if self.quiet >= allowed.asked_after.saturating_add(allowed.answered_within) {
            return true;
        }
        if let Some(pings) = pings {
            // The answer to the one before is a byte that came, and no more is asked of it.
            let _ = pings.poll_pong(context);
            let _ = pings.send_ping(Ping::opaque());
        }
        false
    }
}
