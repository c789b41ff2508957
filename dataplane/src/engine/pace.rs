//! When an exchange is overdue, and whose fault that is.

use std::time::Duration;

use crate::{error::Reason, instant::Instant};

/// How long the client's body may be waited for in all before its rate is judged.
const RATE_GRACE: Duration = Duration::from_secs(5);

/// How long each part of a request may take. Small, for each request has its own copies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// Bytes a second that the client's body must bring; 0 asks for nothing.
    pub(crate) body_min_rate: u64,
    /// Getting a connection.
    pub(crate) connect: Span,
    /// How long the client may send nothing of its body.
    pub(crate) body_idle: Span,
    /// From the end of the request to the head of the response.
    pub(crate) first_byte: Span,
    /// How long nothing may move once the response has begun.
    pub(crate) idle: Span,
    /// The whole request.
    pub(crate) total: Option<Span>,
    /// How long a tunnel may carry nothing.
    pub(crate) tunnel_idle: Span,
    /// How long a client that ended its side may wait for a response head.
    pub(crate) half_close_grace: Span,
}

/// Milliseconds, at most 49 days: nobody waits for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(u32);

impl Span {
    /// `duration`, or the longest if it is longer.
    pub(crate) fn of(duration: Duration) -> Self {
        Self(u32::try_from(duration.as_millis()).unwrap_or(u32::MAX))
    }

    /// As the standard library has it.
    pub(crate) fn duration(self) -> Duration {
        Duration::from_millis(self.0.into())
    }
}

/// What a direction of an exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// The client sends or takes nothing.
    Client,
    /// The backend sends or takes nothing.
    Upstream,
    /// The direction is done.
    Nobody,
}

/// How an exchange stands when nothing can be moved at the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// What the request's body waits for.
    pub(crate) upload: Waits,
    /// What the response waits for.
    pub(crate) download: Waits,
    /// Whether the response's head has been read.
    pub(crate) is_answered: bool,
    /// Whether the client ended its side.
    pub(crate) is_half_closed: bool,
    /// Whether the client waits for 100 before it sends its body.
    pub(crate) expects_continue: bool,
    /// Bytes of the request's body so far.
    pub(crate) received: u64,
}

/// The clock of one exchange.
#[derive(Debug)]
pub(crate) struct Pace<'a> {
    timeouts: &'a Timeouts,
    total: Option<Instant>,
    /// When there must be a response head, if the client is never waited for.
    try_until: Option<Instant>,
    /// When the request's body last moved.
    up: Instant,
    /// When anything last moved.
    moved: Instant,
    held: Held,
}

/// How long the client's body was waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// When that began, if it is waited for.
    since: Option<Instant>,
    /// How long it was waited for before that.
    before: Duration,
}

impl Held {
    /// It has been waited for since `since`.
    #[cfg(test)]
    pub(crate) fn since(since: Instant) -> Self {
        Self { since: Some(since), before: Duration::ZERO }
    }

    /// In all until `now`.
    pub(crate) fn until(&self, now: Instant) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

impl<'a> Pace<'a> {
    /// The clock of an exchange that begins `now`, of a request that must be over at `total` and have a response head at
    /// `try_until`.
    pub(crate) fn new(
        timeouts: &'a Timeouts,
        total: Option<Instant>,
        try_until: Option<Instant>,
        now: Instant,
    ) -> Self {
        Self { timeouts, total, try_until, up: now, moved: now, held: Held::default() }
    }

    /// Notes that something moved, and whether that was the request's body; then it stood as `standing` says.
    pub(crate) fn moved(&mut self, now: Instant, upload: bool, standing: &Standing) {
        self.moved = now;
        let is_waited_for = standing.upload == Waits::Client && !standing.expects_continue;
        if upload || !is_waited_for {
            self.up = now;
            if let Some(since) = self.held.since.take() {
                self.held.before += now - since;
            }
        }
        if is_waited_for && self.held.since.is_none() {
            // Until now the client was not to send: for one, it waited for 100.
            (self.up, self.held.since) = (now, Some(now));
        }
    }

