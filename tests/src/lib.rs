//! What the end-to-end tests are made of: real processes, real sockets, and peers that do exactly what a test says.
//!
//! Everything here is synchronous and on threads, so a test reads from top to bottom. Start with [`Up`], which runs
//! `tidegate up` in a directory of its own, [`Api`] for the REST API and [`RawClient`] for bytes on the wire. [`Origin`] is a
//! scripted backend, [`FastOrigin`] one for very many requests, [`h2`] has both sides for HTTP/2, [`DnsServer`] answers for names, [`Nginx`] is a real one, [`Load`] sends
//! requests all the time while a test changes something. Whatever a
//! test starts ends with the value that stands for it.

mod api;
mod binary;
mod connect_from;
mod dns;
mod event_stream;
mod fast_client;
mod fast_origin;
pub mod h2;
mod http1;
mod load;
mod nginx;
mod origin;
mod plane;
mod port;
mod process;
mod raw_client;
mod terminal;
mod unrelated;
mod up;
mod wait;

pub use api::{Answer, Api};
pub use binary::binary;
pub use connect_from::connect_from;
pub use dns::{Data, DnsQuery, DnsServer, Mood};
pub use event_stream::{EventStream, Told};
pub use fast_client::FastClient;
pub use fast_origin::{FastOrigin, Habits};
pub use http1::Head;
pub use load::{Load, LoadFailure, Plan, Tally, rest};
pub use nginx::Nginx;
pub use origin::{Origin, Received, Reply};
pub use plane::{ControlPlane, DataPlane};
pub use port::free_port;
pub use process::{Process, children_of, is_alive};
pub use raw_client::{Connection, RawClient, RawResponse, fetch, get};
pub use terminal::Terminal;
pub use unrelated::{Footprint, Unrelated};
pub use up::{Up, UpSettings};
pub use wait::{DEADLINE, wait_for, within};
