//! Names of fields that mean something to a proxy.

/// Defines [`Field`] and the table behind it. The names must stand in order of length.
macro_rules! fields {
    ($($variant:ident = $name:literal,)*) => {
        /// A field that this codec or the engine above it acts on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Field {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// Any other name.
            Other,
        }

        static KNOWN: [Known; Field::Other as usize] = [$(Known::new(Field::$variant, $name)),*];

        impl Field {
            /// The name in lower case; empty for [`Field::Other`].
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other => "",
                }
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
        let Some(&(from, to)) = BY_LENGTH.get(name.len()) else { return (Self::Other, false) };
        if from == to {
            return (Self::Other, false);
        }
        let key = Key::of(name);
        for known in &KNOWN[usize::from(from)..usize::from(to)] {
            if key.and(known.letters) == known.name.and(known.letters) {
                return (known.field, key != known.name);
            }
        }
        (Self::Other, false)
    }

    /// Whether the field is for one connection only and never passed on.
    #[inline]
    #[must_use]
    pub fn is_hop_by_hop(self) -> bool {
        HOP_BY_HOP & self.bit() != 0
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

/// Where in `KNOWN` the names of a length stand: from, to.
static BY_LENGTH: [(u8, u8); MAX_LENGTH + 1] = by_length();

/// The longest name that a [`Key`] holds.
const MAX_LENGTH: usize = 24;

const fn by_length() -> [(u8, u8); MAX_LENGTH + 1] {
    let mut ranges = [(0, 0); MAX_LENGTH + 1];
    let mut at = 0;
    while at < KNOWN.len() {
        let length = KNOWN[at].length;
        assert!(at == 0 || KNOWN[at - 1].length <= length, "the names stand in order of length");
        if ranges[length].1 == 0 {
            ranges[length].0 = at as u8;
        }
        at += 1;
        ranges[length].1 = at as u8;
    }
    ranges
}

struct Known {
    field: Field,
    length: usize,
    name: Key,
    /// All bits of the bytes that are no hyphens.
    letters: Key,
}

impl Known {
    const fn new(field: Field, name: &str) -> Self {
        let name = name.as_bytes();
        assert!(name.len() >= 2 && name.len() <= MAX_LENGTH, "a key has room for 2 to 24 bytes");
        let mut letters = [0xff; MAX_LENGTH];
        let mut at = 0;
        while at < name.len() {
            if name[at] == b'-' {
                letters[at] = 0;
            }
            at += 1;
        }
        Self { field, length: name.len(), name: Key::of(name), letters: Key::raw(letters.split_at(name.len()).0) }
    }
}

/// A name of up to 24 bytes in three words, which overlap in the names between: cheaper to compare than a slice.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    first: u64,
    middle: u64,
    last: u64,
}

impl Key {
    /// The key of a token or a lower-case name, without regard to case: bit 5 is set in every byte, which of a token's
    /// bytes maps only a letter to a letter, a digit to a digit and a hyphen to a hyphen.
    #[inline]
    const fn of(name: &[u8]) -> Self {
        const LOWER: u64 = 0x2020_2020_2020_2020;
        let key = Self::raw(name);
        Self { first: key.first | LOWER, middle: key.middle | LOWER, last: key.last | LOWER }
    }

    #[inline]
    const fn raw(name: &[u8]) -> Self {
        if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            let middle = if name.len() > 16 { word(name.split_at(8).1) } else { 0 };
            Self { first: u64::from_le_bytes(*first), middle, last: u64::from_le_bytes(*last) }
        } else if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            Self { first: u32::from_le_bytes(*first) as u64, middle: 0, last: u32::from_le_bytes(*last) as u64 }
        } else if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            Self { first: u16::from_le_bytes(*first) as u64, middle: 0, last: u16::from_le_bytes(*last) as u64 }
        } else {
            Self { first: 0, middle: 0, last: 0 }
        }
    }

    #[inline]
    const fn and(self, other: Self) -> Self {
        Self { first: self.first & other.first, middle: self.middle & other.middle, last: self.last & other.last }
    }
}

const fn word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => 0,
    }
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
