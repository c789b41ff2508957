use std::{fmt, str::FromStr};

use super::{ParseError, quoted, string_value};

/// One status code or a range of them: `"503"`, `"500-599"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// The range from `first` to `last`; both from 100 to 599 and in order, else `None`.
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first >= 100 && last <= 599 && first <= last { Some(Self { first, last }) } else { None }
    }

    /// The lowest status.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// How many statuses lie in the range.
    pub const fn count(self) -> u16 {
        self.last - self.first + 1
    }

    /// Whether `status` lies in the range.
    pub const fn contains(self, status: u16) -> bool {
        self.first <= status && status <= self.last
    }
}

impl FromStr for StatusRange {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let code = |text: &str| {
            (text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u16>().ok()).flatten()
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        code(first).zip(code(last)).and_then(|(first, last)| Self::new(first, last)).ok_or_else(|| {
            ParseError::new(format!(
                "{} is not a status: write \"503\" or \"500-599\", within 100 to 599",
                quoted(text)
            ))
        })
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(formatter, "{}", self.first)
        } else {
            write!(formatter, "{}-{}", self.first, self.last)
        }
    }
}

string_value!(StatusRange, "a status code or a range of them", "500-599");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_ranges() {
        for (text, ok) in [
            ("503", true),
            ("500-599", true),
            ("599-500", false),
            ("99", false),
            ("600", false),
            ("5xx", false),
            ("+50", false),
        ] {
            assert_eq!(text.parse::<StatusRange>().is_ok(), ok, "{text}");
        }
        let range: StatusRange = "500-599".parse().unwrap();
        assert!(range.contains(500) && range.contains(599) && !range.contains(499));
    }
}
