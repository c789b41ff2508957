//! Counts the frames of a connection by their headers, as they pass between `h2` and the socket.
//!
//! `h2` bounds what its peers make it remember, but not how often they make it work: PING, SETTINGS, `WINDOW_UPDATE`, empty
//! DATA and `RST_STREAM` cost a peer a few bytes each. Each has an allowance that refills with time and with honest use.

mod frames;
mod unread;

use h2::Reason as Code;

use self::{
    frames::{
        CONTINUATION, DATA, FIRST_FLAG, Frames, GOAWAY, HEADER, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    },
    unread::Unread,
};
use super::limits;
use crate::{instant::Instant, metrics::Http2Side};

pub(super) use unread::Unheard;

/// What a connection was ended for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Guard {
    /// PING frames.
    Ping,
    /// SETTINGS frames.
    Settings,
    /// `WINDOW_UPDATE` frames.
    WindowUpdate,
    /// DATA frames without data.
    EmptyData,
    /// PRIORITY frames and frames of unknown types.
    PassedOver,
    /// Requests that were reset by who sent them.
    RapidReset,
    /// Malformed requests.
    Malformed,
    /// One of the guards within `h2`: CONTINUATION, header lists, pending or provoked resets, small DATA frames.
    Library,
}

impl Guard {
    /// All guards, for metrics.
    pub(crate) const ALL: [Self; 8] = [
        Self::Ping,
        Self::Settings,
        Self::WindowUpdate,
        Self::EmptyData,
        Self::PassedOver,
        Self::RapidReset,
        Self::Malformed,
        Self::Library,
    ];

    /// The word in logs and metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Settings => "settings",
            Self::WindowUpdate => "window_update",
            Self::EmptyData => "empty_data",
            Self::PassedOver => "passed_over",
            Self::RapidReset => "rapid_reset",
            Self::Malformed => "malformed",
            Self::Library => "h2_library",
        }
    }
}

/// How often something may happen on one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// At once.
    pub(super) burst: u32,
    /// Refilled with time.
    pub(super) per_second: u32,
    /// Refilled by each DATA or HEADERS frame that the peer got.
    pub(super) per_frame_sent: u32,
}

/// What is left of an allowance.
struct Bucket {
    allowance: Allowance,
    left: u32,
    filled: Instant,
}

impl Bucket {
    fn new(allowance: Allowance) -> Self {
        Self { allowance, left: allowance.burst, filled: Instant::now() }
    }

    /// Takes one; false if none is left.
    fn take(&mut self) -> bool {
        if self.left == 0 {
            let now = Instant::now();
            let refill =
                now.saturating_duration_since(self.filled).as_secs_f64() * f64::from(self.allowance.per_second);
            if refill < 1.0 {
                return false;
            }
            self.filled = now;
            self.refill(refill as u32);
        }
        self.left -= 1;
        true
    }

    fn refill(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(self.allowance.burst.max(count));
    }
}

/// What was seen of a client's connection.
pub(super) struct Seen {
    /// What `h2` has answered to requests that it did not hand out, since somebody looked.
    pub(super) unheard: Vec<Unheard>,
    /// See [`Watch::breach`].
    pub(super) breach: Option<Code>,
    /// See [`Watch::fired`].
    pub(super) fired: Option<Guard>,
}

/// Watches both directions of a connection.
pub(super) struct Watch {
    inbound: Frames,
    outbound: Frames,
    /// By guard; those within `h2` need none.
    buckets: [Bucket; Guard::Library as usize],
    fired: Option<Guard>,
    breach: Option<Code>,
    last_stream: u32,
    unread: Unread,
    has_settings: bool,
    has_goaway: bool,
    /// Whether nothing fires.
    is_trusted: bool,
    metrics: Http2Side,
}

impl Watch {
    /// A connection whose peer begins with `preface` bytes that are no frame.
    pub(super) fn new(preface: usize, metrics: Http2Side) -> Self {
        Self {
            inbound: Frames::behind(preface),
            outbound: Frames::default(),
            // In the order of `Guard`.
            buckets: [
                limits::PINGS,
                limits::SETTINGS,
                limits::WINDOW_UPDATES,
                limits::EMPTY_DATA,
                limits::PASSED_OVER,
                limits::RESETS,
                limits::MALFORMED,
            ]
            .map(Bucket::new),
            fired: None,
            breach: None,
            last_stream: 0,
            unread: Unread::default(),
            has_settings: false,
            has_goaway: false,
            is_trusted: false,
            metrics,
        }
    }

    /// Has no guard fire: the peer is one of our own backends, and only the counts are wanted.
    pub(super) fn trust(&mut self) {
        self.is_trusted = true;
    }

    /// Whether the peer has sent its SETTINGS.
    pub(super) fn has_settings(&self) -> bool {
        self.has_settings
    }

    /// Whether the peer takes no further streams.
    pub(super) fn has_goaway(&self) -> bool {
        self.has_goaway
    }

