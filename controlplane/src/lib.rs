//! Control plane.

mod metrics;
mod model;
pub mod publish;
mod service;
mod store;
