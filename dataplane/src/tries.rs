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
    snapshot::{Affinity, Cause, NewSession, Picked, Policy, Upstream},
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
    /// Whether that is kept for the route's fallback, too: until the request is sent anywhere.
    can_fall_back: bool,
}

/// A further try that was decided on: its endpoint has let it in, and it is paid from the budget.
struct Next {
    attempt: Attempt,
    /// What a `Host` field that names its backend says.
    authority: Box<str>,
    /// The session that begins with its response.
    session: Option<NewSession>,
    pause: Duration,
    cause: Cause,
}

/// What of a further try is of use once it began.
struct Begun {
    authority: Box<str>,
    session: Option<NewSession>,
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

    /// Says what the head for another backend is made of, which is another one if it `depends_on_backend`, or if the route's fallback
    /// acts where there is no room at any endpoint.
    pub(crate) fn keep_source(
        &mut self,
        has_fallback: bool,
        depends_on_backend: bool,
        source: impl FnOnce() -> HeadSource,
    ) {
        let is_capped = self.endpoint().capacity.is_capped();
        let can_fall_back = has_fallback && is_capped;
        if can_fall_back || (depends_on_backend && (self.left > 0 || is_capped)) {
            let more = self.more();
            (more.source, more.can_fall_back) = (Some(source()), can_fall_back);
        }
    }

    /// What the route's fallback is to act on, if there is one that does for `reason`, which ended the tries, and the request was sent nowhere.
    pub(crate) fn take_fallback(&mut self, reason: Reason) -> Option<HeadSource> {
        let more = self.more.as_mut().filter(|more| more.can_fall_back && reason.is_of_cap())?;
        more.source.take()
    }

    /// Notes that a backend may have seen something of the request.
    pub(crate) fn sent(&mut self) {
        if let Some(more) = &mut self.more {
            more.can_fall_back = false;
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

    /// Whether the pooled connection of the try under way turned out closed, of which `sent` was sent, and the request is to be
    /// replayed on one that served nothing yet: no byte of a response came, all that was sent is still there, and either nothing was
    /// sent or it may be delivered twice. Counts it; it is the same try.
    pub(crate) fn is_stale(&mut self, failure: Option<Reason>, response_began: bool, sent: Sent) -> bool {
        let is_stale = failure == Some(Reason::UpstreamReset)
            && !response_began
            && sent.is_whole
            && (self.is_repeatable || !sent.any);
        if is_stale {
            self.endpoint().metrics.stale.inc();
            self.sent();
        }
        is_stale
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
        let now = worker.clock.now();
        self.failed(reason, now);
        let cause = Cause::Failed(reason);
        let is_again = if reason == Reason::QueueFull {
            sent.is_whole && self.moves_on(now, || worker.clock.next_random())
        } else {
            self.left > 0 && self.policy.has(cause) && self.decide(worker, terms, cause, None, sent)
        };
        if reason.is_of_cap() {
            // The fallback may act yet.
            return is_again;
        }
        self.settle(is_again)
    }

    /// Whether the request goes to another endpoint, for at this one nobody else may wait. That is no retry: no try was made here.
    fn moves_on(&mut self, now: Instant, chance: impl Fn() -> u64) -> bool {
        let Some(next) = self.another(Cause::Failed(Reason::QueueFull), Duration::ZERO, now, chance) else {
            return false;
        };
        let is_other = !self.more().tried.contains(&next.attempt.endpoint().id);
        self.more().next = is_other.then_some(next);
        is_other
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
        let Some(next) = self.another(cause, pause, now, chance) else { return RetryResult::NoEndpoint };
        if cause.needs_another() && self.more().tried.contains(&next.attempt.endpoint().id) {
            return RetryResult::NoEndpoint;
        }
        if !self.upstream.live().budget.spend(now) {
            return RetryResult::OverBudget;
        }
        self.left -= 1;
        self.more().next = Some(next);
        RetryResult::Made
    }

    /// The try that would follow the one under way: preferably at an endpoint that was not tried.
    fn another(&mut self, cause: Cause, pause: Duration, now: Instant, chance: impl Fn() -> u64) -> Option<Next> {
        let id = self.endpoint().id;
        let more = self.more.get_or_insert_default();
        more.tried.push(id);
        let Picked { backend, attempt, session } = self.upstream.pick(&self.affinity, &more.tried, now, chance).ok()?;
        Some(Next { attempt, authority: backend.authority.clone(), session, pause, cause })
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
        upstream: Box<engine::Upstream>,
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
        let Some(Begun { authority, session, cause }) = self.begin_next(worker.clock.now()) else { return Ok(false) };
        record.retried(cause);
        let source = self.more.as_ref().and_then(|more| more.source.as_ref());
        if let Some(source) = source {
            let before = terms.response_headers.take();
            terms.response_headers = source.write(head, out, record, self.attempt.endpoint(), &authority)?;
            Edits::set_split(&mut terms.response_headers, before.and_then(Edits::into_split));
        }
        Edits::set_session(&mut terms.response_headers, session);
        Ok(source.is_some())
    }

    /// Makes the try that was decided on the one under way from `now` on.
    fn begin_next(&mut self, now: Instant) -> Option<Begun> {
        let more = self.more.as_mut()?;
        let Next { attempt, authority, session, cause, .. } = more.next.take()?;
        (self.attempt, self.held) = (attempt, Held::default());
        self.attempt.begins(now);
        more.until = self.policy.try_until(now);
        // Whatever else failed was a try somewhere, and the request has had its turn.
        more.can_fall_back &= matches!(cause, Cause::Failed(reason) if reason.is_of_cap());
        Some(Begun { authority, session, cause })
    }
}

#[cfg(test)]
mod tests;
