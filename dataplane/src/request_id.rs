//! Ids of requests: made here or given by a trusted peer; sent to the backend, returned to the client, logged.

use std::{fmt, sync::Arc};

use http1::{Field, Fields, ResponseHead, Trailers, write};
use shared::config::{self, ForwardingMode};
use uuid::{Uuid, fmt::Hyphenated};

use crate::{forwarding, protocol::Protocol, template::train_case};

/// Bytes of an id that a peer gives.
const MAX: usize = 128;

/// Where the digits of each byte of a UUID stand in its text.
const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// Both hexadecimal digits of each byte.
static DIGITS: [[u8; 2]; 256] = digits();

const fn digits() -> [[u8; 2]; 256] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        digits[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    digits
}

/// The id of a request.
#[derive(Clone, Debug)]
pub(crate) enum RequestId {
    /// As it was made here.
    Made([u8; Hyphenated::LENGTH]),
    /// As a trusted peer gave it.
    Given(Box<[u8]>),
}

impl From<Uuid> for RequestId {
    fn from(id: Uuid) -> Self {
        let mut text = [b'-'; Hyphenated::LENGTH];
        for (byte, at) in id.as_bytes().iter().zip(PLACES) {
            text[at..at + 2].copy_from_slice(&DIGITS[usize::from(*byte)]);
        }
        Self::Made(text)
    }
}

impl RequestId {
    /// The id that a peer gave: letters, digits and `-._~:+/=@`, so that it can stand in every header, log and URL.
    fn given(text: &[u8]) -> Option<Self> {
        let is_sound = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:+/=@".contains(byte);
        let fits = (1..=MAX).contains(&text.len()) && text.iter().all(is_sound);
        fits.then(|| Self::Given(text.into()))
    }

    /// Its text, which nothing needs to escape.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Made(text) => text,
            Self::Given(text) => text,
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// What the settings say of ids.
#[derive(Clone, Debug)]
pub(crate) struct RequestIds {
    renamed: Renamed,
    accepts: bool,
    responds: bool,
}

/// The name of the field if it is not the usual one, as it is written to HTTP/1.1. The lines of the usual one are known by their
/// [`Field`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Renamed(Option<Arc<str>>);

impl Renamed {
    /// Whether a field is named so, or nearly so.
    pub(crate) fn is(&self, name: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|own| resembles(name, own.as_bytes()))
    }

    /// Writes the trailers that may be passed on: no id is among them.
    pub(crate) fn kept_trailers(&self, out: &mut Vec<u8>, trailers: &Trailers) {
        let (fields, bytes) = (trailers.fields(), trailers.bytes());
        if self.0.is_none() {
            return write::kept_lines(out, fields, bytes);
        }
        for line in fields.lines().iter().filter(|line| !line.removed && !self.is(line.name.of(bytes))) {
            write::line(out, line.name.of(bytes), line.value.of(bytes));
        }
    }

    /// Writes the line with `id`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, id: &RequestId) {
        match &self.0 {
            None => write::line_from(out, b"X-Request-Id: ", id.as_bytes()),
            Some(name) => write::line(out, name.as_bytes(), id.as_bytes()),
        }
    }
}

impl RequestIds {
    pub(crate) fn compile(settings: &config::RequestId) -> Self {
        let config::RequestId { header, accept, respond } = settings;
        let name = (header.as_str() != config::RequestId::HEADER).then(|| train_case(header.as_str()));
        Self { renamed: Renamed(name.map(Arc::from)), accepts: *accept, responds: *respond }
    }

    /// Whether the field has its usual name.
    pub(crate) fn is_usual(&self) -> bool {
        self.renamed.0.is_none()
    }

    /// The name if it is not the usual one.
    pub(crate) fn renamed(&self) -> &Renamed {
        &self.renamed
    }

    /// The id that a trusted peer gives, if it is one and the only one.
    pub(crate) fn accept(&self, fields: &Fields, bytes: &[u8]) -> Option<RequestId> {
        if !self.accepts {
            return None;
        }
        let Some(name) = &self.renamed.0 else {
            return forwarding::only(fields, Field::XRequestId, bytes).and_then(RequestId::given);
        };
        let mut lines = fields.lines().iter().filter(|line| line.name.of(bytes).eq_ignore_ascii_case(name.as_bytes()));
        let line = lines.next()?;
        lines.next().is_none().then(|| RequestId::given(line.value.of(bytes))).flatten()
    }
}

