//! When the requests of a route are tried again, compiled.

use std::{
    borrow::Cow,
    ops::Deref,
    sync::{Arc, LazyLock},
    time::Duration,
};

use shared::{
    config,
    value::{RetryOn, StatusRange},
};

use crate::{engine::Span, error::Reason, instant::Instant};

/// When a request is tried again. Those of most routes are the usual ones, which nobody counts references to.
#[derive(Clone, Debug)]
pub(crate) enum Policy {
    /// As the defaults say.
    Usual,
    /// As the route says.
    Own(Arc<Retries>),
}

/// When a request is tried again.
#[derive(Debug)]
pub(crate) struct Retries {
    attempts: u8,
    connect_failure: bool,
    reset: bool,
    timeout: bool,
    statuses: Box<[StatusRange]>,
    /// A bit for each code of gRPC.
    grpc: u32,
    methods: Box<[shared::value::Method]>,
    per_try: Option<Span>,
    base: Span,
    max: Span,
}

/// What a request is tried again for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There was no response.
    Failed(Reason),
    /// The status of the response.
    Status(u16),
    /// The status of gRPC in a response that was nothing else.
    Grpc(u8),
}

impl Policy {
    /// The policy of a route.
    pub(crate) fn compile(retries: &config::Retries) -> Self {
        if *retries == config::Retries::default() { Self::Usual } else { Self::Own(Arc::new(Retries::new(retries))) }
    }
}

impl Deref for Policy {
    type Target = Retries;

    fn deref(&self) -> &Retries {
        static USUAL: LazyLock<Retries> = LazyLock::new(|| Retries::new(&config::Retries::default()));
        match self {
            Self::Usual => &USUAL,
            Self::Own(retries) => retries,
        }
    }
}

impl Retries {
    fn new(retries: &config::Retries) -> Self {
        let config::Retries { attempts, on, methods, per_try_timeout, backoff } = retries;
        let has = |condition| on.contains(&condition);
        let statuses = on.iter().filter_map(|on| match on {
            RetryOn::Status(statuses) => Some(*statuses),
            _ => None,
        });
        let grpc = on.iter().filter_map(|on| match on {
            RetryOn::Grpc(status) => Some(1 << status.code()),
            _ => None,
        });
        Self {
            attempts: if on.is_empty() { 0 } else { *attempts },
            connect_failure: has(RetryOn::ConnectFailure),
            reset: has(RetryOn::Reset),
            timeout: has(RetryOn::Timeout),
            statuses: statuses.collect(),
            grpc: grpc.fold(0, |bits, bit: u32| bits | bit),
            methods: methods.as_slice().into(),
            per_try: per_try_timeout.map(|time| Span::of(time.duration())),
            base: Span::of(backoff.base.duration()),
            max: Span::of(backoff.max.duration()),
        }
    }

    /// Further tries of one request.
    pub(crate) fn attempts(&self) -> u8 {
        self.attempts
    }

    /// Whether a request with `method` may reach backends more than once.
    pub(crate) fn repeats(&self, method: http1::Method, name: &str) -> bool {
        method.is_idempotent() || self.methods.iter().any(|named| named.as_str() == name)
    }

    /// Whether a request is tried again for `cause`.
    pub(crate) fn has(&self, cause: Cause) -> bool {
        match cause {
            Cause::Failed(reason) => match reason {
                Reason::ConnectFailed | Reason::ConnectTimeout | Reason::ConnectionsExhausted => self.connect_failure,
                Reason::UpstreamReset | Reason::BadResponse => self.reset,
                Reason::UpstreamTimeout => self.timeout,
                _ => false,
            },
            Cause::Status(status) => self.statuses.iter().any(|statuses| statuses.contains(status)),
            Cause::Grpc(code) => code < 32 && self.grpc & (1 << code) != 0,
        }
    }

    /// When a try that begins `now` must have a response head.
    pub(crate) fn try_until(&self, now: Instant) -> Option<Instant> {
        self.per_try.map(|time| now + time.duration())
    }

    /// How long is waited before a further try when `made` were made before; `chance` is a random number.
    pub(crate) fn pause(&self, made: u8, chance: u64) -> Duration {
        let most = self.base.duration().saturating_mul(1 << made.min(20)).min(self.max.duration());
        // By chance from nothing to the most: requests that failed together do not come back together.
        most.mul_f64((chance >> 11) as f64 / (1u64 << 53) as f64)
    }
}

impl Cause {
    /// The word for the log.
    pub(crate) fn word(self) -> Cow<'static, str> {
        match self {
            Self::Failed(reason) => reason.word().into(),
            Self::Status(status) => status.to_string().into(),
            Self::Grpc(code) => format!("grpc:{code}").into(),
        }
    }

    /// Whether only another endpoint is tried then: the same would most likely let the client wait as long again.
    pub(crate) fn needs_another(self) -> bool {
        matches!(self, Self::Failed(Reason::UpstreamTimeout | Reason::ConnectionsExhausted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        Policy::compile(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn conditions_hold_for_what_they_name() {
        let usual = policy("{}");
        assert!(matches!(usual, Policy::Usual));
        let own = policy(r#"{"on":["reset","502-503","grpc:unavailable"],"methods":["POST"]}"#);
        for (cause, is_usual, is_own) in [
            (Cause::Failed(Reason::ConnectFailed), true, false),
            (Cause::Failed(Reason::ConnectTimeout), true, false),
            (Cause::Failed(Reason::ConnectionsExhausted), true, false),
            (Cause::Failed(Reason::UpstreamReset), true, true),
            (Cause::Failed(Reason::BadResponse), true, true),
            (Cause::Failed(Reason::UpstreamTimeout), true, false),
            (Cause::Failed(Reason::TotalTimeout), false, false),
            (Cause::Failed(Reason::ClientGone), false, false),
            (Cause::Failed(Reason::BodyTooLarge), false, false),
            (Cause::Status(502), false, true),
            (Cause::Status(504), false, false),
            (Cause::Grpc(14), false, true),
            (Cause::Grpc(13), false, false),
            (Cause::Grpc(255), false, false),
        ] {
            assert_eq!((usual.has(cause), own.has(cause)), (is_usual, is_own), "{cause:?}");
        }
        for (name, is_usual, is_own) in
            [("GET", true, true), ("PUT", true, true), ("POST", false, true), ("PATCH", false, false)]
        {
            let method = http1::Method::of(name.as_bytes());
            assert_eq!((usual.repeats(method, name), own.repeats(method, name)), (is_usual, is_own), "{name}");
        }
        assert_eq!((usual.attempts(), policy(r#"{"on":[]}"#).attempts()), (1, 0));
    }

    #[test]
    fn pauses_grow_up_to_the_most_and_are_spread_evenly() {
        let policy = policy(r#"{"backoff":{"base":"100ms","max":"1s"}}"#);
        for (made, most) in [(0, 100), (1, 200), (2, 400), (3, 800), (4, 1000), (9, 1000), (255, 1000)] {
            assert_eq!(policy.pause(made, 0), Duration::ZERO);
            let longest = policy.pause(made, u64::MAX);
            let most = Duration::from_millis(most);
            assert!(longest <= most && longest > most.mul_f64(0.999), "{longest:?} of {most:?}");
            let half = policy.pause(made, 1 << 63);
            assert!(half.abs_diff(most / 2) < Duration::from_micros(1), "{half:?}");
        }
    }
}
