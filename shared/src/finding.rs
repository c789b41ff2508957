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
#[serde(transparent)]
pub struct Findings {
    list: Vec<Finding>,
    /// Warnings at or below this pointer find a place before others.
    #[serde(skip)]
    focus: Option<String>,
}

impl Findings {
    /// Most findings that are kept: a broken document of 100,000 routes must not make an answer of megabytes.
    pub const MAX: usize = 100;

    /// Nothing found.
    pub const fn new() -> Self {
        Self { list: Vec::new(), focus: None }
    }

    /// Nothing found, by somebody who asks for what is at `pointer`, or below it.
    pub const fn about(pointer: Option<String>) -> Self {
        Self { list: Vec::new(), focus: pointer }
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

    /// Adds a finding. Past [`Self::MAX`] only a weightier one still finds a place: an error instead of a warning, a warning
    /// of what was asked for instead of another.
    pub fn push(&mut self, finding: Finding) {
        if self.list.len() < Self::MAX {
            return self.list.push(finding);
        }
        let weight = self.weight(&finding);
        // The last one of the lightest.
        let lightest = self.list.iter().enumerate().rev().min_by_key(|(_, kept)| self.weight(kept));
        if let Some(index) = lightest.filter(|(_, kept)| self.weight(kept) < weight).map(|(index, _)| index) {
            self.list[index] = finding;
        }
    }

    fn weight(&self, finding: &Finding) -> (Severity, bool) {
        let focused = self.focus.as_deref().and_then(|focus| within(focus, &finding.pointer)).is_some();
        (finding.severity, focused)
    }

    /// Whether anything refuses the document.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Whether nothing at all was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The findings in order.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.list.iter()
    }

    /// The findings with every pointer rewritten by `rewrite`.
    pub fn map_pointers(mut self, rewrite: impl Fn(&str) -> String) -> Self {
        for finding in &mut self.list {
            finding.pointer = rewrite(&finding.pointer);
        }
        self
    }
}

/// The rest of `pointer` after `prefix`, at a member boundary.
pub fn within<'p>(prefix: &str, pointer: &'p str) -> Option<&'p str> {
    pointer.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Findings {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ArrayBuilder::new()
            .items(utoipa::openapi::Ref::from_schema_name("Finding"))
            .description(Some("All that was found in one document, in the order of finding."))
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Findings {
    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
        use utoipa::PartialSchema;
        schemas.push(("Finding".to_owned(), Finding::schema()));
        Finding::schemas(schemas);
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
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
        for (index, finding) in self.list.iter().enumerate() {
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

    #[test]
    fn a_warning_that_was_asked_for_is_never_crowded_out_by_others() {
        let mut findings = Findings::about(Some("/routes/7".to_owned()));
        for _ in 0..2 * Findings::MAX {
            findings.warning("/routes/70", "odd");
        }
        findings.warning("/routes/7/match", "ours");
        for _ in 0..2 * Findings::MAX {
            findings.warning("/routes/70", "odd");
        }
        assert_eq!(findings.iter().count(), Findings::MAX);
        assert_eq!(findings.iter().filter(|finding| finding.message == "ours").count(), 1);
    }
}
