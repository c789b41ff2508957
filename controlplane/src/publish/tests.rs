//! A scripted data plane against the publisher, over real sockets.

mod checking;
mod fixture;
mod foreign;
mod hostile;
mod listening;
mod pushing;
mod registry;
mod waiting;
