//! What requests and responses have in common.

use crate::span::Span;

/// How far a head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is whole; so many bytes of the buffer belong to it.
    Complete(usize),
    /// More bytes are needed.
    Partial,
}

/// The protocol version of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

/// Whether a message asks for, or switches to, another protocol (RFC 9110 §7.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// It does not.
    #[default]
    None,
    /// It asks in a way that is not passed on: in HTTP/1.0, without `upgrade` in `Connection`, or for `h2c`.
    Ignored,
    /// To the protocols in this value.
    To(Span),
}
