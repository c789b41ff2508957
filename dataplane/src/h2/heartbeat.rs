//! Whether the peer of a connection with open streams is still there.

use std::time::Duration;

use http2::Connection;

use super::chunk::Chunk;
use crate::engine::Silence;

/// How long a connection with open streams has been silent.
#[derive(Default)]
pub(super) struct Heartbeat {
    quiet: Duration,
    /// How long ago it was first asked whether it is there, if it was and has said nothing since.
    asked: Option<Duration>,
}

impl Heartbeat {
    /// To be called every `period`, with whether anything was read in it: whether the peer counts as gone, as it does by `allowed`. A
    /// PING is sent before.
    pub(super) fn beat(
        &mut self,
        connection: &Connection<Chunk>,
        period: Duration,
        allowed: Silence,
        has_read: bool,
    ) -> bool {
        // Before there was a stream nothing was to be heard, and nothing was asked.
        if has_read || connection.active() == 0 {
            *self = Self::default();
            return false;
        }
        self.quiet += period;
        match &mut self.asked {
            Some(asked) => {
                *asked += period;
                if *asked >= allowed.answered_within {
                    return true;
                }
            }
            None if self.quiet < allowed.asked_after => return false,
            asked => *asked = Some(Duration::ZERO),
        }
        connection.ping();
        false
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::h2::limits;

    /// The silence of a connection without streams was held against its peer as soon as there was one: requests failed right after they
    /// were sent.
    #[test]
    fn silence_counts_from_when_something_is_to_be_heard() {
        let connection = Connection::new(limits::OF_BACKEND, &Rc::default());
        let second = Duration::from_secs(1);
        let allowed = Silence { asked_after: second, answered_within: 2 * second };
        let mut heartbeat = Heartbeat::default();
        let mut beat = |has_read| {
            let written = connection.with_unwritten(<[u8]>::len);
            connection.written(written);
            let is_gone = heartbeat.beat(&connection, second, allowed, has_read);
            (is_gone, connection.with_unwritten(|bytes| !bytes.is_empty()))
        };
        let (nothing, asked, gone) = ((false, false), (false, true), (true, false));
        assert!((0..10).all(|_| beat(false) == nothing));
        let _stream = connection.request(false, true, |_| {}).unwrap();
        assert_eq!(
            [false, false, true, false, false, false].map(&mut beat),
            [asked, asked, nothing, asked, asked, gone]
        );
    }

    /// However rare the looks are, who was not asked is not gone.
    #[test]
    fn nobody_is_gone_who_was_not_asked() {
        let connection = Connection::new(limits::OF_BACKEND, &Rc::default());
        let _stream = connection.request(false, true, |_| {}).unwrap();
        let second = Duration::from_secs(1);
        let allowed = Silence { asked_after: second, answered_within: second };
        let mut heartbeat = Heartbeat::default();
        let mut beat = |has_read| heartbeat.beat(&connection, 5 * second, allowed, has_read);
        assert_eq!([false, true, false, false].map(&mut beat), [false, false, false, true]);
    }
}
