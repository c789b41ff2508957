//! End-to-end tests: the real binary, real sockets, real servers. One module per behaviour.

mod cli;
mod up;
