//! Our own HTTP/1.1 engine, on both sides, over the codec crate `http1`.
//!
//! [`client`] reads heads and writes answers, [`exchange`] carries one request to a backend and its response back, with
//! [`upload`] and [`download`] for the two directions. [`pool`], [`capacity`], [`acquire`] and [`connect`] say where its connection
//! comes from. Buffers and time-outs belong to the worker: a connection that waits owns
//! neither buffer nor timer.

mod acquire;
mod buffers;
mod capacity;
mod client;
mod connect;
mod deadlines;
mod download;
mod exchange;
mod gone;
mod input;
mod pool;
mod response_head;
mod scratch;
mod stream;
mod tunnel;
mod upload;

pub(crate) use acquire::{Wanted, acquire};
pub(crate) use buffers::Buffers;
pub(crate) use capacity::Capacity;
pub(crate) use client::{Client, Read};
pub(crate) use deadlines::Deadlines;
pub(crate) use exchange::{Ended, Exchange};
pub(crate) use pool::{Pool, PoolSettings, retire};
pub(crate) use scratch::{KEPT as KEPT_SCRATCH, Scratch};
pub(crate) use stream::Upstream;
pub(crate) use tunnel::run as tunnel;
