//! HTTP/2 (RFC 9113) on both sides, over our own engine, the crate `http2`.
//!
//! [`connection`] drives one client connection and has one of the [`tasks`] serve each stream; [`stream`] is the life of one request, with the
//! same steps as [`proxy`](mod@crate::proxy). [`transport`] stands between the engine and the socket: it sends what one turn of the
//! connection has written in one system call. All numbers are in [`limits`].
//!
//! [`forward`] sends a request to an HTTP/2 backend, for clients of both versions: on a place of the worker's shared [`links`],
//! by [`relay`].
//!
//! Heads are the bytes of HTTP/1.1 heads and trailers are lines ([`outgoing`], [`trailers`]), so that one parser, one routing and one rewriting serve both versions. Everything of a
//! connection stays on its worker's thread.

mod arena;
mod backend_head;
mod chunk;
mod connection;
mod downstream;
mod exchange;
mod forward;
mod grpc_web;
mod heartbeat;
mod http1_peer;
mod limits;
mod lines;
mod link;
mod links;
mod outgoing;
mod pacer;
mod peer;
mod relay;
mod response_reader;
mod stream;
mod tasks;
mod trailers;
mod transport;
mod upload;

pub(crate) use arena::Arena;
pub(crate) use connection::serve;
pub(crate) use forward::{Finished, from_http1};
pub(crate) use links::Links;
pub(crate) use tasks::Tasks;

use http2::PREFACE;

/// Whether `bytes`, the first of a connection, can only be the beginning of the preface: no HTTP/1 request has that version.
pub(crate) fn is_preface(bytes: &[u8]) -> bool {
    let line = "PRI * HTTP/2".len();
    bytes.len() >= line && PREFACE[..bytes.len().min(PREFACE.len())] == bytes[..bytes.len().min(PREFACE.len())]
}
