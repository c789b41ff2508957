//! How a command fails, and its exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use shared::Findings;

/// The exit code of wrong usage, the one that clap uses too.
pub(crate) const USAGE: u8 = 2;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something on this side: a file, a plane that stopped.
    Failed(String),
    /// The server, or validation, said no.
    Refused {
        /// What was refused and why, in one sentence.
        sentence: String,
        /// What belongs to it, a line each.
        details: Vec<String>,
        /// Where, if the document is at fault.
        findings: Findings,
    },
    /// The command line makes no sense in a way that clap cannot see.
    Usage(String),
    /// No answer from the REST API.
    Unreachable(String),
    /// Standard output did not take the answer.
    Output(io::Error),
}

impl Failure {
    /// Says what went wrong on standard error, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let code = match &self {
            // `tidegate get … | head`: the reader has what it wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Output(_) | Self::Failed(_) | Self::Refused { .. } => 1,
            Self::Usage(_) => USAGE,
            Self::Unreachable(_) => 3,
        };
        // Nothing is left to do when standard error is closed as well.
        let _ = writeln!(io::stderr(), "error: {}", self.sentence());
        ExitCode::from(code)
    }

    /// What went wrong.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Output(error) => format!("standard output does not take the answer: {error}"),
            Self::Refused { sentence, details, findings } => refusal(sentence, details, findings),
            Self::Failed(sentence) | Self::Usage(sentence) | Self::Unreachable(sentence) => sentence.clone(),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn refusal(sentence: &str, details: &[String], findings: &Findings) -> String {
    let mut text = sentence.to_owned();
    for detail in details {
        text.push_str(&format!("\n  {detail}"));
    }
    let findings = crate::output::findings(findings);
    if !findings.is_empty() {
        text.push('\n');
        text.push_str(findings.trim_end());
    }
    text
}
