//! The static table (RFC 7541 appendix A).

use super::key::Name;

/// How many fields it has. The dynamic table is numbered from the next number on (RFC 7541 §2.3.3).
pub(super) const LEN: usize = 61;

/// The field of number `index`, from 1 on.
#[inline]
pub(super) fn get(index: usize) -> Option<(&'static [u8], &'static [u8])> {
    FIELDS.get(index.wrapping_sub(1)).copied()
}

/// The number of the first field that has this name.
#[inline]
pub(super) fn find(name: &Name<'_>) -> Option<usize> {
    let index = usize::from(SLOTS[slot(name.hash())]);
    let (found, _) = get(index)?;
    name.is(found).then_some(index)
}

/// The number of the field with this value, among those whose name that of number `first` is the first one to have.
#[inline]
pub(super) fn find_value(first: usize, value: &[u8]) -> Option<usize> {
    let fields = match first {
        2 | 4 | 6 => 2,
        8 => 7,
        16 => 1,
        // The others have no value.
        _ => return value.is_empty().then_some(first),
    };
    (first..first + fields).find(|index| get(*index).is_some_and(|(_, known)| known == value))
}

/// Where the number of a name with this hash is in [`SLOTS`].
const fn slot(hash: u64) -> usize {
    (hash >> 56) as usize
}

/// For each of 256 values of a name's hash the number of the first field with such a name, or 0. No two names meet: the
/// multiplier of the hash was chosen for that, and this does not compile otherwise.
static SLOTS: [u8; 256] = {
    let mut slots = [0; 256];
    let mut at = FIELDS.len();
    while at > 0 {
        at -= 1;
        let name = FIELDS[at].0;
        let slot = slot(Name::new(name).hash());
        let other = slots[slot] as usize;
        // Fields with the same name are neighbours.
        assert!(other == 0 || (other == at + 2 && FIELDS[at + 1].0.len() == name.len()), "two names have one slot");
        slots[slot] = at as u8 + 1;
    }
    slots
};

const FIELDS: [(&[u8], &[u8]); LEN] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_and_nothing_else() {
        for (at, (name, value)) in FIELDS.into_iter().enumerate() {
            let first = find(&Name::new(&name.to_ascii_uppercase())).expect("it is in the table");
            assert_eq!(get(first).map(|(name, _)| name), Some(name));
            assert_eq!(find_value(first, value), Some(at + 1));
            assert_eq!(find_value(first, b"other"), None);
            let mut other = name.to_vec();
            other[0] ^= 1;
            assert_eq!(find(&Name::new(&other)), None);
        }
        assert_eq!(find(&Name::new(b"")), None);
        assert!(get(0).is_none() && get(LEN).is_some() && get(LEN + 1).is_none());
    }
}
