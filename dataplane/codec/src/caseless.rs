//! Comparing names without regard to case, word by word.

/// The longest text that a [`Key`] holds.
pub(crate) const MAX_LENGTH: usize = 24;

/// A text of 2 to 24 bytes in three words, which overlap where it is shorter: cheaper to compare than a slice.
///
/// Bit 5 is set in every byte. Of the bytes that tokens and field values may have, that maps only a letter to the same
/// letter, a digit to itself and a hyphen to itself, so it is exact for names of these.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    first: u64,
    middle: u64,
    last: u64,
}

impl Key {
    /// The key of a text. For a length out of range it means nothing.
    #[inline(always)]
    pub(crate) const fn of(text: &[u8]) -> Self {
        const LOWER: u64 = 0x2020_2020_2020_2020;
        let key = Self::raw(text);
        Self { first: key.first | LOWER, middle: key.middle | LOWER, last: key.last | LOWER }
    }

    /// All bits of the bytes that are no hyphens.
    pub(crate) const fn letters_of(text: &[u8]) -> Self {
        let mut letters = [0xff; MAX_LENGTH];
        let mut at = 0;
        while at < text.len() {
            if text[at] == b'-' {
                letters[at] = 0;
            }
            at += 1;
        }
        Self::raw(letters.split_at(text.len()).0)
    }

    #[inline(always)]
    const fn raw(text: &[u8]) -> Self {
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            let middle = if text.len() > 16 { word(text.split_at(8).1) } else { 0 };
            Self { first: u64::from_le_bytes(*first), middle, last: u64::from_le_bytes(*last) }
        } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            Self { first: u32::from_le_bytes(*first) as u64, middle: 0, last: u32::from_le_bytes(*last) as u64 }
        } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            Self { first: u16::from_le_bytes(*first) as u64, middle: 0, last: u16::from_le_bytes(*last) as u64 }
        } else {
            Self { first: 0, middle: 0, last: 0 }
        }
    }

    /// How this text differs from `other`, bit by bit.
    #[inline(always)]
    pub(crate) const fn difference(self, other: Self) -> Self {
        Self { first: self.first ^ other.first, middle: self.middle ^ other.middle, last: self.last ^ other.last }
    }

    /// Whether no bit of `mask` is set.
    #[inline(always)]
    pub(crate) const fn is_clear_of(self, mask: &Self) -> bool {
        (self.first & mask.first) | (self.last & mask.last) == 0 && self.middle & mask.middle == 0
    }

    #[inline(always)]
    pub(crate) const fn is_zero(self) -> bool {
        self.first | self.middle | self.last == 0
    }
}

#[inline(always)]
const fn word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => 0,
    }
}

/// Whether `text`, a token or field value, is `lower`, which has 2 to 24 lower-case letters, digits and hyphens.
#[inline(always)]
pub(crate) fn is(text: &[u8], lower: &'static [u8]) -> bool {
    text.len() == lower.len() && Key::of(text).difference(Key::of(lower)).is_zero()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_compare_without_case_whatever_bytes_a_value_has() {
        for lower in ["te", "h2c", "chunked", "keep-alive", "100-continue", "proxy-authenticate-x"] {
            let lower = lower.as_bytes();
            assert!(is(lower, lower) && is(&lower.to_ascii_uppercase(), lower));
            for at in 0..lower.len() {
                for byte in (0..=u8::MAX).filter(|byte| crate::grammar::is_value_byte(*byte)) {
                    let mut text = lower.to_vec();
                    text[at] = byte;
                    assert_eq!(is(&text, lower), byte.eq_ignore_ascii_case(&lower[at]), "{}", text.escape_ascii());
                }
            }
            assert!(!is(&lower[1..], lower));
        }
    }
}
