//! `tidegate drain | enable | disable UPSTREAM BACKEND`: whether a backend takes requests.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use shared::value::{Name, TimeSpan};
use ureq::http::Method;

use crate::{
    apply::{self, Write},
    client::Client,
    failure::Failure,
    output::Format,
};

/// Which backend.
#[derive(Args)]
pub(crate) struct Options {
    /// The upstream's name.
    #[arg(value_name = "UPSTREAM")]
    upstream: Name,
    /// The backend's name.
    #[arg(value_name = "BACKEND")]
    backend: Name,
    #[command(flatten)]
    write: Write,
}

/// Which backend, and for how long.
#[derive(Args)]
pub(crate) struct Drain {
    #[command(flatten)]
    options: Options,
    /// How long its sessions stay; without it until it is disabled, enabled or deleted.
    #[arg(long, value_name = "DURATION")]
    deadline: Option<TimeSpan>,
}

/// Asks for the drain and waits until it acts.
pub(crate) fn drain(client: &Client, Drain { options, deadline }: &Drain, format: Format) -> Result<ExitCode, Failure> {
    let body = deadline.map(|deadline| json!({ "deadline": deadline }).to_string().into_bytes());
    send(client, "drain", options, body, format)
}

/// Asks for another state, by its `verb`, and waits until it acts.
pub(crate) fn set(client: &Client, verb: &str, options: &Options, format: Format) -> Result<ExitCode, Failure> {
    send(client, verb, options, None, format)
}

fn send(
    client: &Client,
    verb: &str,
    Options { upstream, backend, write }: &Options,
    body: Option<Vec<u8>>,
    format: Format,
) -> Result<ExitCode, Failure> {
    let path = format!("upstreams/{upstream}/backends/{backend}/{verb}{}", write.query());
    let body = body.map(|body| ("application/json", body));
    let answer = client.send(Method::POST, &path, body, write.wait())?;
    apply::report(&answer, write, format)
}