/// Whether `name` is `known`, in any case, or has another byte than a letter or a digit where that has a hyphen.
fn resembles(name: &[u8], known: &[u8]) -> bool {
    let is_same = |(byte, known): (&u8, &u8)| {
        byte.eq_ignore_ascii_case(known) || (*known == b'-' && !byte.is_ascii_alphanumeric())
    };
    name.len() == known.len() && name.iter().zip(known).all(is_same)
}

/// What a response gets of ours: the request's id, and `Via`.
pub(crate) struct Returned {
    renamed: Renamed,
    id: Option<RequestId>,
    via: ForwardingMode,
}

impl Returned {
    /// To the request `id`.
    pub(crate) fn new(ids: &RequestIds, id: &RequestId, via: ForwardingMode) -> Self {
        Self { renamed: ids.renamed.clone(), id: ids.responds.then(|| id.clone()), via }
    }

    /// The name of the field if it is not the usual one.
    pub(crate) fn renamed(&self) -> &Renamed {
        &self.renamed
    }

    /// Leaves out lines of `head`, which came by `protocol` and was parsed from `bytes`, and writes the new ones into `out`.
    pub(crate) fn act(&self, protocol: Protocol, head: &mut ResponseHead, bytes: &[u8], out: &mut Vec<u8>) {
        if !self.via.keeps() && head.fields.has(Field::Via) {
            head.fields.remove_where(|line| line.field == Field::Via);
        }
        if self.via.writes() {
            out.extend_from_slice(forwarding::via(protocol));
        }
        let Some(id) = &self.id else { return };
        match &self.renamed.0 {
            None if head.fields.has(Field::XRequestId) => {
                head.fields.remove_where(|line| line.field == Field::XRequestId);
            }
            None => {}
            Some(name) => {
                head.fields.remove_where(|line| line.name.of(bytes).eq_ignore_ascii_case(name.as_bytes()));
            }
        }
        self.renamed.write(out, id);
    }

    /// Writes the id's line for an answer of our own.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if let Some(id) = &self.id {
            self.renamed.write(out, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(header: &str, accept: bool) -> RequestIds {
        RequestIds::compile(&config::RequestId { header: header.parse().unwrap(), accept, respond: true })
    }

    #[test]
    fn an_id_is_accepted_if_it_is_sound_and_the_only_one() {
        let long = "x".repeat(MAX);
        let parsed = |lines: &str| {
            let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").into_bytes();
            let mut head = http1::RequestHead::default();
            head.parse(&bytes, &http1::HeadLimits::default()).unwrap();
            (head, bytes)
        };
        for name in ["X-Request-Id", "X-Trace"] {
            for (value, is_accepted) in [
                ("a", true),
                ("01890a5d-ac96-774b-bcce-b302099a8057", true),
                ("Root=1:2_3.4~5+6/7@8", true),
                (&*long, true),
                (&*format!("{long}x"), false),
                ("", false),
                ("a b", false),
                ("a\"b", false),
                ("a\\b", false),
                ("a;b", false),
                ("ä", false),
            ] {
                let (head, bytes) = parsed(&format!("{name}: {value}\r\n"));
                let id = ids(name, true).accept(&head.fields, &bytes);
                assert_eq!(id.map(|id| id.to_string()), is_accepted.then(|| value.to_owned()), "{name} {value:?}");
                assert!(ids(name, false).accept(&head.fields, &bytes).is_none());
                let (head, bytes) = parsed(&format!("{name}: {value}\r\n{name}: {value}\r\n"));
                assert!(ids(name, true).accept(&head.fields, &bytes).is_none(), "{name} twice");
            }
        }
    }

    #[test]
    fn the_text_of_an_id_is_that_of_the_uuid() {
        for id in [Uuid::nil(), Uuid::max(), Uuid::from_u128(0x0123_4567_89ab_cdef_1032_5476_98ba_dcfe)] {
            assert_eq!(RequestId::from(id).to_string(), id.to_string());
        }
    }

    #[test]
    fn look_alikes_are_known_for_a_name_that_is_not_the_usual_one() {
        let ids = ids("x-trace-id", true);
        let mut line = Vec::new();
        ids.renamed().write(&mut line, &RequestId::Given(b"7".as_slice().into()));
        assert_eq!(line, b"X-Trace-Id: 7\r\n");
        for (name, expected) in [
            ("X-Trace-Id", true),
            ("x_trace_id", true),
            ("X.TRACE-ID", true),
            ("x-trace-ix", false),
            ("xatrace-id", false),
        ] {
            assert_eq!(ids.renamed().is(name.as_bytes()), expected, "{name}");
        }
    }
}
