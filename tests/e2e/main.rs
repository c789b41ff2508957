//! End-to-end tests: the real binary, real sockets, real servers. One module per behaviour.

mod cli;
mod forwarding;
mod hostile;
mod live_changes;
mod refusals;
mod survival;
mod up;
