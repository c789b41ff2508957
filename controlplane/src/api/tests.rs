//! The REST API from outside: requests in, answers out, over a real database.

mod admin_state;
mod concurrency;
mod configuration;
mod events;
mod fixture;
mod history;
mod honesty;
mod openapi;
mod preconditions;
mod publishing;
mod refusals;
mod reporting;
mod resources;
mod status;
mod store_faults;
mod tokens;
