use std::{fmt::Display, ops::RangeInclusive};

use super::{at_most, limits};
use crate::{
    Findings,
    config::{Breaker, SlidingWindowType},
};

pub(super) fn check(breaker: &Breaker, pointer: impl Display + Copy, findings: &mut Findings) {
    // Every field is named, so that a new one is not forgotten here.
    let Breaker {
        enabled,
        sliding_window_type,
        sliding_window_size,
        minimum_number_of_calls,
        failure_rate_threshold,
        slow_call_duration_threshold,
        slow_call_rate_threshold,
        wait_duration_in_open_state,
        wait_backoff_factor,
        max_wait_duration_in_open_state,
        permitted_number_of_calls_in_half_open_state,
        // Its 0 has a meaning.
        max_wait_duration_in_half_open_state: _,
        failure_statuses,
        failure_grpc_statuses,
    } = breaker;

    let numbers: [(&str, u32, RangeInclusive<u32>); 5] = [
        ("sliding_window_size", *sliding_window_size, 1..=10_000),
        ("minimum_number_of_calls", *minimum_number_of_calls, 1..=100_000),
        ("failure_rate_threshold", (*failure_rate_threshold).into(), 1..=100),
        ("slow_call_rate_threshold", (*slow_call_rate_threshold).into(), 1..=100),
        ("permitted_number_of_calls_in_half_open_state", *permitted_number_of_calls_in_half_open_state, 1..=1_000),
    ];
    for (field, value, range) in numbers {
        if !range.contains(&value) {
            let (least, most) = range.into_inner();
            findings.error(format!("{pointer}/{field}"), format!("{value} is out of range: write {least} to {most}"));
        }
    }
    for (field, span) in [
        ("slow_call_duration_threshold", slow_call_duration_threshold),
        ("wait_duration_in_open_state", wait_duration_in_open_state),
        ("max_wait_duration_in_open_state", max_wait_duration_in_open_state),
    ] {
        if span.is_zero() {
            findings.error(format!("{pointer}/{field}"), "the duration must be longer than 0");
        }
    }
    at_most(limits::FAILURE_STATUSES, failure_statuses.len(), format_args!("{pointer}/failure_statuses"), findings);
    at_most(
        limits::FAILURE_GRPC_STATUSES,
        failure_grpc_statuses.len(),
        format_args!("{pointer}/failure_grpc_statuses"),
        findings,
    );

    if !limits::WAIT_BACKOFF.contains(wait_backoff_factor) {
        let (least, most) = (limits::WAIT_BACKOFF.start(), limits::WAIT_BACKOFF.end());
        findings.error(
            format!("{pointer}/wait_backoff_factor"),
            format!(
                "{wait_backoff_factor} is out of range: write {least} to {most}; {least} is a wait that does not grow"
            ),
        );
    }
    if !enabled && *breaker != (Breaker { enabled: false, ..Breaker::default() }) {
        findings.warning(
            format!("{pointer}/enabled"),
            "the circuit breaker is switched off: its other settings do not act",
        );
        return;
    }
    if *sliding_window_type == SlidingWindowType::Count && minimum_number_of_calls > sliding_window_size {
        findings.warning(
            format!("{pointer}/minimum_number_of_calls"),
            format!("the window holds {sliding_window_size} calls: it is judged from that many on"),
        );
    }
    if *wait_backoff_factor > 1.0 && wait_duration_in_open_state > max_wait_duration_in_open_state {
        findings.warning(
            format!("{pointer}/max_wait_duration_in_open_state"),
            format!("the wait is {wait_duration_in_open_state} from the first: it never grows"),
        );
    }
}
