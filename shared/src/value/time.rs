use std::{fmt, str::FromStr, time::Duration};

use super::{ParseError, quoted, string_value};

/// A length of time with a unit: `"250ms"`, `"10s"`, `"1.5s"`, `"5m"`, `"1h"`, `"7d"`; whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan {
    millis: u64,
}

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl TimeSpan {
    /// The longest span: 3650 days.
    pub const MAX: Self = Self { millis: 3650 * 86_400_000 };

    /// A span of `millis` milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// A span of `seconds` seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self { millis: seconds * 1000 }
    }

    /// The span as the standard library's type.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.millis)
    }

    /// Whether the span is 0.
    pub const fn is_zero(self) -> bool {
        self.millis == 0
    }
}

impl FromStr for TimeSpan {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || {
            ParseError::new(format!(
                "{} is not a duration: write a number and ms, s, m, h or d, e.g. \"250ms\" or \"10s\", at most 3650d",
                quoted(text)
            ))
        };
        // "ms" before "m" and "s": the longer unit first.
        let (number, factor) =
            UNITS.iter().rev().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor))).ok_or_else(bad)?;
        let (whole, fraction) =
            number.split_once('.').map_or((number, None), |(whole, fraction)| (whole, Some(fraction)));
        let digits = |text: &str| !text.is_empty() && text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !fraction.is_none_or(digits) {
            return Err(bad());
        }
        let mut millis = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(factor)).ok_or_else(bad)?;
        if let Some(fraction) = fraction {
            let scale = 10u128.pow(fraction.len() as u32);
            let part = fraction.parse::<u128>().map_err(|_| bad())? * u128::from(factor);
            if part % scale != 0 {
                return Err(bad());
            }
            millis = millis.checked_add(u64::try_from(part / scale).map_err(|_| bad())?).ok_or_else(bad)?;
        }
        if millis > Self::MAX.millis {
            return Err(bad());
        }
        Ok(Self { millis })
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.millis == 0 {
            return formatter.write_str("0s");
        }
        let (unit, factor) = UNITS.iter().find(|(_, factor)| self.millis.is_multiple_of(*factor)).unwrap_or(&("ms", 1));
        write!(formatter, "{}{unit}", self.millis / factor)
    }
}

string_value!(TimeSpan, "a length of time: a number and ms, s, m, h or d", "10s");

/// A moment in UTC, RFC 3339: `2027-01-01T00:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The present moment.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now())
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// The moment `millis` milliseconds after 1970-01-01T00:00:00Z, within the years -9999 to 9999.
    pub fn from_millis(millis: i64) -> Option<Self> {
        jiff::Timestamp::from_millisecond(millis).ok().map(Self)
    }
}

impl FromStr for Timestamp {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse().map(Self).map_err(|_| {
            ParseError::new(format!("{} is not a time: write RFC 3339, e.g. \"2027-01-01T00:00:00Z\"", quoted(text)))
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

string_value!(Timestamp, "a moment, RFC 3339", "2027-01-01T00:00:00Z");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_round_trip() {
        for (text, millis, canonical) in [
            ("250ms", 250, "250ms"),
            ("10s", 10_000, "10s"),
            ("1.5s", 1_500, "1500ms"),
            ("90s", 90_000, "90s"),
            ("5m", 300_000, "5m"),
            ("24h", 86_400_000, "1d"),
            ("0s", 0, "0s"),
            ("0.001s", 1, "1ms"),
        ] {
            let span: TimeSpan = text.parse().unwrap();
            assert_eq!((span.millis, span.to_string().as_str()), (millis, canonical), "{text}");
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        for bad in ["", "10", "s", "-1s", "+1s", "1 s", "1e3s", "0.5ms", "1.s", ".5s", "99999999d", "1w"] {
            assert!(bad.parse::<TimeSpan>().is_err(), "{bad}");
        }
    }

    #[test]
    fn timestamps_are_utc() {
        let time: Timestamp = "2027-01-01T01:00:00+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2027-01-01T00:00:00Z");
        assert!("2027-01-01".parse::<Timestamp>().is_err());
    }
}
