use std::{fmt, str::FromStr};

use super::{ParseError, quoted, string_value};

/// What the `Server` field of responses says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServerHeader {
    /// `pass`: what the backend says; nothing in answers of the proxy's own.
    #[default]
    Pass,
    /// `remove`: nothing.
    Remove,
    /// Any other text: this.
    Literal(Box<str>),
}

impl ServerHeader {
    /// The longest literal, in bytes.
    pub const MAX_BYTES: usize = 256;
}

impl FromStr for ServerHeader {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "pass" => return Ok(Self::Pass),
            "remove" => return Ok(Self::Remove),
            _ => {}
        }
        let is_value = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if text.is_empty() || text.len() > Self::MAX_BYTES || !is_value || text.trim() != text {
            return Err(ParseError::new(format!(
                "{} is not what a Server field says: write pass, remove, or a text of 1 to {} ASCII characters without \
                 blanks around it",
                quoted(text),
                Self::MAX_BYTES
            )));
        }
        Ok(Self::Literal(text.into()))
    }
}

impl fmt::Display for ServerHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pass => "pass",
            Self::Remove => "remove",
            Self::Literal(text) => text,
        })
    }
}

string_value!(ServerHeader, "what the Server field says: pass, remove, or a literal text", "edge");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_and_literals() {
        for (text, ok) in [
            ("pass", true),
            ("remove", true),
            ("Edge/1 (x)", true),
            ("", false),
            (" a", false),
            ("a\r\nb", false),
            ("ä", false),
        ] {
            let parsed = text.parse::<ServerHeader>();
            assert_eq!(parsed.ok().map(|parsed| parsed.to_string()).as_deref(), ok.then_some(text), "{text}");
        }
    }
}
