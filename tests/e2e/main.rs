//! End-to-end tests: the real binary, real sockets, real servers. One module per behaviour.
#![expect(clippy::unwrap_used, reason = "a test that unwraps fails with the line, which is what it is for")]

mod cli;
mod forwarding;
mod hostile;
mod http1;
mod live_changes;
mod operations;
mod raw;
mod refusals;
mod site;
mod survival;
mod up;
