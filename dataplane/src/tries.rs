//! The tries of one request at the endpoints of its upstream: the one under way, and whether and where there is a next one.

use std::{rc::Rc, sync::Arc, time::Duration};

use http1::{RequestHead, ResponseHead};

use crate::{
    attempt::{Attempt, Said},
    engine::{self, Held, Patience, Terms},
    error::Reason,
    header_rules::Edits,
    instant::Instant,
    live::EndpointLive,
    matched::HeadSource,
    metrics::RetryResult,
    record::AccessRecord,
    snapshot::{Affinity, Cause, Picked, Policy, Upstream},
    worker::Worker,
};

/// The longest that a backend's `Retry-After` is waited for.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Of the time of a whole request that ran out, the client may have used one part in so many, or else the backend is not to blame.
const HELD_PART: u32 = 10;

/// All tries of one request. Dropping them ends the one under way.
pub(crate) struct Tries {
    upstream: Arc<Upstream>,
    affinity: Affinity,
    policy: Policy,
    /// The one under way.
    attempt: Attempt,
    /// Whether the request may reach backends more than once.
    is_repeatable: bool,
    /// Whether the client said when the request must be over.
    is_limited_by_client: bool,
    /// How long the client was waited for in the one under way.
    held: Held,
    /// How many further ones may be made.
    left: u8,
    /// In a box: each request has room for these.
    more: Option<Box<More>>,
}

/// What few requests need.
#[derive(Default)]
struct More {
    /// When the try under way must have a response head.
    until: Option<Instant>,
    /// The endpoints of those before.
    tried: Vec<u64>,
    /// The one that is to be made next.
    next: Option<Next>,
    /// What the head for another backend is made of, if it is another one.
    source: Option<HeadSource>,
}

/// A further try that was decided on: its endpoint has let it in, and it is paid from the budget.
struct Next {
    attempt: Attempt,
    /// What a `Host` field that names its backend says.
    authority: Box<str>,
    /// The value of a `Set-Cookie` for its response.
    cookie: Option<Box<str>>,
    pause: Duration,
    cause: Cause,
}

/// How far a request got that is perhaps tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// Whether a backend may have seen any of it.
    pub(crate) any: bool,
    /// Whether all of it so far can be sent again.
    pub(crate) is_whole: bool,
}

impl Tries {
    /// The tries of a request of which `attempt` at an endpoint of `upstream` is the first.
    pub(crate) fn new(
        upstream: &Arc<Upstream>,
        affinity: Affinity,
        attempt: Attempt,
        policy: &Policy,
        is_repeatable: bool,
        now: Instant,
    ) -> Self {
        let left = policy.attempts();
        if left > 0 {
            upstream.live().budget.receive(now);
        }
        let until = policy.try_until(now);
        Self {
            upstream: Arc::clone(upstream),
            affinity,
            policy: policy.clone(),
            attempt,
            is_repeatable,
            is_limited_by_client: false,
            held: Held::default(),
            left,
            more: until.map(|_| Box::new(More { until, ..More::default() })),
        }
    }

    /// Says that the head for another backend is another one, and what it is made of.
    pub(crate) fn keep_source(&mut self, source: impl FnOnce() -> HeadSource) {
        if self.left > 0 {
            self.more().source = Some(source());
        }
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Where the try under way is made.
    pub(crate) fn endpoint(&self) -> &Arc<EndpointLive> {
        self.attempt.endpoint()
    }

    /// When the try under way must have a response head, besides all other limits.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.more.as_ref().and_then(|more| more.until)
    }

    /// How long getting a connection for the try under way may take.
    pub(crate) fn patience(&self, terms: &Terms) -> Patience {
        let own = self.until().map(|until| (until, Reason::ConnectTimeout));
        let total = terms.total.map(|total| (total, Reason::TotalTimeout));
        let until = own.into_iter().chain(total).min_by_key(|(until, _)| *until);
        Patience { each: terms.timeouts.connect.duration(), until }
    }