    /// How long the client was waited for: that is no time of the backend's.
    pub(crate) fn held(&self) -> Held {
        self.held
    }

    /// When the exchange is overdue if nothing moves until then, and why.
    pub(crate) fn due(&self, standing: &Standing) -> (Instant, Reason) {
        let Timeouts { body_idle, first_byte, idle, half_close_grace, .. } = *self.timeouts;
        let due = if standing.is_answered {
            let reason = match (standing.download, standing.upload) {
                (Waits::Client, _) => Reason::ClientTooSlow,
                (_, Waits::Client) => Reason::RequestTimeout,
                _ => Reason::UpstreamTimeout,
            };
            (self.moved + idle.duration(), reason)
        } else if standing.download == Waits::Client {
            // An interim response that it does not take.
            (self.moved + idle.duration(), Reason::ClientTooSlow)
        } else if standing.is_half_closed {
            (self.moved + half_close_grace.duration(), Reason::ClientGone)
        } else if let Some(since) = self.held.since {
            let due = self.up + body_idle.duration();
            (self.rate_due(since, standing.received).map_or(due, |rate| rate.min(due)), Reason::RequestTimeout)
        } else {
            (self.head_due(self.moved + first_byte.duration()), Reason::UpstreamTimeout)
        };
        match self.total {
            Some(total) if total < due.0 => (total, Reason::TotalTimeout),
            _ => due,
        }
    }

    /// When the response head is due, at `due` at the latest. The time in which the client was waited for is none of the try's.
    fn head_due(&self, due: Instant) -> Instant {
        self.try_until.map_or(due, |until| due.min(until + self.held.before))
    }

