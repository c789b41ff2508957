use std::{fmt, str::FromStr};

use regex::Regex;

use super::{ParseError, quoted, string_value};

/// A path in a route's match: starts with `/`, no query, no fragment, no dot segments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AbsolutePath(Box<str>);

impl AbsolutePath {
    /// Most bytes of a path in a match.
    pub const MAX_LEN: usize = 1024;

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AbsolutePath {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() > Self::MAX_LEN {
            return Err(ParseError::new(format!("{} is too long: at most 1024 bytes", quoted(text))));
        }
        if !text.starts_with('/') || text.bytes().any(|b| b <= b' ' || b >= 0x7f || b == b'?' || b == b'#') {
            return Err(ParseError::new(format!(
                "{} is not a path: it starts with '/' and has no space, '?', '#' or raw non-ASCII byte",
                quoted(text)
            )));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

string_value!(AbsolutePath, "a path that starts with '/', without query or fragment", "/api");

/// A regular expression in the syntax of the `regex` crate: linear time, no look-around, no back references.
///
/// It is compiled where it is used; parsing only proves that it compiles within the size limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Most bytes of a pattern's text.
    pub const MAX_LEN: usize = 1024;
    /// Most bytes that a compiled pattern may take.
    const MAX_COMPILED: usize = 1 << 20;

    /// The pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compiles the pattern so that it matches only whole values: `^(?:…)$`.
    pub fn compile_whole(&self) -> Regex {
        compile(&format!("^(?:{})$", self.0)).expect("parsing compiled the same pattern")
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    regex::RegexBuilder::new(text).size_limit(Pattern::MAX_COMPILED).build()
}

impl FromStr for Pattern {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() > Self::MAX_LEN {
            return Err(ParseError::new(format!("{} is too long for a regex: at most 1024 bytes", quoted(text))));
        }
        // Alone first, so that "a)(b" is not made good by the anchors around it.
        compile(text).and_then(|_| compile(&format!("^(?:{text})$"))).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            ParseError::new(format!("{} is not a regular expression: {reason}", quoted(text)))
        })?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

string_value!(Pattern, "a regular expression (linear time, matches the whole value)", "/v[0-9]+/.*");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_patterns_are_refused_with_the_reason() {
        for text in ["(", "a)(b", "(?=x)", "\\1", "(a{1000}){1000}"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
        assert!("/v[0-9]+/.*".parse::<Pattern>().unwrap().compile_whole().is_match("/v12/x"));
        assert!(!"/v[0-9]+".parse::<Pattern>().unwrap().compile_whole().is_match("/v12/x"));
        assert!("(".parse::<Pattern>().unwrap_err().to_string().contains("unclosed group"));
    }

    #[test]
    fn a_comment_cannot_swallow_the_anchor() {
        // With (?x) a '#' would comment out the closing anchor: then the whole does not compile.
        assert!("(?x)a#".parse::<Pattern>().is_err());
    }
}
