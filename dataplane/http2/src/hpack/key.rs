//! What a field is looked up by: few words of its bytes that are hashed and compared.

/// Eight times the bit that makes an ASCII letter lower case.
const CASE: u64 = 0x2020_2020_2020_2020;

/// Makes the hash of a name. Odd, and one of those with which the names of the static table do not meet in their 256 slots.
const NAME_MULTIPLIER: u64 = 0xf3a7_cbd2_2091_dc43;

/// Makes the hash of a name and a value.
const PAIR_MULTIPLIER: u64 = 0xd6e8_feb8_6659_fd93;

/// A name, in whatever case.
pub(super) struct Name<'a> {
    bytes: &'a [u8],
    words: [u64; 2],
    hash: u64,
}

impl<'a> Name<'a> {
    /// What `bytes` are looked up by.
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let words = words(bytes);
        Self { bytes, words, hash: name_hash(words, bytes.len()) }
    }

    /// The name itself.
    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whose high bits are the best; the same in every case.
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether it is `other`, which is in lower case, but for the case.
    #[inline]
    pub(super) fn is(&self, other: &[u8]) -> bool {
        if self.bytes.len() != other.len() {
            return false;
        }
        let words = words(other);
        (self.words == words || [lower(self.words[0]), lower(self.words[1])] == words)
            && match (middle(self.bytes), middle(other)) {
                (Some(own), Some(other)) => own == other || own.eq_ignore_ascii_case(other),
                _ => true,
            }
    }
}

/// A value.
pub(super) struct Value<'a> {
    bytes: &'a [u8],
    words: [u64; 2],
}

impl<'a> Value<'a> {
    /// What `bytes` are looked up by.
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, words: words(bytes) }
    }

    /// The value itself.
    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The hash of a field with this value and `name`, whose high bits are the best.
    #[inline]
    pub(super) const fn hash_with(&self, name: &Name<'_>) -> u64 {
        let length = (self.bytes.len() as u64) << 32;
        (name.hash ^ self.words[0] ^ self.words[1].rotate_left(23) ^ length).wrapping_mul(PAIR_MULTIPLIER)
    }

    /// Whether it is `other`.
    #[inline]
    pub(super) fn is(&self, other: &[u8]) -> bool {
        self.bytes.len() == other.len() && self.words == words(other) && middle(self.bytes) == middle(other)
    }
}

/// The hash of a name of `length` bytes whose [`words`] these are.
pub(super) const fn name_hash(words: [u64; 2], length: usize) -> u64 {
    ((words[0] | CASE) ^ (words[1] | CASE).rotate_left(23) ^ length as u64).wrapping_mul(NAME_MULTIPLIER)
}

/// The first and the last bytes. With the length, all there is to know of up to 16 bytes.
#[inline]
pub(super) const fn words(bytes: &[u8]) -> [u64; 2] {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return [u64::from_le_bytes(*first), u64::from_le_bytes(*last)];
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return [u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64];
    }
    match *bytes {
        [first, .., last] => [u16::from_le_bytes([first, last]) as u64, bytes[1] as u64],
        [only] => [only as u64, 0],
        [] => [0, 0],
    }
}

/// What the [`words`] leave out.
#[inline]
fn middle(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.len() > 16 { bytes.get(8..bytes.len() - 8) } else { None }
}

/// Eight bytes with their ASCII letters in lower case.
const fn lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let low_bits = word & !HIGH;
    // The high bit of each byte says whether it is at least `A`, and whether it is above `Z`.
    let from_a = low_bits + (0x80 - b'A' as u64) * ONES;
    let above_z = low_bits + (0x7f - b'Z' as u64) * ONES;
    word | ((from_a ^ above_z) & !word & HIGH) >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_becomes_lower_case_as_ascii_has_it() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut bytes = *b"Az@[`{Z\xc1";
                bytes[at] = byte;
                assert_eq!(lower(u64::from_le_bytes(bytes)).to_le_bytes()[..], bytes.to_ascii_lowercase()[..]);
            }
        }
    }

    #[test]
    fn one_byte_makes_another_name_and_value_at_any_length() {
        for length in 0..40 {
            let name: Vec<u8> = (0..length).map(|at| b'a' + at as u8 % 26).collect();
            let upper = name.to_ascii_uppercase();
            assert!(Name::new(&name).is(&name) && Name::new(&upper).is(&name));
            assert_eq!(Name::new(&name).hash(), Name::new(&upper).hash());
            assert!(Value::new(&name).is(&name));
            assert!(length == 0 || !Value::new(&upper).is(&name));
            assert!(!Name::new(&name).is(&[&name[..], b"x"].concat()));
            for at in 0..length {
                let mut other = name.clone();
                other[at] ^= 1;
                assert!(!Name::new(&name).is(&other) && !Name::new(&upper).is(&other) && !Value::new(&name).is(&other));
            }
        }
    }
}
