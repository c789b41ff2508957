//! How much a peer may send where only its good will would bound it.

/// The most fields that [`HeadLimits::fields`] can allow; more is taken as this.
pub const MAX_FIELDS: u16 = 512;

/// Empty lines that may stand in front of a request line. RFC 9112 §2.2 asks for at least one, since old clients send a
/// line break behind a body.
pub(crate) const MAX_LEADING_LINES: usize = 4;

/// The longest body that a message may tell of, in bytes: longer lengths are negative, or something else, to who reads them into a signed
/// number of 64 bits.
pub(crate) const MAX_LENGTH: u64 = i64::MAX as u64;

/// Members that all `Connection` lines may have together: each is compared with the name of each line.
pub(crate) const MAX_CONNECTION_OPTIONS: usize = 32;

/// Limits of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The whole head with the line breaks in front of it and the empty line that ends it.
    pub bytes: u32,
    /// Header lines, at most [`MAX_FIELDS`].
    pub fields: u16,
    /// The request target. Without meaning for responses.
    pub target_bytes: u32,
}

impl Default for HeadLimits {
    /// 32 KiB, 100 fields, a target of 8 KiB.
    fn default() -> Self {
        Self { bytes: 32 << 10, fields: 100, target_bytes: 8 << 10 }
    }
}

/// Limits of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// All data together.
    pub body_bytes: u64,
    /// All chunk extensions of the message together.
    pub extension_bytes: u32,
    /// The trailer section with the empty line that ends it.
    pub trailer_bytes: u32,
    /// Lines in the trailer section.
    pub trailer_fields: u16,
}

impl Default for ChunkLimits {
    /// Any size of body, 4 KiB of extensions, 8 KiB and 32 lines of trailers.
    fn default() -> Self {
        Self { body_bytes: u64::MAX, extension_bytes: 4 << 10, trailer_bytes: 8 << 10, trailer_fields: 32 }
    }
}
