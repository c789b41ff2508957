//! Tidegate's control plane: a REST API over a database of revisions, and their publishing to data planes.
//!
//! Start reading at [`run`], which puts the parts together. A request goes through four short stops: `api` extracts and
//! answers, `service` decides, `store` speaks SQL, and [`publish`] tells the data planes. The life of a write is
//! `service::Service::commit`.

mod api;
mod data_dir;
mod metrics;
mod model;
mod options;
pub mod publish;
mod run;
mod serve;
mod service;
mod store;

pub use options::{LogFormatName, Options};
pub use run::run;

/// The OpenAPI document of the REST API as JSON: what `openapi/openapi.json` holds and `/openapi.json` serves.
pub fn openapi() -> String {
    api::document()
}
