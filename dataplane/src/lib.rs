//! Tidegate's data plane: forwards traffic.
//!
//! Start reading at [`proxy`](mod@proxy): the life of a request, top to bottom. [`apply`](mod@apply) is the life of a snapshot, from
//! bytes to traffic; [`process`](mod@process) starts and stops everything.
//!
//! One OS thread per core runs a current-thread tokio runtime ([`worker`](mod@worker)) with its own listener sockets and its own
//! pool of upstream connections; requests share no lock between workers. A runtime beside them does everything else: control
//! socket, admin endpoint, compiling, disk.
#![allow(rustdoc::private_intra_doc_links, reason = "the map above is for people who read the source")]

mod accept;
mod access_log;
mod admin;
mod admission;
mod answer;
mod apply;
mod arrival;
mod attempt;
mod balance;
#[doc(hidden)]
pub mod bench;
mod budget;
mod client_address;
mod clock;
mod congestion;
mod connection;
mod control;
mod cors;
mod deferral;
mod dns;
mod engine;
mod error;
mod events;
mod file;
mod forward;
mod forwarded;
mod forwarding;
mod gate;
mod grpc;
mod h2;
mod head;
mod header_rules;
mod health;
mod instant;
mod listener;
mod listener_set;
mod live;
mod load;
mod matched;
mod metrics;
mod options;
mod process;
mod protocol;
mod proxy;
mod record;
mod request_id;
mod retry_after;
mod rewrite;
mod snapshot;
mod split_mix;
mod state;
mod status;
mod template;
mod tries;
mod worker;

/// The allocator of every program with a data plane in it: a request makes and drops a few pieces of memory, and the system's
/// allocator takes thrice as many instructions for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use options::Options;
pub use process::run;
