//! What a field is looked up by: few words of its bytes, hashed and compared.

/// Eight times the bit that makes an ASCII letter lower case.
const CASE: u64 = 0x2020_2020_2020_2020;

/// Makes the hashes. One of those odd numbers with which the names of the static table do not meet in their 256 slots.
const MULTIPLIER: u64 = 0x0e9a_deaa_25f5_37d9;

/// A name, in whatever case.
pub(super) struct Name<'a> {
    /// The name itself.
    pub(super) bytes: &'a [u8],
    word: u64,
}

impl<'a> Name<'a> {
    /// What `bytes` are looked up by.
    #[inline]
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, word: word(bytes) }
    }

    /// The same in every case; the high bits are the best.
    #[inline]
    pub(super) const fn hash(&self) -> u64 {
        (self.mixed() ^ self.bytes.len() as u64).wrapping_mul(MULTIPLIER)
    }

    const fn mixed(&self) -> u64 {
        (self.word | CASE).rotate_left(23)
    }

    /// Whether it is `other`, which is in lower case, but for the case.
    #[inline]
    pub(super) fn is(&self, other: &[u8]) -> bool {
        is_lowered(self.word, word(other)) && self.has_front_of(other)
    }

    /// The same of one that ends alike.
    #[inline]
    fn has_front_of(&self, other: &[u8]) -> bool {
        if self.bytes.len() != other.len() {
            return false;
        }
        if let Some((first, rest)) = self.bytes.split_first_chunk()
            && let Some((other_first, other_rest)) = other.split_first_chunk()
        {
            return is_lowered(u64::from_le_bytes(*first), u64::from_le_bytes(*other_first))
                && (rest.len() <= 8 || are_lowered(rest, other_rest));
        }
        true
    }
}

/// A name and a value.
pub(super) struct Pair<'a> {
    /// The name.
    pub(super) name: Name<'a>,
    /// The value.
    pub(super) value: &'a [u8],
    word: u64,
}

impl<'a> Pair<'a> {
    /// What a field is looked up by.
    #[inline]
    pub(super) const fn new(name: &'a [u8], value: &'a [u8]) -> Self {
        Self { name: Name::new(name), value, word: word(value) }
    }

    /// The same in every case of the name; the high bits are the best.
    #[inline]
    pub(super) const fn hash(&self) -> u64 {
        (self.name.mixed() ^ self.word ^ self.lengths()).wrapping_mul(MULTIPLIER)
    }

    #[inline]
    const fn lengths(&self) -> u64 {
        self.name.bytes.len() as u64 ^ (self.value.len() as u64) << 16
    }

    /// Whether it is the field with this name, in lower case but for its own, and this value.
    #[inline]
    pub(super) fn is(&self, (name, value): (&[u8], &[u8])) -> bool {
        self.word == word(value) && self.name.is(name) && self.has_front_of(value)
    }

    /// Whether the value is `other`, which ends alike. Without a call: that would cost more than the comparison.
    #[inline]
    fn has_front_of(&self, other: &[u8]) -> bool {
        if self.value.len() != other.len() {
            return false;
        }
        if let Some(last) = self.value.last_chunk::<16>()
            && let Some(other_last) = other.last_chunk::<16>()
        {
            let (chunks, other_chunks) = (self.value.as_chunks::<16>().0, other.as_chunks::<16>().0);
            return last == other_last && chunks.iter().zip(other_chunks).all(|(chunk, other)| chunk == other);
        }
        if let Some(first) = self.value.first_chunk::<8>()
            && let Some(other_first) = other.first_chunk::<8>()
        {
            return first == other_first;
        }
        true
    }
}

/// What is remembered of a field, so that another one is rarely compared with all of it.
#[derive(Clone, Copy)]
pub(super) struct Digest {
    name: u64,
    value: u64,
    lengths: u32,
}

impl Digest {
    /// That of no field.
    pub(super) const NONE: Self = Self { name: 0, value: 0, lengths: u32::MAX };

    /// That of `pair`, with its name in lower case.
    pub(super) const fn of(pair: &Pair<'_>) -> Self {
        Self { name: lowered(pair.name.word), value: pair.word, lengths: pair.lengths() as u32 }
    }

    /// Whether it is that of `pair`, whose field `get` gets if need be.
    #[inline]
    pub(super) fn is_of<'a>(&self, pair: &Pair<'_>, get: impl FnOnce() -> Option<(&'a [u8], &'a [u8])>) -> bool {
        if self.lengths != pair.lengths() as u32 || self.value != pair.word || !is_lowered(pair.name.word, self.name) {
            return false;
        }
        if pair.name.bytes.len() <= 8 && pair.value.len() <= 8 {
            return true;
        }
        get().is_some_and(|(name, value)| pair.name.has_front_of(name) && pair.has_front_of(value))
    }
}

/// Whether `lower` has the words of `bytes` in lower case, as far as they are whole.
fn are_lowered(bytes: &[u8], lower: &[u8]) -> bool {
    let mut words = bytes.as_chunks().0.iter().zip(lower.as_chunks().0);
    words.all(|(word, lower)| is_lowered(u64::from_le_bytes(*word), u64::from_le_bytes(*lower)))
}

/// Whether `lower` is `word` in lower case.
#[inline]
const fn is_lowered(word: u64, lower: u64) -> bool {
    word == lower || lowered(word) == lower
}

/// Up to eight bytes: the last ones. With the length, all there is to know of no more than as many.
#[inline]
const fn word(bytes: &[u8]) -> u64 {
    if let Some(last) = bytes.last_chunk() {
        return u64::from_le_bytes(*last);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return (u32::from_le_bytes(*first) as u64) << 32 | u32::from_le_bytes(*last) as u64;
    }
    match *bytes {
        [first, second, .., last] => first as u64 | (second as u64) << 8 | (last as u64) << 16,
        [first, second] => first as u64 | (second as u64) << 8,
        [only] => only as u64,
        [] => 0,
    }
}

/// Eight bytes with their ASCII letters in lower case.
#[inline]
const fn lowered(word: u64) -> u64 {
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
                assert_eq!(lowered(u64::from_le_bytes(bytes)).to_le_bytes()[..], bytes.to_ascii_lowercase()[..]);
            }
        }
    }

    #[test]
    fn one_byte_makes_another_field_at_any_length() {
        for length in 0..70 {
            let name: Vec<u8> = (0..length).map(|at| b'a' + at as u8 % 26).collect();
            let upper = name.to_ascii_uppercase();
            let (pair, upper) = (Pair::new(&name, &name), Pair::new(&upper, &name));
            let known = (&name[..], &name[..]);
            for pair in [&pair, &upper] {
                assert!(pair.is(known) && pair.name.is(&name) && Digest::of(pair).is_of(&upper, || Some(known)));
            }
            assert_eq!((pair.hash(), pair.name.hash()), (upper.hash(), upper.name.hash()));
            let longer = [&name[..], b"x"].concat();
            assert!(!pair.name.is(&longer) && !pair.is((&name, &longer)));
            for at in 0..length {
                let mut other = name.clone();
                other[at] ^= 1;
                for (other, known) in
                    [(Pair::new(&name, &other), (&name, &other)), (Pair::new(&other, &name), (&other, &name))]
                {
                    assert!(!pair.is((known.0, known.1)) && !upper.is((known.0, known.1)) && !other.is((&name, &name)));
                    assert!(!Digest::of(&other).is_of(&upper, || Some((known.0, known.1))));
                }
            }
        }
    }
}
