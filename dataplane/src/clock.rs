//! What a worker makes of the time: moments, the `Date` of responses and the ids of requests.

use std::{cell::Cell, time::Duration};

use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use uuid::Uuid;

use crate::{
    instant::Instant,
    split_mix::{STEP, mixed},
};

/// How long wall-clock time is counted on from when it was read: a clock that is set is noticed within it.
const ANCHORED: Duration = Duration::from_secs(1);

/// The clock of one worker. It is read a few times for a request, and everything else is made of what it said then.
pub(crate) struct Clock {
    /// When it was read last.
    recent: Cell<Instant>,
    /// A moment, and how many microseconds after 1970 it was.
    anchor: Cell<(Instant, i64)>,
    /// A second and how it is written, with the milliseconds left at 0.
    time: Cell<(i64, [u8; 24])>,
    /// The second that `date` was made for.
    second: Cell<i64>,
    date: Cell<[u8; 29]>,
    random: Cell<u64>,
}

impl Clock {
    /// A clock with a random sequence of its own.
    pub(crate) fn new() -> Self {
        let random = u64::from_le_bytes(shared::seal::random());
        let now = Instant::now();
        Self {
            recent: Cell::new(now),
            anchor: Cell::new((now, Timestamp::now().as_microsecond())),
            time: Cell::new((i64::MIN, [b' '; 24])),
            second: Cell::new(i64::MIN),
            date: Cell::new([b' '; 29]),
            random: Cell::new(random),
        }
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Instant {
        let now = Instant::now();
        self.recent.set(now);
        now
    }

    /// The moment at which the clock was read last, for where that was a few steps ago: it costs nothing.
    pub(crate) fn recent(&self) -> Instant {
        self.recent.get()
    }

    /// Microseconds from 1970 to `moment`, which is now or was just now.
    fn unix_micros(&self, moment: Instant) -> i64 {
        let (anchor, micros) = self.anchor.get();
        let since = moment.saturating_duration_since(anchor);
        if since < ANCHORED {
            return micros + i64::from(since.subsec_micros());
        }
        let micros = Timestamp::now().as_microsecond();
        self.anchor.set((moment, micros));
        micros
    }

    /// The wall-clock time of `moment`, which may lie in the past, in RFC 3339 to the millisecond.
    pub(crate) fn rfc3339(&self, moment: Instant) -> [u8; 24] {
        let now = self.recent();
        let since = i64::try_from(now.saturating_duration_since(moment).as_micros()).unwrap_or(i64::MAX);
        let millis = self.unix_micros(now).saturating_sub(since).div_euclid(1000);
        let (second, fraction) = (millis.div_euclid(1000), millis.rem_euclid(1000));
        let (cached, mut text) = self.time.get();
        if cached != second
            && let Ok(time) = Timestamp::from_second(second)
            && let Ok(written) = format!("{time:.3}").as_bytes().try_into()
        {
            text = written;
            self.time.set((second, text));
        }
        for (place, digit) in [(20, fraction / 100), (21, fraction / 10 % 10), (22, fraction % 10)] {
            text[place] = b'0' + digit as u8;
        }
        text
    }

    /// The date as in `Date` (RFC 9110 §5.6.7), at the moment at which the clock was read last.
    pub(crate) fn date(&self) -> [u8; 29] {
        let second = self.unix_micros(self.recent()) / 1_000_000;
        if self.second.replace(second) != second
            && let Ok(now) = Timestamp::from_second(second)
            && let Ok(text) = DateTimePrinter::new().timestamp_to_rfc9110_string(&now)
            && let Ok(date) = text.as_bytes().try_into()
        {
            self.date.set(date);
        }
        self.date.get()
    }

    /// An id for a request that came at `moment`: UUID version 7, in order of time. Unique, and no secret.
    pub(crate) fn request_id(&self, moment: Instant) -> Uuid {
        let millis = u64::try_from(self.unix_micros(moment) / 1000).unwrap_or_default();
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.next_random().to_le_bytes());
        random[8..].copy_from_slice(&self.next_random().to_le_bytes()[..2]);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// A random number, no secret: a system call for each request would cost more than all else about its id.
    pub(crate) fn next_random(&self) -> u64 {
        let state = self.random.get().wrapping_add(STEP);
        self.random.set(state);
        mixed(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_dates_have_the_one_form() {
        let clock = Clock::new();
        let now = clock.now();
        let (a, b) = (clock.request_id(now), clock.request_id(now));
        assert!(a != b && a.get_version_num() == 7);
        let date = String::from_utf8(clock.date().to_vec()).unwrap();
        assert!(date.ends_with(" GMT") && date.as_bytes()[3] == b',', "{date}");
    }

    #[test]
    fn a_moment_has_the_time_of_the_wall_clock() {
        let clock = Clock::new();
        // Counted on from the anchor, and read anew.
        for later in [Duration::ZERO, Duration::from_millis(999), ANCHORED * 2, ANCHORED * 2] {
            let moment = clock.now() + later;
            let before = Timestamp::now();
            let text = clock.rfc3339(moment);
            let time: Timestamp = std::str::from_utf8(&text).unwrap().parse().unwrap();
            assert!(time.duration_since(before).as_secs().abs() < 5, "{time} is far from {before}");
        }
    }
}
