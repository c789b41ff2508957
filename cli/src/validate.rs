//! `tidegate validate`: checks a configuration file on this side.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use shared::{Findings, document};

use crate::{
    failure::Failure,
    output::{self, Format},
};

/// What to check.
#[derive(Args)]
pub(crate) struct Options {
    /// The configuration, JSON or YAML; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

/// Prints what is found; errors make exit code 1.
pub(crate) fn run(options: &Options, format: Format) -> Result<ExitCode, Failure> {
    let text = read(&options.file)?;
    let findings = match document::read_config(&text) {
        Ok(config) => shared::validate(&config, shared::Origin::File),
        Err(findings) => findings,
    };
    report(&options.file, &findings, format)?;
    Ok(if findings.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The text of a configuration file, `-` being standard input, up to the size that is read at all.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("{} cannot be read: {error}", shown(path)));
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(fs::File::open(path).map_err(failed)?) };
    let mut text = String::new();
    // One byte more than is allowed, so that a longer document is seen to be too long.
    source.take(document::MAX_DOCUMENT as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() > document::MAX_DOCUMENT {
        return Err(Failure::Failed(format!(
            "{} is longer than the {} bytes that a configuration may have",
            shown(path),
            document::MAX_DOCUMENT
        )));
    }
    Ok(text)
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

fn report(path: &Path, findings: &Findings, format: Format) -> Result<(), Failure> {
    if format != Format::Table {
        let value = serde_json::to_value(findings).map_err(|error| Failure::Failed(error.to_string()))?;
        return output::document(&value, format);
    }
    let verdict = if findings.has_errors() {
        "would be refused"
    } else if findings.is_empty() {
        "is valid"
    } else {
        "is valid, with warnings"
    };
    output::print(&format!("{} {verdict}\n{}", shown(path), output::findings(findings)))
}
