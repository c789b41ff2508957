use std::{borrow::Borrow, fmt, str::FromStr};

use super::{ParseError, quoted, string_value};

/// The name of a resource: `[a-z0-9][a-z0-9._-]{0,62}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Most bytes that a name may have.
    pub const MAX_LEN: usize = 63;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if starts_well && text.len() <= Self::MAX_LEN && text.bytes().all(inner) {
            return Ok(Self(text.into()));
        }
        Err(ParseError::new(format!(
            "{} is not a name: 1 to 63 of a-z, 0-9, '.', '_' and '-', the first a letter or a digit",
            quoted(text)
        )))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

string_value!(Name, "a name: 1 to 63 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit", "shop", pattern: "^[a-z0-9][a-z0-9._-]{0,62}$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_lower_case_and_start_with_a_letter_or_digit() {
        for (text, ok) in [
            ("shop", true),
            ("a", true),
            ("0", true),
            ("a.b_c-d", true),
            ("", false),
            ("-a", false),
            (".a", false),
            ("Shop", false),
            ("a b", false),
            ("ä", false),
            ("a/b", false),
        ] {
            assert_eq!(text.parse::<Name>().is_ok(), ok, "{text}");
        }
        assert!("a".repeat(63).parse::<Name>().is_ok());
        assert!("a".repeat(64).parse::<Name>().is_err());
    }
}
