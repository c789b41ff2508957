//! HTTP/2 (RFC 9113) on both sides, over the `h2` crate.
//!
//! [`connection`] drives one client connection and has one of the [`tasks`] serve each stream; [`stream`] is the life of one request, with the
//! same steps as [`proxy`](mod@crate::proxy). [`transport`] stands between `h2` and the socket: it sends what one turn of the
//! connection has written in one system call, and [`watch`]es frames that cost us more than they cost a hostile peer.
//! All numbers are in [`limits`].
//!
//! [`forward`] sends a request to an HTTP/2 backend, for clients of both versions: on a place of the worker's shared [`links`],
//! by [`relay`].
//!
//! A head that comes becomes the bytes of an HTTP/1.1 head, and stays bytes until it is sent, as trailers do: so one parser, one
//! routing and one rewriting serve both versions. Only [`request_head`] and [`border`] know what `h2` takes for a head, and
//! what it gives. Everything of a connection stays on its worker's thread.

mod arena;
mod border;
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
mod request_head;
mod response_reader;
mod stream;
mod tasks;
mod trailers;
mod transport;
mod upload;
mod watch;

pub(crate) use arena::Arena;
pub(crate) use connection::serve;
pub(crate) use forward::{Finished, from_http1};
pub(crate) use links::Links;
pub(crate) use tasks::Tasks;
pub(crate) use watch::Guard;

/// With what a client begins that speaks HTTP/2 at once (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether `bytes`, the first of a connection, can only be the beginning of the preface: no HTTP/1 request has that version.
pub(crate) fn is_preface(bytes: &[u8]) -> bool {
    let line = "PRI * HTTP/2".len();
    bytes.len() >= line && PREFACE[..bytes.len().min(PREFACE.len())] == bytes[..bytes.len().min(PREFACE.len())]
}
