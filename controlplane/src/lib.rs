//! Control plane.

mod api;
mod metrics;
mod model;
pub mod publish;
mod service;
mod store;
