//! Control plane.

mod model;
mod store;
