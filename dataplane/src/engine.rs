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
mod drain;
mod exchange;
mod gone;
mod input;
mod interim;
mod pace;
mod pool;
mod replay;
mod response_head;
mod resting;
mod scratch;
mod socket;
mod splice;
mod stop;
mod stream;
mod terms;
mod tunnel;
mod upload;

pub(crate) use acquire::{Greeting, Patience, Wanted, acquire, obtain};
pub(crate) use buffers::{Buffer, Buffers};
pub(crate) use capacity::{Bell, Capacity, Grant, IdleCount, Permit, Places};
pub(crate) use client::{Client, Read};
pub(crate) use connect::connect;
pub(crate) use deadlines::{Deadline, Deadlines};
pub(crate) use drain::drain;
pub(crate) use exchange::{Ended, Exchange, MAX_DRAINED};
pub(crate) use interim::Interim;
pub(crate) use pace::{Held, Pace, Span, Standing, Timeouts, Waits};
pub(crate) use pool::{FAREWELL, FAREWELL_BYTES, Pool, PoolSettings, Silence, retire};
pub(crate) use replay::{KEPT as KEPT_REPLAY, Replay, ReplayMemory, Reserved};
pub(crate) use scratch::{KEPT as KEPT_SCRATCH, Scratch};
pub(crate) use socket::Socket;
pub(crate) use splice::Pipes;
pub(crate) use stop::Stop;
pub(crate) use stream::{Stream, Upstream};
pub(crate) use terms::Terms;
pub(crate) use tunnel::run as tunnel;
pub(crate) use upload::Upload;
