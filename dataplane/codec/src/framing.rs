//! How long a body is: the one reading of `Content-Length` and `Transfer-Encoding` (RFC 9112 §6).

use crate::{
    caseless, fault::Fault, field::Field, fields::Fields, grammar, limits::MAX_LENGTH, message::Version, method::Method,
};

/// How the body of a request is framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestBody {
    /// There is none.
    #[default]
    None,
    /// So many bytes, maybe 0.
    Length(u64),
    /// Chunked coding.
    Chunked,
}

impl RequestBody {
    /// Whether no byte of a body follows the head.
    #[must_use]
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// How the body of a response is framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseBody {
    /// There is none, whatever the fields say: to HEAD, with 1xx, 204 and 304, with 2xx to CONNECT.
    #[default]
    None,
    /// So many bytes, maybe 0.
    Length(u64),
    /// Chunked coding.
    Chunked,
    /// All bytes until the origin closes.
    UntilClose,
}

impl ResponseBody {
    /// Whether the head says that no byte of a body follows it.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// What the fields declare, whoever sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    Nothing,
    Length(u64),
    Chunked,
}

/// Reads what a message declares about its body.
#[inline]
pub(crate) fn declared(fields: &Fields, buffer: &[u8], version: Version) -> Result<Declared, Fault> {
    match (fields.has(Field::ContentLength), fields.has(Field::TransferEncoding)) {
        (false, false) => Ok(Declared::Nothing),
        (true, false) => content_length(fields, buffer).map(Declared::Length),
        (false, true) if version == Version::Http10 => Err(Fault::TransferEncodingInHttp10),
        (false, true) => transfer_encoding(fields, buffer).map(|()| Declared::Chunked),
        (true, true) => Err(Fault::TwoFramings),
    }
}

/// The body of a request (RFC 9112 §6.3).
pub(crate) fn of_request(declared: Declared) -> RequestBody {
    match declared {
        Declared::Nothing => RequestBody::None,
        Declared::Length(length) => RequestBody::Length(length),
        Declared::Chunked => RequestBody::Chunked,
    }
}

/// The body of a response with `status` to a request with `method` (RFC 9112 §6.3).
pub(crate) fn of_response(declared: Declared, method: Method, status: u16) -> ResponseBody {
    let has_none = method == Method::Head
        || matches!(status, 100..=199 | 204 | 304)
        || (method == Method::Connect && matches!(status, 200..=299));
    match declared {
        _ if has_none => ResponseBody::None,
        Declared::Nothing => ResponseBody::UntilClose,
        Declared::Length(length) => ResponseBody::Length(length),
        Declared::Chunked => ResponseBody::Chunked,
    }
}

fn content_length(fields: &Fields, buffer: &[u8]) -> Result<u64, Fault> {
    if fields.is_repeated(Field::ContentLength) {
        return Err(Fault::RepeatedContentLength);
    }
    let length = fields.value(Field::ContentLength, buffer).and_then(grammar::number);
    length.filter(|length| *length <= MAX_LENGTH).ok_or(Fault::BadContentLength)
}

/// One line with the one member `chunked` passes.
fn transfer_encoding(fields: &Fields, buffer: &[u8]) -> Result<(), Fault> {
    if !fields.is_repeated(Field::TransferEncoding)
        && fields.value(Field::TransferEncoding, buffer).is_some_and(|value| caseless::is(value, b"chunked"))
    {
        return Ok(());
    }
    let mut codings_before = false;
    let mut is_chunked = false;
    // Empty members are malformed here, though a list may have them elsewhere: `chunked,` has readers that see no coding.
    let members =
        fields.all(Field::TransferEncoding).flat_map(|line| line.value.of(buffer).split(|byte| *byte == b','));
    for member in members.map(grammar::trim) {
        if is_chunked || !grammar::is_token(member) {
            return Err(Fault::BadTransferEncoding);
        }
        is_chunked = caseless::is(member, b"chunked");
        codings_before |= !is_chunked;
    }
    match (is_chunked, codings_before) {
        (true, false) => Ok(()),
        (true, true) => Err(Fault::UnknownTransferCoding),
        (false, _) => Err(Fault::BadTransferEncoding),
    }
}