    /// Looks at bytes from the peer.
    pub(super) fn received(&mut self, bytes: &[u8]) {
        let Self {
            inbound,
            buckets,
            fired,
            breach,
            last_stream,
            unread,
            has_settings,
            has_goaway,
            is_trusted,
            metrics,
            ..
        } = self;
        inbound.pass(bytes, |frame| {
            let is_flagged = frame.flags & FIRST_FLAG != 0;
            if !frame.is_sized() {
                breach.get_or_insert(Code::FRAME_SIZE_ERROR);
            } else if !*has_settings && (frame.kind != SETTINGS || is_flagged) {
                // They are part of the preface (RFC 9113 §3.4).
                breach.get_or_insert(Code::PROTOCOL_ERROR);
            }
            let spent = match frame.kind {
                DATA if frame.length == 0 && !is_flagged => Some(Guard::EmptyData),
                DATA | CONTINUATION => None,
                GOAWAY => {
                    *has_goaway = true;
                    metrics.goaways_received.inc();
                    None
                }
                HEADERS => {
                    if frame.stream > *last_stream {
                        *last_stream = frame.stream;
                        if !*is_trusted {
                            unread.began(frame.stream);
                        }
                    }
                    None
                }
                SETTINGS if is_flagged => None,
                SETTINGS => {
                    *has_settings = true;
                    Some(Guard::Settings)
                }
                // An answer that nobody asked for costs as much.
                PING => Some(Guard::Ping),
                WINDOW_UPDATE => Some(Guard::WindowUpdate),
                RST_STREAM => {
                    metrics.resets.inc();
                    unread.is_over(frame.stream);
                    Some(Guard::RapidReset)
                }
                _ => Some(Guard::PassedOver),
            };
            if let Some(guard) = spent
                && !*is_trusted
                && !buckets[guard as usize].take()
            {
                fired.get_or_insert(guard);
            }
        });
    }