    /// When the client, waited for since `since`, falls below the least rate: it is granted a while, and as long as what it sent
    /// may take. Waiting for the backend does not count.
    fn rate_due(&self, since: Instant, received: u64) -> Option<Instant> {
        let seconds = received.checked_div(self.timeouts.body_min_rate)?;
        // A hundred years; more would overflow the clock.
        let granted = RATE_GRACE + Duration::from_secs(seconds.min(3_000_000_000));
        Some(since + granted.saturating_sub(self.held.before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const TIMEOUTS: Timeouts = Timeouts {
        connect: Span(1_000),
        body_idle: Span(60_000),
        body_min_rate: 100,
        first_byte: Span(30_000),
        idle: Span(40_000),
        total: None,
        tunnel_idle: Span(1_000),
        half_close_grace: Span(2_000),
    };

    const WAITS_FOR_BODY: Standing = Standing {
        upload: Waits::Client,
        download: Waits::Upstream,
        is_answered: false,
        is_half_closed: false,
        expects_continue: false,
        received: 0,
    };

    const WAITS_FOR_HEAD: Standing = Standing { upload: Waits::Nobody, ..WAITS_FOR_BODY };

    #[test]
    fn each_standing_has_its_time_and_its_fault() {
        let answered = Standing { is_answered: true, ..WAITS_FOR_HEAD };
        for (standing, after, reason) in [
            (WAITS_FOR_HEAD, 30, Reason::UpstreamTimeout),
            (WAITS_FOR_BODY, 5, Reason::RequestTimeout),
            (Standing { received: 100_000, ..WAITS_FOR_BODY }, 60, Reason::RequestTimeout),
            (Standing { received: 1_000, ..WAITS_FOR_BODY }, 15, Reason::RequestTimeout),
            (Standing { expects_continue: true, ..WAITS_FOR_BODY }, 30, Reason::UpstreamTimeout),
            (Standing { upload: Waits::Upstream, ..WAITS_FOR_BODY }, 30, Reason::UpstreamTimeout),
            (Standing { is_half_closed: true, ..WAITS_FOR_HEAD }, 2, Reason::ClientGone),
            (Standing { download: Waits::Client, ..WAITS_FOR_HEAD }, 40, Reason::ClientTooSlow),
            (answered, 40, Reason::UpstreamTimeout),
            (Standing { is_half_closed: true, ..answered }, 40, Reason::UpstreamTimeout),
            (Standing { download: Waits::Client, ..answered }, 40, Reason::ClientTooSlow),
            (Standing { upload: Waits::Client, ..answered }, 40, Reason::RequestTimeout),
        ] {
            let start = Instant::now();
            let mut pace = Pace::new(&TIMEOUTS, None, None, start);
            pace.moved(start, true, &standing);
            assert_eq!(pace.due(&standing), (start + seconds(after), reason), "{standing:?}");
        }
    }

    #[test]
    fn the_total_comes_first_if_it_is_sooner() {
        let start = Instant::now();
        for (total, expected) in [(10, (10, Reason::TotalTimeout)), (50, (30, Reason::UpstreamTimeout))] {
            let mut pace = Pace::new(&TIMEOUTS, Some(start + seconds(total)), None, start);
            pace.moved(start, true, &WAITS_FOR_HEAD);
            assert_eq!(pace.due(&WAITS_FOR_HEAD), (start + seconds(expected.0), expected.1));
        }
    }

    #[test]
    fn a_try_has_its_time_for_the_head_and_the_client_takes_none_of_it() {
        let start = Instant::now();
        let mut pace = Pace::new(&TIMEOUTS, None, Some(start + seconds(2)), start);
        pace.moved(start, true, &WAITS_FOR_BODY);
        assert_eq!(pace.due(&WAITS_FOR_BODY), (start + seconds(5), Reason::RequestTimeout));
        pace.moved(start + seconds(4), true, &WAITS_FOR_HEAD);
        assert_eq!(pace.due(&WAITS_FOR_HEAD), (start + seconds(6), Reason::UpstreamTimeout));
        let answered = Standing { is_answered: true, ..WAITS_FOR_HEAD };
        pace.moved(start + seconds(5), false, &answered);
        assert_eq!(pace.due(&answered), (start + seconds(45), Reason::UpstreamTimeout));
    }

    #[test]
    fn only_time_in_which_the_client_is_waited_for_counts_against_its_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(&TIMEOUTS, None, None, start);
        pace.moved(start, true, &WAITS_FOR_BODY);
        // 4 s for the client, then the backend takes nothing for 20 s, then the client is waited for again.
        let blocked = Standing { upload: Waits::Upstream, received: 300, ..WAITS_FOR_BODY };
        pace.moved(start + seconds(4), true, &blocked);
        assert_eq!(pace.due(&blocked).1, Reason::UpstreamTimeout);
        let waiting = Standing { upload: Waits::Client, ..blocked };
        pace.moved(start + seconds(24), true, &waiting);
        assert_eq!(pace.due(&waiting), (start + seconds(24 + 5 + 3 - 4), Reason::RequestTimeout));
    }

    #[test]
    fn the_body_is_waited_for_from_when_the_client_may_send_it() {
        let start = Instant::now();
        let mut pace = Pace::new(&TIMEOUTS, None, None, start);
        pace.moved(start, true, &Standing { expects_continue: true, ..WAITS_FOR_BODY });
        // 100 came, long after the client would have been called idle.
        let now = start + seconds(100);
        pace.moved(now, false, &Standing { received: 100_000, ..WAITS_FOR_BODY });
        let due = pace.due(&Standing { received: 100_000, ..WAITS_FOR_BODY });
        assert_eq!(due, (now + seconds(60), Reason::RequestTimeout));
    }

    #[test]
    fn a_trickle_is_overdue_though_it_never_stops() {
        let start = Instant::now();
        let mut pace = Pace::new(&TIMEOUTS, None, None, start);
        let mut now = start;
        for received in 0.. {
            let standing = Standing { received, ..WAITS_FOR_BODY };
            pace.moved(now, true, &standing);
            if pace.due(&standing).0 <= now {
                break;
            }
            now += seconds(1);
        }
        assert_eq!(now - start, seconds(5));
    }
}
