use std::{borrow::Borrow, fmt, str::FromStr};

use super::{ParseError, quoted, string_value};

/// `tchar` of RFC 9110 §5.6.2: what methods and field names are made of.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// The name of a header field, lower-case (RFC 9110 §5.1); at most 128 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldName(Box<str>);

impl FieldName {
    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FieldName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if !is_token(text) || text.len() > 128 {
            return Err(ParseError::new(format!(
                "{} is not a header name: 1 to 128 letters, digits or !#$%&'*+-.^_`|~",
                quoted(text)
            )));
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Borrow<str> for FieldName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

string_value!(FieldName, "the name of a header field", "x-env");

/// A request method; case-sensitive (RFC 9110 §9.1), at most 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(Box<str>);

impl Method {
    /// The method as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Method {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if !is_token(text) || text.len() > 32 {
            return Err(ParseError::new(format!(
                "{} is not a method: 1 to 32 token characters, e.g. \"GET\"",
                quoted(text)
            )));
        }
        // Methods are case-sensitive: "get" would silently match nothing that a client sends.
        if text.bytes().any(|b| b.is_ascii_lowercase()) {
            return Err(ParseError::new(format!("{} is not a method: write it in upper case", quoted(text))));
        }
        if text == "CONNECT" {
            return Err(ParseError::new("\"CONNECT\" is never forwarded, so no route can match it"));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

string_value!(Method, "a request method in upper case", "GET");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_compare_in_lower_case() {
        assert_eq!("X-Env".parse::<FieldName>().unwrap().as_str(), "x-env");
        for bad in ["", "a b", "a:", "ä", "a\r\n"] {
            assert!(bad.parse::<FieldName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn methods_are_upper_case() {
        for (text, ok) in
            [("GET", true), ("M-SEARCH", true), ("get", false), ("G T", false), ("", false), ("CONNECT", false)]
        {
            assert_eq!(text.parse::<Method>().is_ok(), ok, "{text}");
        }
    }
}
