//! The REST API from outside: requests in, answers out, over a real database.

mod concurrency;
mod configuration;
mod fixture;
mod history;
mod openapi;
mod preconditions;
mod publishing;
mod refusals;
mod resources;
mod review;
mod store_faults;
mod tokens;
