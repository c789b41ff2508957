//! Waiting for a condition, never for a time.

use std::{
    thread,
    time::{Duration, Instant},
};

/// The deadline of whatever normally takes milliseconds: generous, since a slow machine is no failed test.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Asks `condition` again and again until it gives a value.
///
/// # Panics
/// With `what`, when `deadline` has passed.
pub fn wait_for<T>(what: &str, deadline: Duration, condition: impl FnMut() -> Option<T>) -> T {
    within(deadline, condition).unwrap_or_else(|| panic!("waited {deadline:?} in vain: {what}"))
}

/// Asks `condition` again and again until it gives a value; none when `deadline` has passed.
pub fn within<T>(deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        pause();
    }
}

/// A moment between two looks at a condition.
#[expect(clippy::disallowed_methods, reason = "a test's own thread, between two looks at a condition with a deadline")]
pub(crate) fn pause() {
    thread::sleep(Duration::from_millis(5));
}
