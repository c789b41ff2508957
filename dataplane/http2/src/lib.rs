//! Tidegate's HTTP/2 codec: bytes in, facts and bytes out, no I/O.
//!
//! - [`hpack`] compresses and decompresses field sections (RFC 7541).
#![forbid(unsafe_code)]

pub mod hpack;
