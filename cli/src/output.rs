//! Printing answers: tables for people, JSON and YAML for programs.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::Value;
use shared::{Findings, Severity, document};

use crate::failure::Failure;

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON, indented.
    Json,
    /// YAML.
    Yaml,
    /// Columns for people.
    Table,
}

/// A column of a table: its title, and the JSON pointer of what stands in it.
pub(crate) type Column = (&'static str, &'static str);

/// Writes `text` to standard output, and a line end if it has none.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Prints a document as it is; people get YAML.
pub(crate) fn document(value: &Value, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => print(&format!("{value:#}")),
        Format::Yaml | Format::Table => print(&document::to_yaml(value).map_err(Failure::Failed)?),
    }
}

/// Prints a list; people get the `columns` of each item.
pub(crate) fn list(items: Vec<Value>, columns: &[Column], format: Format) -> Result<(), Failure> {
    if format != Format::Table {
        return document(&Value::Array(items), format);
    }
    print(&self::columns(&items, columns))
}

/// The `columns` of each item as a table.
pub(crate) fn columns(items: &[Value], columns: &[Column]) -> String {
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| columns.iter().map(|(_, pointer)| cell(item.pointer(pointer))).collect()).collect();
    let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    table(&titles, &rows)
}

/// Columns as wide as their widest cell, two blanks apart.
pub(crate) fn table(titles: &[&str], rows: &[Vec<String>]) -> String {
    let titles: Vec<String> = titles.iter().map(ToString::to_string).collect();
    let width = |column: usize| {
        rows.iter().chain([&titles]).filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..titles.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in std::iter::once(&titles).chain(rows) {
        let line: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// One line per finding, indented: severity, pointer, sentence.
pub(crate) fn findings(findings: &Findings) -> String {
    let mut text = String::new();
    for finding in findings.iter() {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        text.push_str(&format!("  {severity} {}\n", printable(&finding.to_string())));
    }
    text
}

/// A JSON value as the text of a cell.
pub(crate) fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(","),
        // `{prefix: /api}` reads best as `prefix /api`.
        Some(Value::Object(members)) => {
            members.iter().map(|(name, value)| format!("{name} {}", cell(Some(value)))).collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_string(),
    }
}

/// Text from the server without what a terminal would act on.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_align_and_lines_end_without_blanks() {
        let rows = vec![vec!["a".to_owned(), "long".to_owned()], vec!["bcd".to_owned(), "-".to_owned()]];
        assert_eq!(table(&["NAME", "X"], &rows), "NAME  X\na     long\nbcd   -\n");
    }

    #[test]
    fn cells_show_every_kind_of_value_and_no_control_characters() {
        for (value, expected) in [
            (json!(null), "-"),
            (json!([]), "-"),
            (json!(["a", "b"]), "a,b"),
            (json!({"prefix": "/api"}), "prefix /api"),
            (json!(3), "3"),
            (json!("a\u{1b}[31mb"), "a\u{fffd}[31mb"),
        ] {
            assert_eq!(cell(Some(&value)), expected);
        }
        assert_eq!(cell(None), "-");
    }
}
