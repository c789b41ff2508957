//! Chunk extensions, which are checked and then dropped (RFC 9112 §7.1.1).

use crate::{fault::Fault, grammar};

/// Where in `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )` the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// Behind white space: a semicolon must come.
    BeforeSemicolon,
    /// Behind a semicolon.
    BeforeName,
    Name,
    /// Behind white space that follows a name.
    AfterName,
    BeforeValue,
    Value,
    Quoted,
    /// Behind a backslash in a quoted string.
    Escaped,
    /// Behind the closing quote.
    Closed,
}

impl Extension {
    /// Takes a byte other than the CR that ends the line; for that see [`may_end`](Self::may_end).
    pub(super) fn next(self, byte: u8) -> Result<Self, Fault> {
        let is_space = matches!(byte, b' ' | b'\t');
        let is_token = grammar::is_token_byte(byte);
        let next = match self {
            Self::Quoted if byte == b'"' => Self::Closed,
            Self::Quoted if byte == b'\\' => Self::Escaped,
            Self::Quoted | Self::Escaped if grammar::is_value_byte(byte) => Self::Quoted,
            Self::BeforeSemicolon | Self::BeforeName | Self::AfterName | Self::BeforeValue if is_space => self,
            Self::Name if is_space => Self::AfterName,
            Self::Value | Self::Closed if is_space => Self::BeforeSemicolon,
            Self::BeforeName | Self::Name if is_token => Self::Name,
            Self::BeforeValue | Self::Value if is_token => Self::Value,
            Self::BeforeValue if byte == b'"' => Self::Quoted,
            Self::Name | Self::AfterName if byte == b'=' => Self::BeforeValue,
            Self::BeforeSemicolon | Self::Name | Self::AfterName | Self::Value | Self::Closed if byte == b';' => {
                Self::BeforeName
            }
            _ => return Err(Fault::BadChunkExtension),
        };
        Ok(next)
    }

    /// Whether the line may end here.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Value | Self::Closed)
    }
}