    /// Whether the request may reach backends more than once, so that what was sent of it is worth keeping.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// Says that the client set the time of the whole request: what it does not leave is no fault of an endpoint.
    pub(crate) fn limited_by_client(&mut self) {
        self.is_limited_by_client = true;
    }

    /// Notes how long the client was waited for in the try under way.
    pub(crate) fn holds(&mut self, held: Held) {
        self.held = held;
    }

    /// Notes the head of the backend's final response: the try is judged by it.
    pub(crate) fn answered(&mut self, said: Said, now: Instant) {
        self.attempt.answered(said, self.held.until(now), now);
    }

    /// Whether a response is not passed on for what it `said`, but the request tried again. `retry_after` is when its backend says.
    pub(crate) fn retries_answer(
        &mut self,
        worker: &Worker,
        terms: &Terms,
        said: Said,
        retry_after: impl FnOnce() -> Option<Duration>,
        sent: Sent,
    ) -> bool {
        let grpc = said.grpc.map(Cause::Grpc).filter(|cause| self.policy.has(*cause));
        let cause = grpc.unwrap_or(Cause::Status(said.status));
        let is_again =
            self.left > 0 && self.policy.has(cause) && self.decide(worker, terms, cause, retry_after(), sent);
        self.settle(is_again)
    }

    /// Notes that there was no response for `reason`; whether the request is tried again.
    pub(crate) fn retries_failure(&mut self, worker: &Worker, terms: &Terms, reason: Reason, sent: Sent) -> bool {
        self.failed(reason, worker.clock.now());
        let cause = Cause::Failed(reason);
        let is_again = self.left > 0 && self.policy.has(cause) && self.decide(worker, terms, cause, None, sent);
        self.settle(is_again)
    }

    /// Notes that the try failed for `reason`.
    pub(crate) fn failed(&mut self, reason: Reason, now: Instant) {
        let held = self.held.until(now);
        if reason != Reason::TotalTimeout || self.used_up_total(held, now) {
            self.attempt.failed(reason, held, now);
        }
    }

    /// Whether it was the endpoint that used up the time of the whole request: not the tries before and the pauses, and not the
    /// client, which may have said how long it waits, or have sent slowly.
    fn used_up_total(&self, held: Duration, now: Instant) -> bool {
        let is_first = self.more.as_ref().is_none_or(|more| more.tried.is_empty());
        is_first && !self.is_limited_by_client && held.saturating_mul(HELD_PART) <= self.attempt.took(now)
    }

    /// A request that is not tried again needs nothing for that any more, however long its response takes.
    fn settle(&mut self, is_again: bool) -> bool {
        if !is_again && let Some(more) = &mut self.more {
            more.source = None;
        }
        is_again
    }

    fn decide(&mut self, worker: &Worker, terms: &Terms, cause: Cause, wait: Option<Duration>, sent: Sent) -> bool {
        if sent.any && !self.is_repeatable {
            return false;
        }
        let now = worker.clock.now();
        let result = self.schedule(terms, cause, wait, sent, now, || worker.clock.next_random());
        self.upstream.live().metrics.retries(result).inc();
        result == RetryResult::Made
    }

    fn schedule(
        &mut self,
        terms: &Terms,
        cause: Cause,
        wait: Option<Duration>,
        sent: Sent,
        now: Instant,
        chance: impl Fn() -> u64,
    ) -> RetryResult {
        if !sent.is_whole {
            return RetryResult::BodyGone;
        }
        let pause = match wait {
            Some(wait) if wait > RETRY_AFTER => return RetryResult::TooLate,
            Some(wait) => wait,
            None => self.policy.pause(self.policy.attempts() - self.left, chance()),
        };
        if terms.total.is_some_and(|total| now + pause >= total) {
            return RetryResult::TooLate;
        }
        let id = self.endpoint().id;
        let more = self.more.get_or_insert_default();
        more.tried.push(id);
        let (attempt, authority, cookie) = match self.upstream.pick(&self.affinity, &more.tried, now, chance) {
            Ok(Picked { backend, attempt, cookie }) => (attempt, backend.authority.clone(), cookie),
            Err(_) => return RetryResult::NoEndpoint,
        };
        if cause.needs_another() && more.tried.contains(&attempt.endpoint().id) {
            return RetryResult::NoEndpoint;
        }
        if !self.upstream.live().budget.spend(now) {
            return RetryResult::OverBudget;
        }
        self.left -= 1;
        more.next = Some(Next { attempt, authority, cookie, pause, cause });
        RetryResult::Made
    }