    /// Looks at bytes for the peer.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        let Self { outbound, buckets, unread, metrics, .. } = self;
        outbound.pass(bytes, |frame| match frame.kind {
            DATA | HEADERS => {
                unread.answered(frame);
                for guard in [Guard::Ping, Guard::WindowUpdate, Guard::PassedOver] {
                    let bucket = &mut buckets[guard as usize];
                    bucket.refill(bucket.allowance.per_frame_sent);
                }
                if frame.flags & FIRST_FLAG != 0 {
                    buckets[Guard::RapidReset as usize].refill(1);
                }
            }
            RST_STREAM => unread.answered(frame),
            GOAWAY => drop(metrics.goaways_sent.inc()),
            _ => {}
        });
    }

    /// Notes that `h2` has handed out a request.
    pub(super) fn handed_out(&mut self, stream: u32) {
        self.unread.is_over(stream);
    }

    /// Counts so many more malformed requests, and says what was seen so far.
    pub(super) fn look(&mut self, malformed: u32) -> Seen {
        for _ in 0..malformed {
            self.malformed();
        }
        Seen { unheard: self.unread.take(), breach: self.breach(), fired: self.fired }
    }

    fn malformed(&mut self) {
        if !self.buckets[Guard::Malformed as usize].take() {
            self.fired.get_or_insert(Guard::Malformed);
        }
    }

    /// The guard that fired first.
    pub(super) fn fired(&self) -> Option<Guard> {
        self.fired
    }

    /// The code of what breaks the protocol first, of what `h2` does not look for or has another code for.
    pub(super) fn breach(&self) -> Option<Code> {
        self.breach.filter(|_| !self.is_trusted)
    }

    /// GOAWAY with `code`, if the bytes so far leave room for a frame.
    pub(super) fn farewell(&self, code: Code) -> Option<[u8; HEADER + 8]> {
        let [a, b, c, d] = self.last_stream.to_be_bytes();
        let [e, f, g, h] = u32::from(code).to_be_bytes();
        let frame = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h];
        self.outbound.is_between().then_some(frame)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::{frames::PRIORITY, *};
    use crate::metrics::Http2Metrics;

    fn watch(preface: usize) -> Watch {
        Watch::new(preface, Http2Metrics::new(&mut Registry::default()).downstream)
    }

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let mut bytes = b"preface".to_vec();
        bytes.extend(frame(HEADERS, 5, 7, b"abc"));
        bytes.extend(frame(PING, 0, 0, &[0; 8]));
        bytes.extend(frame(RST_STREAM, 0, 7, &[0; 4]));
        for size in 1..bytes.len() {
            let mut watch = watch(7);
            bytes.chunks(size).for_each(|piece| watch.received(piece));
            assert_eq!((watch.last_stream, watch.metrics.resets.get()), (7, 1), "pieces of {size}");
            assert_eq!(watch.buckets[Guard::Ping as usize].left, limits::PINGS.burst - 1);
            assert!(watch.inbound.is_between() && watch.fired().is_none());
        }
    }

    #[test]
    fn each_flood_fires_its_guard_and_honest_use_does_not() {
        for (bytes, guard, burst) in [
            (frame(PING, 0, 0, &[0; 8]), Guard::Ping, limits::PINGS.burst),
            (frame(SETTINGS, 0, 0, &[]), Guard::Settings, limits::SETTINGS.burst),
            (frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), Guard::WindowUpdate, limits::WINDOW_UPDATES.burst),
            (frame(DATA, 0, 1, &[]), Guard::EmptyData, limits::EMPTY_DATA.burst),
            (frame(PRIORITY, 0, 1, &[0; 5]), Guard::PassedOver, limits::PASSED_OVER.burst),
            (frame(RST_STREAM, 0, 1, &[0; 4]), Guard::RapidReset, limits::RESETS.burst),
        ] {
            let mut watch = watch(0);
            for _ in 0..burst {
                watch.received(&bytes);
            }
            assert_eq!(watch.fired(), None, "{guard:?}");
            // Time may have refilled a few.
            for _ in 0..20 {
                watch.received(&bytes);
            }
            assert_eq!(watch.fired(), Some(guard));
        }
        let mut watch = watch(0);
        for _ in 0..10_000 {
            watch.sent(&frame(HEADERS, 5, 1, b"x"));
            watch.received(&frame(PING, 0, 0, &[0; 8]));
            watch.received(&frame(RST_STREAM, 0, 1, &[0; 4]));
            watch.received(&frame(DATA, 1, 1, &[]));
        }
        assert_eq!(watch.fired(), None);
    }

    #[test]
    fn frames_of_impossible_sizes_and_a_connection_without_settings_are_breaches() {
        let settings = frame(SETTINGS, 0, 0, &[0; 6]);
        for (kind, flags, length, is_right) in [
            (PRIORITY, 0, 5, true),
            (PRIORITY, 0, 4, false),
            (RST_STREAM, 0, 4, true),
            (RST_STREAM, 0, 5, false),
            (WINDOW_UPDATE, 0, 4, true),
            (WINDOW_UPDATE, 0, 0, false),
            (SETTINGS, 0, 12, true),
            (SETTINGS, 0, 7, false),
            (SETTINGS, FIRST_FLAG, 0, true),
            (SETTINGS, FIRST_FLAG, 6, false),
            (PING, 0, 8, true),
            (PING, FIRST_FLAG, 7, false),
            (GOAWAY, 0, 20, true),
            (GOAWAY, 0, 7, false),
            (HEADERS, 5, 0, true),
            (0xbb, 0, 1, true),
        ] {
            let mut watch = watch(0);
            watch.received(&[&settings[..], &frame(kind, flags, 0, &vec![0; length])].concat());
            assert_eq!(watch.breach(), (!is_right).then_some(Code::FRAME_SIZE_ERROR), "{kind} of {length}");
        }
        for first in [frame(SETTINGS, FIRST_FLAG, 0, &[]), frame(HEADERS, 5, 1, b"x"), frame(0xbb, 0, 0, &[])] {
            let mut watch = watch(0);
            watch.received(&first);
            assert_eq!(watch.breach(), Some(Code::PROTOCOL_ERROR));
            watch.trust();
            assert_eq!(watch.breach(), None, "of a backend");
        }
    }

    #[test]
    fn a_farewell_does_not_cut_a_frame_in_two() {
        let mut watch = watch(0);
        watch.received(&frame(HEADERS, 5, 9, b"abc"));
        let farewell = watch.farewell(Code::ENHANCE_YOUR_CALM).expect("nothing was sent");
        assert_eq!(farewell[9..], [0, 0, 0, 9, 0, 0, 0, 11]);
        let data = frame(DATA, 0, 9, b"abcdef");
        watch.sent(&data[..11]);
        assert!(watch.farewell(Code::NO_ERROR).is_none());
        watch.sent(&data[11..]);
        assert!(watch.farewell(Code::NO_ERROR).is_some());
    }

    #[test]
    fn what_the_library_answers_by_itself_is_known_by_the_frames() {
        for size in 1..40 {
            let mut watch = watch(0);
            let mut pass = |bytes: Vec<u8>, is_sent: bool| {
                for piece in bytes.chunks(size) {
                    if is_sent { watch.sent(piece) } else { watch.received(piece) }
                }
            };
            let reset = |stream, code: Code| frame(RST_STREAM, 0, stream, &u32::from(code).to_be_bytes());
            pass(frame(SETTINGS, 0, 0, &[]), false);
            for stream in [1, 3, 5, 7, 9, 9] {
                pass(frame(HEADERS, 4, stream, b"abcdef"), false);
            }
            // In the order in which it is found out, and not of who was heard out or has left.
            pass(reset(9, Code::CANCEL), false);
            pass(reset(7, Code::REFUSED_STREAM), true);
            pass(frame(HEADERS, 5, 3, b"abc"), true);
            pass(reset(3, Code::NO_ERROR), true);
            watch.handed_out(5);
            let mut pass = |bytes: Vec<u8>| bytes.chunks(size).for_each(|piece| watch.sent(piece));
            pass(reset(5, Code::PROTOCOL_ERROR));
            pass(reset(1, Code::PROTOCOL_ERROR));
            pass(reset(9, Code::STREAM_CLOSED));
            assert_eq!(watch.look(0).unheard, [Unheard::TooMany, Unheard::HeadTooLarge, Unheard::Malformed], "{size}");
            assert_eq!(watch.look(0).unheard, []);
            assert!(watch.outbound.is_between());
        }
    }
}
