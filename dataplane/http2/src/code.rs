//! Error codes (RFC 9113 §7).

use std::fmt;

/// Why a stream was reset or a connection was ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Its name in the registry, if it has one.
            const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// Nothing is wrong.
    NO_ERROR = 0x0;
    /// The protocol was broken, in a way that has no code of its own.
    PROTOCOL_ERROR = 0x1;
    /// Something went wrong on the side that says so.
    INTERNAL_ERROR = 0x2;
    /// More was sent than the window allowed.
    FLOW_CONTROL_ERROR = 0x3;
    /// SETTINGS were not acknowledged in time.
    SETTINGS_TIMEOUT = 0x4;
    /// A frame came for a stream that has ended.
    STREAM_CLOSED = 0x5;
    /// A frame has a size that its type cannot have.
    FRAME_SIZE_ERROR = 0x6;
    /// The request was not looked at.
    REFUSED_STREAM = 0x7;
    /// The stream is not wanted any more.
    CANCEL = 0x8;
    /// A header block cannot be decoded.
    COMPRESSION_ERROR = 0x9;
    /// The connection that CONNECT made was reset.
    CONNECT_ERROR = 0xa;
    /// The peer causes too much work.
    ENHANCE_YOUR_CALM = 0xb;
    /// The properties of the connection are too weak.
    INADEQUATE_SECURITY = 0xc;
    /// HTTP/1.1 is to be used.
    HTTP_1_1_REQUIRED = 0xd;
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "{:#x}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_by_name() {
        assert_eq!(format!("{} {:?}", Code::REFUSED_STREAM, Code(0xbbbb)), "REFUSED_STREAM 0xbbbb");
    }
}