    /// How long is waited before the next try.
    pub(crate) fn pause(&self) -> Duration {
        let next = self.more.as_ref().and_then(|more| more.next.as_ref());
        next.map_or(Duration::ZERO, |next| next.pause)
    }

    /// Lets go of the connection on which a response came that is not passed on; it can be kept once what `drained` says is read: the
    /// response whose head was read, and what came behind that.
    pub(crate) fn discard(
        &self,
        worker: &Rc<Worker>,
        upstream: engine::Upstream,
        drained: Option<(Box<ResponseHead>, Vec<u8>)>,
    ) {
        let endpoint = self.endpoint();
        match drained {
            Some((response, rest)) => {
                worker.spawn(engine::drain(Rc::clone(worker), Arc::clone(endpoint), upstream, response, rest));
            }
            None => engine::retire(endpoint, upstream),
        }
    }

    /// Begins the next try. If the head for its backend is another one it is written into `out` by way of `head`; whether it was.
    ///
    /// # Errors
    /// There is no such head.
    pub(crate) fn advance(
        &mut self,
        worker: &Worker,
        head: &mut RequestHead,
        out: &mut Vec<u8>,
        terms: &mut Terms,
        record: &mut AccessRecord<'_>,
    ) -> Result<bool, Reason> {
        let Some(more) = &mut self.more else { return Ok(false) };
        let Some(Next { attempt, authority, cookie, cause, .. }) = more.next.take() else { return Ok(false) };
        let now = worker.clock.now();
        (self.attempt, self.held) = (attempt, Held::default());
        self.attempt.begins(now);
        more.until = self.policy.try_until(now);
        record.retried(cause);
        if let Some(source) = &more.source {
            terms.response_headers = source.write(head, out, record, self.attempt.endpoint(), &authority)?;
        }
        Edits::set_session(&mut terms.response_headers, cookie);
        Ok(more.source.is_some())
    }
}

#[cfg(test)]
mod tests {
    use http1::{Asked, HeadLimits, Method, RequestBody};
    use shared::config::{ForwardingMode, PathStyle, RequestId as RequestIdSettings};

    use super::*;
    use crate::{
        engine::{Span, Timeouts},
        events::Events,
        head::{Request, RoutedRequest},
        live::Live,
        metrics::Metrics,
        request_id::{RequestId, RequestIds, Returned},
    };

    const WHOLE: Sent = Sent { any: true, is_whole: true };
    const RESET: Cause = Cause::Failed(Reason::UpstreamReset);
    const LATE: Cause = Cause::Failed(Reason::UpstreamTimeout);
    const SECOND: Duration = Duration::from_secs(1);

    /// An upstream of so many backends, with further fields.
    fn upstream(backends: usize, fields: serde_json::Value) -> Arc<Upstream> {
        let address = |index: usize| serde_json::json!({ "name": format!("b{index}"), "address": "127.0.0.1:1" });
        let mut config = serde_json::json!({ "name": "u", "backends": (0..backends).map(address).collect::<Vec<_>>() });
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let live = Live::new(Metrics::new(), Events::unheard());
        let upstream = Upstream::compile(&serde_json::from_value(config).unwrap(), &live, None);
        upstream.configure_live(Instant::now());
        Arc::new(upstream)
    }

