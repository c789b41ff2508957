//! `tidegate apply -f FILE`: a file becomes the whole configuration.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use serde_json::json;
use shared::{document, value::TimeSpan};
use ureq::http::Method;

use crate::{
    client::{Answer, Client},
    failure::Failure,
    output::{self, Format},
    validate,
};

/// What to apply.
#[derive(Args)]
pub(crate) struct Options {
    /// The whole configuration, JSON or YAML; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    write: Write,
}

/// How a write is done.
#[derive(Args)]
pub(crate) struct Write {
    /// How long to wait until every connected data plane serves it; `0s` does not wait.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    wait: TimeSpan,
    /// Only say what would happen; nothing is changed.
    #[arg(long)]
    dry_run: bool,
}

impl Write {
    /// The query of a write's path.
    pub(crate) fn query(&self) -> String {
        match (self.dry_run, self.wait.is_zero()) {
            (true, _) => "?dry_run=true".to_owned(),
            (false, true) => String::new(),
            (false, false) => format!("?wait={}", self.wait),
        }
    }

    /// How long the server may hold its answer.
    pub(crate) fn wait(&self) -> Duration {
        self.wait.duration()
    }
}

/// Sends the file as it is: the pointers of what is found are pointers into it.
pub(crate) fn run(client: &Client, options: &Options, format: Format) -> Result<ExitCode, Failure> {
    let text = validate::read(&options.file)?;
    if text.trim().is_empty() {
        // A file that was truncated by mistake must not empty live traffic.
        return Err(Failure::Failed("the file is empty: write {} to remove the whole configuration".to_owned()));
    }
    let content_type = if document::is_json(&text) { "application/json" } else { "application/yaml" };
    let path = format!("config{}", options.write.query());
    let body = Some((content_type, text.into_bytes()));
    let answer = client.send(Method::PUT, &path, body, options.write.wait())?;
    report(&answer, &options.write, format)
}

/// Says what a write did.
pub(crate) fn report(answer: &Answer, write: &Write, format: Format) -> Result<ExitCode, Failure> {
    if format != Format::Table {
        // Not the body, which is the whole configuration again.
        let document = json!({ "revision": answer.revision, "dry_run": write.dry_run, "warnings": answer.warnings });
        output::document(&document, format)?;
        return Ok(ExitCode::SUCCESS);
    }
    let revision = answer.revision.map_or_else(|| "the revision".to_owned(), |number| format!("revision {number}"));
    let mut text = match (write.dry_run, write.wait.is_zero()) {
        (true, _) => "valid; nothing was changed".to_owned(),
        (false, true) => format!("{revision} is committed"),
        (false, false) => format!("{revision} is committed and serves traffic on every connected data plane"),
    };
    for warning in &answer.warnings {
        text.push_str(&format!("\n  warning {warning}"));
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
