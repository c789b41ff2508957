//! What both planes of Tidegate must agree on.
//!
//! Start reading at [`config::Config`]: REST bodies, files and snapshots are all these types. [`validate()`] says
//! what is wrong with a configuration, [`routing`] finds the route of a request, [`protocol`] carries snapshots
//! from the control plane to the data planes. Nothing here does I/O on the request path.

pub mod config;
pub mod document;
pub mod finding;
pub mod protocol;
pub mod routing;
pub mod seal;
pub mod status;
pub mod telemetry;
pub mod validate;
pub mod value;

pub use finding::{Finding, Findings, Severity};
pub use validate::{Origin, validate, validate_about};
