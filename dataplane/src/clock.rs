//! What a worker makes of the time: the `Date` of responses and the ids of requests.

use std::cell::Cell;

use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use uuid::Uuid;

/// The clock of one worker.
pub(crate) struct Clock {
    /// The second that `date` was made for.
    second: Cell<i64>,
    date: Cell<[u8; 29]>,
    random: Cell<u64>,
}

impl Clock {
    /// A clock with a random sequence of its own.
    pub(crate) fn new() -> Self {
        let random = u64::from_le_bytes(shared::seal::random());
        Self { second: Cell::new(i64::MIN), date: Cell::new([b' '; 29]), random: Cell::new(random) }
    }

    /// The present date as in `Date` (RFC 9110 §5.6.7).
    pub(crate) fn date(&self) -> [u8; 29] {
        let now = Timestamp::now();
        if self.second.replace(now.as_second()) != now.as_second()
            && let Ok(text) = DateTimePrinter::new().timestamp_to_rfc9110_string(&now)
            && let Ok(date) = text.as_bytes().try_into()
        {
            self.date.set(date);
        }
        self.date.get()
    }

    /// An id for a request: UUID version 7, in order of time. Unique, and no secret.
    pub(crate) fn request_id(&self) -> Uuid {
        let millis = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.next_random().to_le_bytes());
        random[8..].copy_from_slice(&self.next_random().to_le_bytes()[..2]);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// `SplitMix64` (Steele, Lea, Flood 2014): a system call for each request would cost more than all else about its id.
    fn next_random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_dates_have_the_one_form() {
        let clock = Clock::new();
        let (a, b) = (clock.request_id(), clock.request_id());
        assert!(a != b && a.get_version_num() == 7);
        let date = String::from_utf8(clock.date().to_vec()).unwrap();
        assert!(date.ends_with(" GMT") && date.as_bytes()[3] == b',', "{date}");
    }
}
