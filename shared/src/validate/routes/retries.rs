//! Retries, and what happens when no endpoint may be used.

use std::fmt::Display;

use super::{
    super::{References, at_most, limits, longer_than_zero},
    action,
    template::Groups,
};
use crate::{
    Findings,
    config::{Action, Backoff, Fallback, Forward, Retries, Route},
    value::TimeSpan,
};

pub(super) fn check(route: &Route, pointer: &str, references: &References, findings: &mut Findings) {
    check_retries(route, &format!("{pointer}/retries"), findings);
    if let Some(fallback) = &route.fallback {
        check_fallback(route, fallback, &format!("{pointer}/fallback"), references, findings);
    }
}

fn check_retries(route: &Route, pointer: &str, findings: &mut Findings) {
    // Every field is named, so that a new one is not forgotten here.
    let Retries { attempts, on, methods, per_try_timeout, backoff } = &route.retries;
    if *attempts > limits::RETRIES {
        findings.error(
            format!("{pointer}/attempts"),
            format!("{attempts} is out of range: write 0 to {}; 0 tries nothing again", limits::RETRIES),
        );
    }
    at_most(limits::RETRY_CONDITIONS, on.len(), format_args!("{pointer}/on"), findings);
    if on.is_empty() && *attempts > 0 {
        findings.warning(format!("{pointer}/on"), "nothing is ever tried again: name what for, or write attempts: 0");
    }
    at_most(limits::METHODS_PER_ROUTE, methods.len(), format_args!("{pointer}/methods"), findings);
    if let Some(time) = per_try_timeout {
        let pointer = format!("{pointer}/per_try_timeout");
        longer_than_zero(*time, &pointer, findings);
        if route.timeouts.total.is_some_and(|total| total <= *time) {
            findings.warning(pointer, "no shorter than `timeouts.total`: the first try alone may use all of it up");
        }
    }
    let Backoff { base, max } = backoff;
    at_most_long(*base, limits::BACKOFF_BASE, format_args!("{pointer}/backoff/base"), findings);
    at_most_long(*max, limits::BACKOFF, format_args!("{pointer}/backoff/max"), findings);
    if base > max {
        findings.error(
            format!("{pointer}/backoff/base"),
            format!("{base} is longer than the most that is waited: write at most max, which is {max}"),
        );
    }
}

fn at_most_long(span: TimeSpan, limit: TimeSpan, pointer: impl Display, findings: &mut Findings) {
    if span > limit {
        findings.error(pointer.to_string(), format!("{span} is too long: at most {limit} is allowed here"));
    }
}

fn check_fallback(route: &Route, fallback: &Fallback, pointer: &str, references: &References, findings: &mut Findings) {
    match fallback {
        Fallback::Forward(Forward { upstream }) => {
            let pointer = format!("{pointer}/forward/upstream");
            action::check_upstream(upstream, &pointer, references, findings);
            if matches!(&route.action, Action::Forward(action) if action.upstream == *upstream) {
                findings.error(
                    pointer,
                    format!("the upstream \"{upstream}\" is the one that the route forwards to: name another"),
                );
            }
        }
        Fallback::Respond(respond) => {
            let groups = Groups::of_match(&route.matches);
            action::check_respond(respond, &groups, &format!("{pointer}/respond"), findings);
        }
    }
}
