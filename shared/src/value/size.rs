use std::{fmt, str::FromStr};

use super::{ParseError, quoted, string_value};

/// A number of bytes: `"512B"`, `"64KiB"`, `"10MiB"`, `"1GiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl ByteSize {
    /// A size of `bytes` bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || {
            ParseError::new(format!(
                "{} is not a size: write a whole number and B, KiB, MiB or GiB, e.g. \"64KiB\"",
                quoted(text)
            ))
        };
        let (_, factor, number) = UNITS
            .iter()
            .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (unit, factor, number)))
            .ok_or_else(bad)?;
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let number: u64 = number.parse().map_err(|_| bad())?;
        number.checked_mul(*factor).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*factor);
        let (unit, factor) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
        write!(formatter, "{}{unit}", self.0 / factor)
    }
}

string_value!(ByteSize, "a number of bytes with a unit: B, KiB, MiB or GiB", "64KiB");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_trip() {
        for (text, bytes, canonical) in [
            ("0B", 0, "0B"),
            ("1024B", 1024, "1KiB"),
            ("64KiB", 65_536, "64KiB"),
            ("1536KiB", 1_572_864, "1536KiB"),
            ("3GiB", 3 << 30, "3GiB"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, canonical));
        }
        for bad in ["", "1", "KiB", "1KB", "1 KiB", "-1B", "+1B", "1.5KiB", "99999999999GiB"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
    }
}
