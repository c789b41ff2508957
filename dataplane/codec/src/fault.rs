//! Why bytes are refused.

/// The first thing that is wrong with a message.
///
/// Each has a stable [`word`](Self::word) for logs, metrics and `Proxy-Status`. For a request it also gives the
/// [`status`](Self::request_status) of the answer, after which the connection is closed; for a response it means that the
/// origin is at fault (502, or an aborted body). After any fault the connection cannot be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// The head does not end within its limit.
    #[error("the head is longer than allowed")]
    HeadTooLarge,
    /// More header lines than allowed.
    #[error("the head has more fields than allowed")]
    TooManyFields,
    /// The request target is longer than allowed.
    #[error("the request target is longer than allowed")]
    TargetTooLong,
    /// More empty lines in front of the request than anyone sends by mistake.
    #[error("too many empty lines stand in front of the request line")]
    LeadingLines,
    /// White space in front of the request line or of the first header line (RFC 9112 §2.2).
    #[error("white space stands in front of the first line or field")]
    LeadingSpace,
    /// The method is no token.
    #[error("the method is not a token")]
    BadMethod,
    /// The request target has a byte that it must not have, or none of the four forms, or not the one for its method.
    #[error("the request target is malformed or does not suit the method")]
    BadTarget,
    /// Something else than method, one space, target, one space, version.
    #[error("the request line is not 'method target version'")]
    BadRequestLine,
    /// Something else than version, one space, status.
    #[error("the status line is not 'version status reason'")]
    BadStatusLine,
    /// Not three digits from 100 to 599.
    #[error("the status is not a number from 100 to 599")]
    BadStatus,
    /// Something that does not read `HTTP/` digit `.` digit.
    #[error("the protocol version is malformed")]
    BadVersion,
    /// A well-formed version other than 1.0 and 1.1.
    #[error("the protocol version is neither HTTP/1.0 nor HTTP/1.1")]
    UnsupportedVersion,
    /// A line that ends with LF alone.
    #[error("a line ends with LF alone instead of CRLF")]
    BareLf,
    /// A CR that LF does not follow.
    #[error("a CR is not followed by LF")]
    BareCr,
    /// A header line that goes on in the next (RFC 9112 §5.2).
    #[error("a field is folded over two lines")]
    ObsFold,
    /// White space between name and colon, or within a name (RFC 9112 §5.1).
    #[error("white space stands within a field name or before its colon")]
    SpaceBeforeColon,
    /// A header line with an empty name, without colon, or with a name that is no token.
    #[error("a field name is empty or not a token, or its colon is missing")]
    BadFieldName,
    /// A NUL or another control byte in a value or reason phrase.
    #[error("a control byte stands in a field value or reason phrase")]
    ControlByte,
    /// HTTP/1.1 without `Host` (RFC 9112 §3.2).
    #[error("the Host field is missing")]
    MissingHost,
    /// More than one `Host`.
    #[error("the Host field is repeated")]
    RepeatedHost,
    /// A `Host` with a byte that no host or port has.
    #[error("the Host field is malformed")]
    BadHost,
    /// `Content-Length` that is not one decimal number below 2^63.
    #[error("Content-Length is not one number")]
    BadContentLength,
    /// More than one `Content-Length`, even if they agree.
    #[error("Content-Length is repeated")]
    RepeatedContentLength,
    /// `Content-Length` beside `Transfer-Encoding` (RFC 9112 §6.3).
    #[error("Content-Length and Transfer-Encoding stand together")]
    TwoFramings,
    /// `Transfer-Encoding` that is malformed or in which `chunked` is not once and last.
    #[error("Transfer-Encoding does not end with one 'chunked'")]
    BadTransferEncoding,
    /// A well-formed `Transfer-Encoding` with a coding before `chunked`.
    #[error("Transfer-Encoding has another coding than 'chunked'")]
    UnknownTransferCoding,
    /// `Transfer-Encoding` in HTTP/1.0, which knows none (RFC 9112 §6.1).
    #[error("Transfer-Encoding stands in an HTTP/1.0 message")]
    TransferEncodingInHttp10,
    /// `Connection` with a member that is no token, or with too many.
    #[error("Connection is malformed or has too many members")]
    BadConnection,
    /// `Upgrade` that is repeated or malformed.
    #[error("Upgrade is malformed or repeated")]
    BadUpgrade,
    /// An upgrade asked for together with a body: two readings of what comes next.
    #[error("an upgrade is asked for in a request with a body")]
    UpgradeWithBody,
    /// `Expect` with something else than `100-continue`.
    #[error("Expect has another member than '100-continue'")]
    UnknownExpectation,
    /// `Max-Forwards` of TRACE or OPTIONS that is not one number.
    #[error("Max-Forwards is not one number")]
    BadMaxForwards,
    /// 101 to a request that asked for no upgrade.
    #[error("status 101 came without a request for an upgrade")]
    UnaskedUpgrade,
    /// A chunk size that is empty, longer than 16 digits or followed by something else than its line end.
    #[error("a chunk size is malformed")]
    BadChunkSize,
    /// Chunk data that CRLF does not follow.
    #[error("chunk data is not followed by CRLF")]
    BadChunkEnd,
    /// A malformed chunk extension.
    #[error("a chunk extension is malformed")]
    BadChunkExtension,
    /// All chunk extensions together are longer than allowed.
    #[error("the chunk extensions are longer than allowed")]
    ChunkExtensionsTooLong,
    /// The body is longer than allowed.
    #[error("the body is longer than allowed")]
    BodyTooLarge,
    /// The trailer section is longer, or has more lines, than allowed.
    #[error("the trailer section is larger than allowed")]
    TrailersTooLarge,
    /// A trailer that frames or routes the message: `Content-Length`, `Transfer-Encoding` or `Host`.
    #[error("a field that frames or routes the message stands in the trailer section")]
    ForbiddenTrailer,
}

