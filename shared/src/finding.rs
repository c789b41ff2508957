//! What validation found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that is wrong, or that is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// Whether the configuration is refused because of it.
    pub severity: Severity,
    /// Where: a JSON pointer (RFC 6901) into the document that was sent.
    pub pointer: String,
    /// What is wrong and what to do, in one sentence.
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Accepted, but probably not meant.
    Warning,
    /// Refused.
    Error,
}

/// All that was found in one document, in the order of finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Most findings that are kept: a broken document of 100,000 routes must not make an answer of megabytes.
    pub const MAX: usize = 100;

    /// Nothing found.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One error.
    pub fn of_error(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let mut findings = Self::new();
        findings.error(pointer, message);
        findings
    }

    /// Adds an error.
    pub fn error(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.push(Finding { severity: Severity::Error, pointer: pointer.into(), message: message.into() });
    }

    /// Adds a warning.
    pub fn warning(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.push(Finding { severity: Severity::Warning, pointer: pointer.into(), message: message.into() });
    }

    /// Adds a finding. Past [`Self::MAX`] only an error still finds a place, instead of a warning.
    pub fn push(&mut self, finding: Finding) {
        if self.0.len() < Self::MAX {
            self.0.push(finding);
        } else if finding.severity == Severity::Error
            && let Some(warning) = self.0.iter_mut().rev().find(|kept| kept.severity == Severity::Warning)
        {
            *warning = finding;
        }
    }

    /// Whether anything refuses the document.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Whether nothing at all was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The findings in order.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// The findings with every pointer rewritten by `rewrite`.
    pub fn map_pointers(mut self, rewrite: impl Fn(&str) -> String) -> Self {
        for finding in &mut self.0 {
            finding.pointer = rewrite(&finding.pointer);
        }
        self
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Extend<Finding> for Findings {
    fn extend<I: IntoIterator<Item = Finding>>(&mut self, findings: I) {
        for finding in findings {
            self.push(finding);
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "the document" } else { &self.pointer };
        write!(formatter, "{pointer}: {}", self.message)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            write!(formatter, "{}{finding}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_never_crowded_out_by_warnings() {
        let mut findings = Findings::new();
        for _ in 0..2 * Findings::MAX {
            findings.warning("/a", "odd");
        }
        findings.error("/b", "wrong");
        assert_eq!(findings.iter().count(), Findings::MAX);
        assert!(findings.has_errors());
    }
}
