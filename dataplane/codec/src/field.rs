//! Names of fields that mean something to a proxy.

use crate::caseless::{Key, MAX_LENGTH};

/// Defines [`Field`] and the table behind it.
macro_rules! fields {
    ($($variant:ident = $name:literal,)*) => {
        /// A field that this codec or the engine above it acts on.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Field {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// Any other name.
            #[default]
            Other,
        }

        const NAMES: [&str; Field::Other as usize] = [$($name),*];

        static KNOWN: [Known; Field::Other as usize] = [$(Known::new(Field::$variant, $name)),*];

        impl Field {
            /// All fields but [`Field::Other`].
            #[cfg(test)]
            pub(crate) const KNOWN: [Self; Self::Other as usize] = [$(Self::$variant),*];

            /// The name in lower case; empty for [`Field::Other`].
            #[must_use]
            pub fn name(self) -> &'static str {
                NAMES.get(self as usize).copied().unwrap_or_default()
            }
        }
    };
}

fields! {
    Te = "te",
    Via = "via",
    Date = "date",
    Host = "host",
    Expect = "expect",
    Server = "server",
    Cookie = "cookie",
    Referer = "referer",
    Trailer = "trailer",
    Upgrade = "upgrade",
    Forwarded = "forwarded",
    XRealIp = "x-real-ip",
    Connection = "connection",
    KeepAlive = "keep-alive",
    SetCookie = "set-cookie",
    UserAgent = "user-agent",
    ContentType = "content-type",
    MaxForwards = "max-forwards",
    XRequestId = "x-request-id",
    Authorization = "authorization",
    CacheControl = "cache-control",
    ContentRange = "content-range",
    ContentLength = "content-length",
    Http2Settings = "http2-settings",
    AcceptEncoding = "accept-encoding",
    XForwardedFor = "x-forwarded-for",
    ContentEncoding = "content-encoding",
    ProxyConnection = "proxy-connection",
    WwwAuthenticate = "www-authenticate",
    XForwardedHost = "x-forwarded-host",
    XForwardedPort = "x-forwarded-port",
    TransferEncoding = "transfer-encoding",
    XForwardedProto = "x-forwarded-proto",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
}

/// Fields for one connection only, which are never passed on as they are: RFC 9110 §7.6.1, with the two that a proxy
/// answers itself.
const HOP_BY_HOP: u64 = set(&[
    Field::Connection,
    Field::KeepAlive,
    Field::ProxyConnection,
    Field::Te,
    Field::TransferEncoding,
    Field::Upgrade,
    Field::Http2Settings,
    Field::ProxyAuthenticate,
    Field::ProxyAuthorization,
]);

/// Fields that a trailer section must not have (RFC 9110 §6.5.1): framing, routing, request control, authentication,
/// response control, content coding, and what tells who the client is.
const NO_TRAILER: u64 = HOP_BY_HOP
    | set(&[
        Field::Host,
        Field::ContentLength,
        Field::Trailer,
        Field::Expect,
        Field::MaxForwards,
        Field::CacheControl,
        Field::Authorization,
        Field::WwwAuthenticate,
        Field::Cookie,
        Field::SetCookie,
        Field::Date,
        Field::ContentType,
        Field::ContentEncoding,
        Field::ContentRange,
        Field::Forwarded,
        Field::XForwardedFor,
        Field::XForwardedProto,
        Field::XForwardedHost,
        Field::XForwardedPort,
        Field::XRealIp,
        Field::XRequestId,
    ]);

const fn set(fields: &[Field]) -> u64 {
    let mut bits = 0;
    let mut at = 0;
    while at < fields.len() {
        bits |= fields[at].bit();
        at += 1;
    }
    bits
}

