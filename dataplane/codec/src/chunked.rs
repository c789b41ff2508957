//! The chunked transfer coding (RFC 9112 §7.1), both ways.

mod decode;
mod encode;
mod extension;
mod trailers;

pub use decode::{ChunkedDecoder, Part};
pub use encode::{ChunkHead, LAST_CHUNK};
pub use trailers::Trailers;
