//! The REST API from outside: requests in, answers out, over a real database.

mod admin_state;
mod concurrency;
mod configuration;
mod fixture;
mod history;
mod honesty;
mod openapi;
mod preconditions;
mod publishing;
mod refusals;
mod resources;
mod store_faults;
mod tokens;