    /// The tries of a request whose first begins `now`.
    fn tries(upstream: &Arc<Upstream>, retries: serde_json::Value, now: Instant) -> Tries {
        let bytes = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let mut head = RequestHead::default();
        head.parse(bytes, &HeadLimits::default()).unwrap();
        let request = Request::read(&head, bytes, PathStyle::default()).unwrap();
        let routed = RoutedRequest { request: &request, client: [192, 0, 2, 1].into(), listener: "l", is_https: false };
        let affinity = upstream.affinity(&routed);
        let Picked { attempt, .. } = upstream.pick(&affinity, &[], now, || 0).unwrap();
        Tries::new(upstream, affinity, attempt, &Policy::compile(&serde_json::from_value(retries).unwrap()), true, now)
    }

    fn terms(total: Option<Instant>) -> Terms {
        let span = Span::of(SECOND);
        Terms {
            body: RequestBody::None,
            asked: Asked { method: Method::Get, upgrade: false },
            expects_continue: false,
            keeps: true,
            body_limit: u64::MAX,
            response_headers: None,
            replaces_errors: false,
            greeting: None,
            returned: Returned::new(
                &RequestIds::compile(&RequestIdSettings::default()),
                &RequestId::from(uuid::Uuid::nil()),
                ForwardingMode::Append,
            ),
            timeouts: Timeouts {
                body_min_rate: 0,
                connect: span,
                body_idle: span,
                first_byte: span,
                idle: span,
                total: None,
                tunnel_idle: span,
                half_close_grace: span,
            },
            total,
        }
    }

    #[test]
    fn what_becomes_of_a_request_that_is_to_be_tried_again() {
        use RetryResult::{BodyGone, Made, NoEndpoint, OverBudget, TooLate};
        let now = Instant::now();
        let backoff = serde_json::json!({ "backoff": { "base": "1s", "max": "1s" } });
        let none = serde_json::json!({ "retry_budget": { "percent": 0, "min_per_second": 0 } });
        let usual = || serde_json::json!({});
        for (backends, fields, cause, wait, total, chance, sent, expected) in [
            (2, usual(), RESET, None, None, 0, WHOLE, Made),
            (1, usual(), RESET, None, None, 0, WHOLE, Made),
            (2, usual(), LATE, None, None, 0, WHOLE, Made),
            (1, usual(), LATE, None, None, 0, WHOLE, NoEndpoint),
            (2, usual(), RESET, None, None, 0, Sent { is_whole: false, ..WHOLE }, BodyGone),
            (2, none, RESET, None, None, 0, WHOLE, OverBudget),
            // The pause by chance, or what the backend says, must end before the total.
            (2, usual(), RESET, None, Some(SECOND / 2), 0, WHOLE, Made),
            (2, usual(), RESET, None, Some(SECOND / 2), u64::MAX, WHOLE, TooLate),
            (2, usual(), Cause::Status(503), Some(SECOND), Some(SECOND), 0, WHOLE, TooLate),
            (2, usual(), Cause::Status(503), Some(SECOND), Some(SECOND * 2), u64::MAX, WHOLE, Made),
            (2, usual(), Cause::Status(503), Some(RETRY_AFTER), None, 0, WHOLE, Made),
            (2, usual(), Cause::Status(503), Some(RETRY_AFTER + SECOND), None, 0, WHOLE, TooLate),
        ] {
            let upstream = upstream(backends, fields);
            let mut tries = tries(&upstream, backoff.clone(), now);
            let terms = terms(total.map(|total| now + total));
            let result = tries.schedule(&terms, cause, wait, sent, now, || chance);
            assert_eq!(result, expected, "{backends} {cause:?} {wait:?} {total:?}");
            if result == Made {
                assert!(tries.pause() <= wait.unwrap_or(SECOND));
                assert_eq!(wait.unwrap_or(tries.pause()), tries.pause());
                let next = tries.more().next.take().unwrap();
                assert_eq!(next.attempt.endpoint().id == tries.endpoint().id, backends == 1);
            }
        }
    }

