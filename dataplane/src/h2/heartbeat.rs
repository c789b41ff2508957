//! Whether the peer of a connection with open streams is still there.

use std::{task::Context, time::Duration};

use h2::{Ping, PingPong};

use super::limits;

/// How long a connection has been silent.
#[derive(Default)]
pub(super) struct Heartbeat {
    quiet: Duration,
}

impl Heartbeat {
    /// To be called every `period`: whether the peer counts as gone. A PING is sent to one that has been silent for a while.
    pub(super) fn beat(
        &mut self,
        period: Duration,
        has_streams: bool,
        has_read: bool,
        pings: Option<&mut PingPong>,
        context: &mut Context<'_>,
    ) -> bool {
        self.quiet = if has_read { Duration::ZERO } else { self.quiet + period };
        let (ask, gone) = limits::QUIET;
        if !has_streams || self.quiet < ask {
            return false;
        }
        if self.quiet >= gone {
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
