use std::fmt::Display;

use super::{limits, longer_than_zero};
use crate::{Findings, config::Pool, value::TimeSpan};

pub(super) fn check(pool: &Pool, pointer: impl Display + Copy, findings: &mut Findings) {
    // Every field is named, so that a new one is not forgotten here.
    let Pool { idle_timeout, max_idle, max_age, max_requests, ping_interval, ping_timeout } = pool;

    if idle_timeout.is_zero() {
        findings.error(
            format!("{pointer}/idle_timeout"),
            "the duration must be longer than 0: to keep no idle connections write max_idle: 0",
        );
    }
    at_most_long(*idle_timeout, limits::IDLE_TIMEOUT, format_args!("{pointer}/idle_timeout"), findings);
    for (field, span) in [("ping_interval", *ping_interval), ("ping_timeout", *ping_timeout)] {
        longer_than_zero(span, format_args!("{pointer}/{field}"), findings);
        at_most_long(span, limits::IDLE_TIMEOUT, format_args!("{pointer}/{field}"), findings);
    }
    if *max_idle > limits::IDLE_CONNECTIONS {
        findings.error(
            format!("{pointer}/max_idle"),
            format!("{max_idle} is out of range: write 0 to {}", limits::IDLE_CONNECTIONS),
        );
    }
    if let Some(max_age) = max_age {
        if max_age.is_zero() {
            findings.error(
                format!("{pointer}/max_age"),
                "the duration must be longer than 0: leave it out where age does not matter",
            );
        }
        at_most_long(*max_age, limits::CONNECTION_AGE, format_args!("{pointer}/max_age"), findings);
    }
    if let Some(requests) = max_requests
        && !(1..=limits::REQUESTS_PER_CONNECTION).contains(requests)
    {
        findings.error(
            format!("{pointer}/max_requests"),
            format!(
                "{requests} is out of range: write 1 to {}, or leave it out where their number does not matter",
                limits::REQUESTS_PER_CONNECTION
            ),
        );
    }
}

fn at_most_long(span: TimeSpan, limit: TimeSpan, pointer: impl Display, findings: &mut Findings) {
    if span > limit {
        findings.error(pointer.to_string(), format!("{span} is too long: at most {limit} is allowed here"));
    }
}
