use std::cell::Cell;

use http1::{Asked, HeadLimits, Method, RequestBody};
use shared::config::{ForwardingMode, PathStyle, RequestId as RequestIdSettings};

use super::*;
use crate::{
    engine::{Pace, Span, Standing, Timeouts, Waits},
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

/// Every mix of what tries may wait for, on a clock that only the test moves.
#[test]
fn the_total_holds_whatever_the_tries_wait_for() {
    let begin = Instant::now();
    let budget = serde_json::json!({ "retry_budget": { "percent": 100, "min_per_second": 10_000 } });
    let mut ends = [0; 4];
    for seed in 0..5_000_u64 {
        let random = Cell::new(seed);
        let below = |limit: u64| {
            random.set(random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
            (random.get() >> 33) % limit
        };
        let millis = |limit: u64| Duration::from_millis(below(limit));
        let upstream = upstream(1 + below(4) as usize, budget.clone());
        let mut retries = serde_json::json!({
            "attempts": below(11),
            "on": ["connect_failure", "reset", "timeout", "503"],
            "backoff": { "base": format!("{}ms", below(300)), "max": "1s" },
        });
        if below(2) == 0 {
            retries["per_try_timeout"] = format!("{}ms", 1 + below(500)).into();
        }
        let total = begin + millis(1_000) + Duration::from_millis(1);
        let mut tries = tries(&upstream, retries, begin);
        let mut terms = terms(Some(total));
        terms.timeouts.connect = Span::of(millis(800));
        terms.timeouts.first_byte = Span::of(millis(800));
        let mut now = begin;
        let end = loop {
            let (cause, ended) = one_try(&tries, &terms, now, total, below);
            now = ended;
            assert!(now <= total, "seed {seed}");
            if let Cause::Failed(reason) = cause {
                tries.failed(reason, now);
            }
            if cause == Cause::Failed(Reason::TotalTimeout) {
                assert_eq!(now, total, "seed {seed}: not before it is over either");
                break 0;
            }
            let wait = (cause == Cause::Status(503) && below(2) == 0).then(|| millis(1_500));
            if tries.left == 0 {
                break 1;
            }
            match tries.schedule(&terms, cause, wait, WHOLE, now, || below(u64::MAX >> 33) << 33) {
                RetryResult::Made => {}
                RetryResult::TooLate => break 2,
                _ => break 3,
            }
            now += tries.pause();
            assert!(now < total, "seed {seed}: a try that begins has time");
            assert_eq!(tries.begin_next(now).map(|begun| begun.cause), Some(cause));
        };
        ends[end] += 1;
    }
    assert!(ends.iter().all(|count| *count > 50), "every end was met: {ends:?}");
}

/// A try that begins `now`: what becomes of it, and when.
fn one_try(tries: &Tries, terms: &Terms, now: Instant, total: Instant, below: impl Fn(u64) -> u64) -> (Cause, Instant) {
    let at_some_point = |from: Instant, until: Instant| {
        let left = u64::try_from((until - from).as_millis()).unwrap();
        from + Duration::from_millis(below(left + 1)).min(until - from)
    };
    // Getting a connection: it may take as long as patience says.
    let Patience { each, until } = tries.patience(terms);
    let (until, reason) =
        until.filter(|(until, _)| *until <= now + each).unwrap_or((now + each, Reason::ConnectTimeout));
    assert!(until <= total);
    match below(4) {
        0 => return (Cause::Failed(reason), until),
        1 => return (Cause::Failed(Reason::ConnectFailed), at_some_point(now, until)),
        _ => {}
    }
    // Waiting for a head: it may take as long as the pace says.
    let now = at_some_point(now, until);
    let waiting = Standing {
        upload: Waits::Nobody,
        download: Waits::Upstream,
        is_answered: false,
        is_half_closed: false,
        expects_continue: false,
        received: 0,
    };
    let (due, reason) = Pace::new(&terms.timeouts, terms.total, tries.until(), now).due(&waiting);
    assert!(due <= total);
    match below(3) {
        0 => (Cause::Failed(reason), due.max(now)),
        1 => (Cause::Failed(Reason::UpstreamReset), at_some_point(now, due.max(now))),
        _ => (Cause::Status(503), at_some_point(now, due.max(now))),
    }
}
