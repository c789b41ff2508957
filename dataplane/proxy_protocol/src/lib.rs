//! The PROXY protocol, versions 1 and 2, without I/O: what a balancer in front says of a connection before its first byte.
//!
//! [`read`] takes the first bytes of a connection as often as more of them have come, and [`write()`] makes a header for the next
//! hop. Nothing is copied, no input panics, and a header has one reading or a [`Fault`]. Source: HAProxy's
//! `doc/proxy-protocol.txt`, 2020/03/05, whose sections the items name.

mod crc32c;
mod fault;
mod tlv;
mod v1;
mod v2;
mod write;

use std::net::SocketAddr;

pub use fault::Fault;
pub use tlv::{Ssl, Tlv, Tlvs, kind};
pub use write::{Version, write, write_local};

/// Bytes of a header of version 1, with its line break (§2.1).
pub const MAX_V1: usize = 107;

/// Bytes of a header of version 2 that are read. The protocol allows 64 KiB; this is what nginx takes.
pub const MAX_V2: usize = 4096;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// A header, and how many bytes it has.
    Header(Header<'a>, usize),
    /// The beginning of a header, or nothing yet.
    Partial,
    /// Something else.
    Other,
}

/// A whole header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// Whose connection it is. None: the sender speaks for itself (`LOCAL`), or says nothing that could be used (`UNKNOWN`,
    /// `UNSPEC`, Unix sockets); then the addresses of the connection itself count.
    pub endpoints: Option<Endpoints>,
    /// What else it says; empty in version 1 and for `LOCAL`.
    pub tlvs: Tlvs<'a>,
}

/// The two ends of the connection that is proxied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The client.
    pub source: SocketAddr,
    /// What it connected to.
    pub destination: SocketAddr,
}

/// What `bytes`, the first of a connection, are.
///
/// Of a header that has not come whole every beginning is [`Start::Partial`] or already a fault, so it makes no difference how the
/// bytes are cut.
///
/// # Errors
/// They begin as a header does, and none can come of them.
pub fn read(bytes: &[u8]) -> Result<Start<'_>, Fault> {
    if begins(bytes, &v2::SIGNATURE) {
        v2::read(bytes)
    } else if begins(bytes, v1::WORD) {
        v1::read(bytes)
    } else {
        Ok(Start::Other)
    }
}

/// Whether `bytes` are the beginning of `whole`, or `whole` is theirs.
fn begins(bytes: &[u8], whole: &[u8]) -> bool {
    let common = bytes.len().min(whole.len());
    bytes[..common] == whole[..common]
}
