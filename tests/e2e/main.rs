//! End-to-end tests: the real binary, real sockets, real servers. One module per behaviour.
#![expect(clippy::unwrap_used, reason = "a test that unwraps fails with the line, which is what it is for")]

mod actions;
mod both;
mod breaker;
mod cli;
mod cors;
mod descriptors;
mod errors;
mod floods;
mod forwarding;
mod frames;
mod grpc;
mod h2;
mod h2_backends;
mod h2_limits;
mod h2_pairs;
mod health;
mod hostile;
mod http1;
mod large_bodies;
mod limits;
mod live_changes;
mod maintenance;
mod operations;
mod raw;
mod refusals;
mod site;
mod slow_peers;
mod spellings;
mod split;
mod spoofing;
mod status;
mod survival;
mod transforms;
mod up;
mod upstream_connections;
