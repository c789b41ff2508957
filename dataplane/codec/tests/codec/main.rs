//! Tests of the codec by its public interface: rule tables, properties, and hyper on the same bytes. One module per subject.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod chunked_bodies;
mod generate;
mod hyper_requests;
mod hyper_responses;
mod parse;
mod properties;
mod request_fields;
mod request_line;
mod response_heads;
mod rewriting;
mod verdict;
