//! Events of both planes: `tracing` to standard error. Requests do not come through here, they have the access log.

use tracing_subscriber::EnvFilter;

use crate::value::{ParseError, quoted};

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(ParseError::new(format!("{} is not a log format: text or json", quoted(text)))),
        }
    }
}

/// Starts writing events to standard error, filtered by `filter` (e.g. `info` or `info,dataplane=debug`).
///
/// # Errors
/// A sentence, if the filter does not parse. A second call in one process changes nothing.
pub fn init(filter: &str, format: LogFormat) -> Result<(), String> {
    // The HTTP/2 library warns of what any client can send; whoever wants to see that says `h2=warn`.
    let filter = EnvFilter::try_new(format!("h2=error,{filter}"))
        .map_err(|error| format!("\"{filter}\" is not a log filter: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // try_init fails only when a subscriber is there already, as when both planes run in one test process.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
