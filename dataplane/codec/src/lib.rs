//! Tidegate's HTTP/1.1 codec: bytes in, facts and bytes out, no I/O.
//!
//! - [`RequestHead`] and [`ResponseHead`] parse a head where it lies in the caller's buffer and keep offsets into it: the
//!   [`Fields`] in order and spelling, and what must be known to go on (framing, keep-alive, upgrade, …).
//! - [`ChunkedDecoder`] and [`LengthDecoder`] find the body in what follows; [`ChunkHead`] and [`mod@write`] make one.
//! - [`mod@write`] puts together the head that is sent on, from the old one's kept lines and the proxy's own.
//! - Every refusal is a [`Fault`].
//!
//! The rule behind all of it: a message has one reading or it is refused. Where RFC 9110 and 9112 let a recipient choose
//! between repair and refusal, this codec refuses, since whoever reads the message next may repair it in another way.
//! What was decided where the RFCs leave it open:
//!
//! - A version other than HTTP/1.0 and HTTP/1.1 is [`Fault::UnsupportedVersion`], HTTP/1.2 too: nothing speaks it.
//! - `Content-Length` is refused when repeated, even if equal, in requests and responses.
//! - Lengths of bodies and chunks are at most 2^63 - 1: where numbers are signed, longer ones are below zero or cut short.
//! - `Transfer-Encoding` is one `chunked`, with nothing before and behind it; `gzip, chunked` is 501, `gzip` alone 400.
//! - A request may have up to four empty lines in front, a response none.
//! - Trailers `Content-Length`, `Transfer-Encoding` and `Host` are refused; others that RFC 9110 §6.5.1 rules out are
//!   dropped ([`Trailers`]).
//! - `Upgrade: h2c` is never an upgrade ([`Upgrade::Ignored`]), so it may have a body; other upgrades may not.
//! - Bytes above 127 are taken in values and reason phrases and nowhere else.
//!
//! Nothing is allocated per message once the heads' vectors have grown: heads are reused. A head is looked at once by
//! a fast parser, line by line, and once per known field. When that one does not take it, a slower second parser says what is wrong,
//! so that the fault does not depend on how the bytes arrived.
#![forbid(unsafe_code)]

mod caseless;
mod chunked;
mod connection;
mod fault;
mod field;
mod fields;
mod framing;
#[cfg(test)]
#[expect(dead_code, reason = "shared with the tests of the public interface, which use all of it")]
#[path = "../tests/codec/generate.rs"]
mod generate;
mod grammar;
mod length;
mod limits;
mod message;
mod method;
mod quick;
mod request;
mod response;
mod scan;
mod span;
mod target;
mod walk;
pub mod write;

pub use chunked::{ChunkHead, ChunkedDecoder, LAST_CHUNK, Part, Trailers};
pub use fault::Fault;
pub use field::Field;
pub use fields::{Fields, Line};
pub use framing::{RequestBody, ResponseBody};
pub use length::LengthDecoder;
pub use limits::{ChunkLimits, HeadLimits, MAX_FIELDS};
pub use message::{Progress, Upgrade, Version};
pub use method::Method;
pub use request::RequestHead;
pub use response::{Asked, ResponseHead};
pub use span::Span;
pub use target::{Form, Scheme, Target};