impl Field {
    /// The field with this name, in any case.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        match Self::classify(name) {
            (field, false) => field,
            (_, true) => Self::Other,
        }
    }

    /// The field with this name and whether the name only resembles it: `_` or another byte where a hyphen belongs, as in
    /// `X_Forwarded_For`. Software that turns names into variables takes one for the other. `name` must be a token.
    #[inline]
    pub(crate) fn classify(name: &[u8]) -> (Self, bool) {
        match slot(name) {
            Some(slot) if SLOTS[slot] != EMPTY => Self::find(name, slot),
            _ => (Self::Other, false),
        }
    }

    /// The field whose name the first `length` bytes of `line` are exactly, in any case, if a colon follows them; then they are a
    /// token, too. Names that do not fit in there, and look-alikes, are left to [`classify`](Self::classify).
    #[inline(always)]
    pub(crate) fn in_front(line: &[u8; 16], length: usize) -> Option<&'static Known> {
        let known = KNOWN.get(usize::from(SLOTS[slot_in_front(line, length)]))?;
        known.is_in_front(line).then_some(known)
    }

    /// Whether the first `length` bytes of `line`, which a colon follows, neither are a known name nor look like one. False does not
    /// mean the contrary.
    #[inline]
    pub(crate) fn is_surely_unknown(line: &[u8; 16], length: usize) -> bool {
        SLOTS[slot_in_front(line, length)] == EMPTY
    }

    /// Searches the slots from `slot` on. A function of its own, so that the loop over a head's lines stays small.
    #[inline(never)]
    fn find(name: &[u8], mut slot: usize) -> (Self, bool) {
        let key = Key::of(name);
        // The table is never full, so this ends.
        while let Some(known) = KNOWN.get(usize::from(SLOTS[slot])) {
            let difference = key.difference(known.name);
            if known.length == name.len() && difference.is_clear_of(&known.letters) {
                return (known.field, !difference.is_zero());
            }
            slot = (slot + 1) % SLOTS.len();
        }
        (Self::Other, false)
    }

    /// Whether the field is for one connection only and never passed on.
    #[inline]
    #[must_use]
    pub fn is_hop_by_hop(self) -> bool {
        HOP_BY_HOP & self.bit() != 0
    }

    /// Whether a field with this name, which must be a token, may stand in a trailer section. As for the trailers of chunked
    /// bodies, names that only resemble those that may not are out too.
    #[must_use]
    pub fn is_trailer(name: &[u8]) -> bool {
        !Self::classify(name).0.is_barred_from_trailers()
    }

    /// Whether the field must not stand in a trailer section (RFC 9110 §6.5.1).
    #[must_use]
    pub fn is_barred_from_trailers(self) -> bool {
        NO_TRAILER & self.bit() != 0
    }

    #[inline]
    pub(crate) const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// How many kinds of names there are, with the others.
pub(crate) const KINDS: usize = Field::Other as usize + 1;

/// A hash table of places in `KNOWN`, with `EMPTY` for none. So large that a name which is not in it mostly meets an empty
/// slot at once.
static SLOTS: [u8; 256] = slots();

const EMPTY: u8 = u8::MAX;

/// Any odd number would do. With this one no two known names of less than 16 bytes begin at the same slot, and `Accept`,
/// `Sec-Fetch-Mode` and the other names that are frequent but unknown begin at empty ones.
const MULTIPLIER: u32 = 0x99c1_a867;

const fn slots() -> [u8; 256] {
    let mut slots = [EMPTY; 256];
    let mut at = 0;
    while at < KNOWN.len() {
        let Some(mut slot) = slot(NAMES[at].as_bytes()) else { panic!("names have 2 to 24 bytes") };
        while slots[slot] != EMPTY {
            slot = (slot + 1) % slots.len();
        }
        slots[slot] = at as u8;
        at += 1;
    }
    slots
}

/// The slot where the search for a name begins.
#[inline(always)]
const fn slot(name: &[u8]) -> Option<usize> {
    match *name {
        [first, _, third, ..] if name.len() <= MAX_LENGTH => {
            Some(slot_of([first, name[name.len() - 1], third], name.len()))
        }
        // Where a line has its colon.
        [first, last] => Some(slot_of([first, last, b':'], name.len())),
        _ => None,
    }
}

/// It depends on the length and on the first, last and third byte, which are no hyphens in any known name, without regard to case.
#[inline(always)]
const fn slot_of([first, last, third]: [u8; 3], length: usize) -> usize {
    let key = u32::from_le_bytes([first | 0x20, last | 0x20, third | 0x20, length as u8]);
    (key.wrapping_mul(MULTIPLIER) >> 24) as usize
}

