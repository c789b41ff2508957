//! HTTP/2 (RFC 9113) frame by frame, for peers under a test's control: they send what a test says, right or wrong.

mod client;
mod frame;
mod hpack;
mod link;
mod origin;

pub use client::{H2Client, H2Response};
pub use frame::{Frame, code, flag, kind};
pub use hpack::{Field, encode as encode_fields, integer as encode_integer};
pub use link::{H2Link, PREFACE};
pub use origin::{H2Origin, H2Request, H2Stream};
