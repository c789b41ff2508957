//! HTTP/2 (RFC 9113) without I/O: bytes from the peer go in, bytes for the peer come out, and streams are in the hands of the tasks that
//! drive them.
//!
//! Heads are the bytes of HTTP/1.1 heads, trailers are lines as of HTTP/1.1: a proxy passes both on without a map of fields, and one
//! parser judges them for both versions. What only HTTP/2 can have wrong is judged here.
//!
//! A connection and its streams belong to one thread. Whoever drives a [`Connection`] reads from the socket while it
//! [`wants_bytes`](Connection::wants_bytes), hands out what [`came`](Connection::next), and writes what is
//! [`unwritten`](Connection::with_unwritten) after each turn.

#![forbid(unsafe_code)]

mod code;
mod connection;
mod core;
mod frame;
mod grammar;
mod guard;
mod handle;
mod head;
pub mod hpack;
mod memory;
mod receive;
mod section;
mod send;
mod settings;
mod stream;
mod window;

pub use self::{
    code::Code,
    connection::{Arrival, Config, Connection, Counts, Failure},
    core::PREFACE,
    frame::{FRAME_HEAD, FRAME_SIZE},
    guard::{Allowance, Allowances, Guard},
    handle::Stream,
    head::{Asked, Refusal},
    hpack::Indexing,
    memory::Memory,
    send::Fields,
    stream::StreamError,
};

/// Names and values of the lines in `block`, `name: value` and a line break each, up to its end or an empty line. They were judged before.
pub fn lines(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    block.split_inclusive(|byte| *byte == b'\n').map_while(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}