/// The same for the first `length` bytes of `line`, of which there are less than 16 and which a colon follows.
#[inline(always)]
const fn slot_in_front(line: &[u8; 16], length: usize) -> usize {
    slot_of([line[0], line[length.wrapping_sub(1) % line.len()], line[2]], length)
}

/// A known name.
pub(crate) struct Known {
    pub(crate) field: Field,
    /// Its bit in a set.
    pub(crate) bit: u64,
    pub(crate) is_hop_by_hop: bool,
    length: usize,
    name: Key,
    /// The bytes that must be as in the name; the others are hyphens, or what stands for them.
    letters: Key,
    /// The first 16 bytes of a line with this name and a colon, and which bits of them count: all but bit 5 of letters, and none behind
    /// the colon.
    line: [u64; 2],
    line_bits: [u64; 2],
}

impl Known {
    /// Stands for any other name.
    pub(crate) const OTHER: Self = Self { bit: 0, ..Self::new(Field::Other, "") };

    const fn new(field: Field, name: &str) -> Self {
        let name = name.as_bytes();
        let (line, line_bits) = Self::line(name);
        Self {
            field,
            bit: field.bit(),
            is_hop_by_hop: HOP_BY_HOP & field.bit() != 0,
            length: name.len(),
            name: Key::of(name),
            letters: Key::letters_of(name),
            line,
            line_bits,
        }
    }

    const fn line(name: &[u8]) -> ([u64; 2], [u64; 2]) {
        if name.len() > 15 {
            // What no line equals.
            return ([u64::MAX; 2], [0; 2]);
        }
        let (mut line, mut bits) = ([0; 16], [0; 16]);
        let mut at = 0;
        while at < name.len() {
            bits[at] = if name[at].is_ascii_lowercase() { !0x20 } else { !0 };
            line[at] = name[at] & bits[at];
            at += 1;
        }
        line[at] = b':';
        bits[at] = !0;
        (words(&line), words(&bits))
    }

    #[inline(always)]
    const fn is_in_front(&self, line: &[u8; 16]) -> bool {
        let line = words(line);
        (line[0] & self.line_bits[0]) ^ self.line[0] | (line[1] & self.line_bits[1]) ^ self.line[1] == 0
    }
}

#[inline(always)]
const fn words(bytes: &[u8; 16]) -> [u64; 2] {
    let whole = u128::from_le_bytes(*bytes);
    [whole as u64, (whole >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for known in &KNOWN {
            let name = known.field.name();
            assert_eq!(Field::of(name.as_bytes()), known.field, "{name}");
            assert_eq!(Field::of(name.to_ascii_uppercase().as_bytes()), known.field, "{name}");
        }
    }

    #[test]
    fn one_other_byte_anywhere_is_another_name() {
        for known in &KNOWN {
            for at in 0..known.length {
                for byte in (b'!'..=b'~').filter(|byte| crate::grammar::is_token_byte(*byte)) {
                    let mut name = known.field.name().as_bytes().to_vec();
                    let old = std::mem::replace(&mut name[at], byte);
                    let same = byte.eq_ignore_ascii_case(&old);
                    let found = Field::of(&name);
                    assert_eq!(found == known.field, same, "{}", name.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn look_alikes_differ_in_hyphens_only() {
        for (name, expected) in [
            ("X_Forwarded_For", (Field::XForwardedFor, true)),
            ("x.forwarded-for", (Field::XForwardedFor, true)),
            ("content_length", (Field::ContentLength, true)),
            ("Transfer_Encoding", (Field::TransferEncoding, true)),
            ("transfer-encoding", (Field::TransferEncoding, false)),
            ("transfer-encodinh", (Field::Other, false)),
            ("transfer-3ncoding", (Field::Other, false)),
            ("proxy_authorization", (Field::ProxyAuthorization, true)),
            ("x", (Field::Other, false)),
            ("", (Field::Other, false)),
            ("access-control-request-headers", (Field::Other, false)),
        ] {
            assert_eq!(Field::classify(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn hop_by_hop_fields_are_known_as_such() {
        for (name, expected) in
            [("connection", true), ("te", true), ("host", false), ("content-length", false), ("x", false)]
        {
            assert_eq!(Field::of(name.as_bytes()).is_hop_by_hop(), expected, "{name}");
        }
    }
}
