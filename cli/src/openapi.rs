//! `tidegate openapi`: the document of the REST API.

use std::process::ExitCode;

use crate::{
    failure::Failure,
    output::{self, Format},
};

/// Prints the OpenAPI document: JSON, unless YAML is asked for.
pub(crate) fn run(format: Format) -> Result<ExitCode, Failure> {
    let text = controlplane::openapi();
    match format {
        Format::Json | Format::Table => output::print(&text)?,
        Format::Yaml => {
            let value = serde_json::from_str(&text).map_err(|error| Failure::Failed(error.to_string()))?;
            output::document(&value, format)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
