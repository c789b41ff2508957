/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fault {
    /// The line of version 1 is not as the grammar has it: other words, blanks, or line break (§2.1).
    BadLine,
    /// An address is none of the family that is named.
    BadAddress,
    /// A port is no number from 0 to 65535 without leading zeros.
    BadPort,
    /// The line is longer than [`MAX_V1`](crate::MAX_V1), or version 2 announces more than [`MAX_V2`](crate::MAX_V2).
    TooLong,
    /// A version other than 2 behind the signature of version 2 (§2.2).
    BadVersion,
    /// Neither `LOCAL` nor `PROXY`.
    BadCommand,
    /// A family or protocol that is not defined.
    BadFamily,
    /// The length leaves no room for the addresses.
    BadLength,
    /// An additional field ends behind the header, or has another size than its kind (§2.2).
    BadTlv,
    /// The checksum is wrong (§2.2.3).
    BadChecksum,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::BadLine,
        Self::BadAddress,
        Self::BadPort,
        Self::TooLong,
        Self::BadVersion,
        Self::BadCommand,
        Self::BadFamily,
        Self::BadLength,
        Self::BadTlv,
        Self::BadChecksum,
    ];

    /// One word, for log and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadLine => "bad_line",
            Self::BadAddress => "bad_address",
            Self::BadPort => "bad_port",
            Self::TooLong => "too_long",
            Self::BadVersion => "bad_version",
            Self::BadCommand => "bad_command",
            Self::BadFamily => "bad_family",
            Self::BadLength => "bad_length",
            Self::BadTlv => "bad_tlv",
            Self::BadChecksum => "bad_checksum",
        }
    }
}
