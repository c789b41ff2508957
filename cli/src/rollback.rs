//! `tidegate rollback N`: an earlier revision becomes the current one again.

use std::process::ExitCode;

use clap::Args;
use ureq::http::Method;

use crate::{
    apply::{self, Write},
    client::Client,
    failure::Failure,
    output::Format,
};

/// Where to go back to.
#[derive(Args)]
pub(crate) struct Options {
    /// The number of the revision, as `tidegate get revisions` shows it.
    #[arg(value_name = "REVISION")]
    revision: u64,
    #[command(flatten)]
    write: Write,
}

/// Asks for the rollback and waits until it serves traffic.
pub(crate) fn run(client: &Client, options: &Options, format: Format) -> Result<ExitCode, Failure> {
    let path = format!("revisions/{}/rollback{}", options.revision, options.write.query());
    let answer = client.send(Method::POST, &path, None, options.write.wait())?;
    apply::report(&answer, &options.write, format)
}
