use shared::value::FieldName;

/// A small set of names of fields.
#[derive(Debug)]
pub(super) struct Names {
    /// One bit for each length that a name has, so that most lines are passed over at once.
    lengths: u64,
    names: Box<[Name]>,
}

#[derive(Debug)]
struct Name {
    /// In lower case.
    text: Box<[u8]>,
    key: Key,
    /// Which bits of it are of letters and digits.
    letters: Key,
    /// Whether the key tells the name: short, and nothing but letters, digits and hyphens.
    is_in_key: bool,
}

impl Names {
    pub(super) fn new(names: &[FieldName]) -> Self {
        let names: Box<[Name]> = names.iter().map(|name| Name::new(name.as_str().as_bytes())).collect();
        Self { lengths: names.iter().fold(0, |lengths, name| lengths | bit(&name.text)), names }
    }

    /// Whether `name`, in any case, is one of them.
    #[inline]
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.lengths & bit(name) != 0 && self.find(name, Name::is)
    }

    /// Whether `name`, in any case, is one of them or looks like one: another byte than a letter or a digit where it has a
    /// hyphen.
    #[inline]
    pub(super) fn has_like(&self, name: &[u8]) -> bool {
        self.lengths & bit(name) != 0 && self.find(name, Name::is_like)
    }

    fn find(&self, name: &[u8], is: fn(&Name, &[u8]) -> bool) -> bool {
        let key = Key::of(name);
        // Almost always only the very one passes the first test.
        let mut found = self.names.iter().filter(|known| known.text.len() == name.len() && known.may_be(key));
        found.any(|known| (known.is_in_key && known.key == key) || is(known, name))
    }
}

#[inline]
fn bit(name: &[u8]) -> u64 {
    1 << (name.len() % 64)
}

impl Name {
    fn new(text: &[u8]) -> Self {
        let letters: Vec<u8> = text.iter().map(|byte| if byte.is_ascii_alphanumeric() { 0xff } else { 0 }).collect();
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        // A token has no other byte that is one of these but for bit 5 and case.
        let is_in_key = text.len() <= Key::LEN && text.iter().all(is_plain);
        Self { text: text.into(), key: Key::of(text), letters: Key::of(&letters), is_in_key }
    }

    /// Whether the letters and digits in `key` are this name's.
    fn may_be(&self, key: Key) -> bool {
        ((key.first ^ self.key.first) & self.letters.first) | ((key.last ^ self.key.last) & self.letters.last) == 0
    }

    fn is(&self, name: &[u8]) -> bool {
        self.text.eq_ignore_ascii_case(name)
    }

    fn is_like(&self, name: &[u8]) -> bool {
        let is_same = |(known, byte): (&u8, &u8)| {
            *known == byte.to_ascii_lowercase() || (*known == b'-' && !byte.is_ascii_alphanumeric())
        };
        self.text.len() == name.len() && self.text.iter().zip(name).all(is_same)
    }
}

/// The first and the last eight bytes of a name, with bit 5 set in each, so that letters are in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    first: u64,
    last: u64,
}

impl Key {
    /// How long a name can be of which all is in it.
    const LEN: usize = 16;

    #[inline]
    fn of(name: &[u8]) -> Self {
        const LOWER: u64 = u64::from_ne_bytes([0x20; 8]);
        let (first, last) = if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
            (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
        } else {
            (name.iter().fold(0, |key, byte| (key << 8) | u64::from(*byte)), 0)
        };
        Self { first: first | LOWER, last: last | LOWER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_look_alikes_only_where_asked() {
        let names = Names::new(&["x-env".parse().unwrap(), "etag".parse().unwrap()]);
        for (name, same, like) in [
            ("X-Env", true, true),
            ("x_env", false, true),
            ("X.ENV", false, true),
            ("xaenv", false, false),
            ("x-enw", false, false),
            ("ETag", true, true),
            ("E-Tag", false, false),
            ("", false, false),
        ] {
            assert_eq!((names.has(name.as_bytes()), names.has_like(name.as_bytes())), (same, like), "{name}");
        }
    }

    #[test]
    fn one_other_byte_anywhere_is_another_name() {
        for known in [
            "a",
            "a-b",
            "etag",
            "x-env",
            "x-debug",
            "x-client",
            "x-client1",
            "x-frame-options",
            "x-content-type-options",
        ] {
            let names = Names::new(&[known.parse().unwrap()]);
            assert!(names.has(known.to_ascii_uppercase().as_bytes()) && !names.has(&known.as_bytes()[1..]));
            for at in 0..known.len() {
                for byte in b'!'..=b'~' {
                    let mut name = known.as_bytes().to_vec();
                    name[at] = byte;
                    let is_same = byte.eq_ignore_ascii_case(&known.as_bytes()[at]);
                    let is_like = is_same || (known.as_bytes()[at] == b'-' && !byte.is_ascii_alphanumeric());
                    assert_eq!(
                        (names.has(&name), names.has_like(&name)),
                        (is_same, is_like),
                        "{}",
                        name.escape_ascii()
                    );
                }
            }
        }
    }
}
