//! HPACK, the compression of field sections in HTTP/2 (RFC 7541).
//!
//! - [`Decoder`] reads the header blocks of a peer, [`Encoder`] writes ours; a connection has one of each.
//! - `table` is the dynamic table of both, `static_table` the other one.
//! - `slots` and `key` find a field in them by its bytes.
//! - `integer` and `huffman` are the primitive representations.
//!
//! Nothing is validated but the compression itself: whether a name or a value may be in a field, and how large all of them may
//! be, is for the caller to say. Of a field that is in a table no byte is copied. Neither direction allocates before a field goes
//! into its table, except for the scratch space of Huffman coded strings.

mod decoder;
mod encoder;
mod huffman;
mod integer;
mod key;
mod slots;
mod static_table;
mod table;

pub use decoder::Decoder;
pub use encoder::{Encoder, Indexing};

/// Why a header block cannot be decoded: a connection error `COMPRESSION_ERROR` (RFC 9113 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;