impl Fault {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::HeadTooLarge => "head_too_large",
            Self::TooManyFields => "too_many_fields",
            Self::TargetTooLong => "target_too_long",
            Self::LeadingLines => "leading_lines",
            Self::LeadingSpace => "leading_space",
            Self::BadMethod => "bad_method",
            Self::BadTarget => "bad_target",
            Self::BadRequestLine => "bad_request_line",
            Self::BadStatusLine => "bad_status_line",
            Self::BadStatus => "bad_status",
            Self::BadVersion => "bad_version",
            Self::UnsupportedVersion => "unsupported_version",
            Self::BareLf => "bare_lf",
            Self::BareCr => "bare_cr",
            Self::ObsFold => "obs_fold",
            Self::SpaceBeforeColon => "space_before_colon",
            Self::BadFieldName => "bad_field_name",
            Self::ControlByte => "control_byte",
            Self::MissingHost => "missing_host",
            Self::RepeatedHost => "repeated_host",
            Self::BadHost => "bad_host",
            Self::BadContentLength => "bad_content_length",
            Self::RepeatedContentLength => "repeated_content_length",
            Self::TwoFramings => "two_framings",
            Self::BadTransferEncoding => "bad_transfer_encoding",
            Self::UnknownTransferCoding => "unknown_transfer_coding",
            Self::TransferEncodingInHttp10 => "transfer_encoding_in_http10",
            Self::BadConnection => "bad_connection",
            Self::BadUpgrade => "bad_upgrade",
            Self::UpgradeWithBody => "upgrade_with_body",
            Self::UnknownExpectation => "unknown_expectation",
            Self::BadMaxForwards => "bad_max_forwards",
            Self::UnaskedUpgrade => "unasked_upgrade",
            Self::BadChunkSize => "bad_chunk_size",
            Self::BadChunkEnd => "bad_chunk_end",
            Self::BadChunkExtension => "bad_chunk_extension",
            Self::ChunkExtensionsTooLong => "chunk_extensions_too_long",
            Self::BodyTooLarge => "body_too_large",
            Self::TrailersTooLarge => "trailers_too_large",
            Self::ForbiddenTrailer => "forbidden_trailer",
        }
    }

    /// The status with which a request that has this fault is answered.
    #[must_use]
    pub fn request_status(self) -> u16 {
        match self {
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::UnknownExpectation => 417,
            Self::HeadTooLarge | Self::TooManyFields | Self::TrailersTooLarge => 431,
            Self::UnknownTransferCoding => 501,
            Self::UnsupportedVersion => 505,
            _ => 400,
        }
    }
}