    #[test]
    fn a_retry_is_paid_when_it_is_decided_on() {
        let now = Instant::now();
        let upstream = upstream(2, serde_json::json!({ "retry_budget": { "percent": 100, "min_per_second": 0 } }));
        let retries = serde_json::json!({ "attempts": 2, "backoff": { "base": "1s", "max": "1s" } });
        let mut first = tries(&upstream, retries.clone(), now);
        assert_eq!(upstream.live().budget_status(now).available, 1);
        let made = first.schedule(&terms(None), RESET, None, WHOLE, now, || u64::MAX);
        assert_eq!((made, upstream.live().budget_status(now).available), (RetryResult::Made, 0));
        // It waits; whoever comes now has what came with them, and no more.
        let mut second = tries(&upstream, retries, now);
        assert_eq!(second.schedule(&terms(None), RESET, None, WHOLE, now, || 0), RetryResult::Made);
        second.more().next = None;
        assert_eq!(second.schedule(&terms(None), RESET, None, WHOLE, now, || 0), RetryResult::OverBudget);
    }

    #[test]
    fn time_that_the_client_used_up_is_no_fault_of_the_endpoint() {
        let now = Instant::now();
        let ends = now + SECOND * 10;
        // For how many milliseconds the client was waited for, whether it set the limit, and calls and failures after it.
        for (held, is_limited_by_client, reason, expected) in [
            (0, false, Reason::TotalTimeout, (1, 1)),
            (900, false, Reason::TotalTimeout, (1, 1)),
            (1_100, false, Reason::TotalTimeout, (0, 0)),
            (10_000, false, Reason::TotalTimeout, (0, 0)),
            (0, true, Reason::TotalTimeout, (0, 0)),
            (0, true, Reason::UpstreamTimeout, (1, 1)),
            (9_000, false, Reason::UpstreamTimeout, (1, 1)),
            (10_000, false, Reason::RequestTimeout, (0, 0)),
        ] {
            let upstream = upstream(1, serde_json::json!({}));
            let mut tries = tries(&upstream, serde_json::json!({}), now);
            if is_limited_by_client {
                tries.limited_by_client();
            }
            tries.holds(Held::since(ends - Duration::from_millis(held)));
            tries.failed(reason, ends);
            let shown = tries.endpoint().gate.status(ends).breaker;
            assert_eq!((shown.calls, shown.failed), expected, "{held} {is_limited_by_client} {reason:?}");
            let timeouts = tries.endpoint().metrics.timeouts.get();
            assert_eq!(timeouts, u64::from(expected.1), "{held} {is_limited_by_client} {reason:?}");
        }
    }

    #[test]
    fn a_slow_upload_makes_no_slow_call() {
        let now = Instant::now();
        let slow = serde_json::json!({ "breaker": { "slow_call_duration_threshold": "2s" } });
        for (held, took, expected) in [(0, 3, 1), (2, 3, 0), (2, 5, 1)] {
            let upstream = upstream(1, slow.clone());
            let mut tries = tries(&upstream, serde_json::json!({}), now);
            let ends = now + SECOND * took;
            tries.holds(Held::since(ends - SECOND * held));
            tries.answered(Said { status: 200, grpc: None }, ends);
            let shown = tries.endpoint().gate.status(ends).breaker;
            assert_eq!((shown.calls, shown.slow), (1, expected), "{held} {took}");
        }
    }

    #[test]
    fn a_connection_is_waited_for_no_longer_than_the_try_or_the_request_may_take() {
        let now = Instant::now();
        let upstream = upstream(1, serde_json::json!({}));
        for (per_try, total, expected) in [
            (None, None, None),
            (Some("9s"), None, Some((9, Reason::ConnectTimeout))),
            (None, Some(7), Some((7, Reason::TotalTimeout))),
            (Some("9s"), Some(7), Some((7, Reason::TotalTimeout))),
            (Some("5s"), Some(7), Some((5, Reason::ConnectTimeout))),
        ] {
            let tries = tries(&upstream, serde_json::json!({ "per_try_timeout": per_try }), now);
            let patience = tries.patience(&terms(total.map(|total| now + SECOND * total)));
            assert_eq!(patience.each, SECOND);
            assert_eq!(patience.until, expected.map(|(seconds, reason)| (now + SECOND * seconds, reason)));
        }
    }
}
