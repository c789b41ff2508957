use shared::value::FieldName;

/// A small set of names of fields.
#[derive(Debug)]
pub(super) struct Names {
    /// One bit for each length that a name has, so that most lines are passed over at once.
    lengths: u64,
    /// In lower case.
    names: Box<[Box<[u8]>]>,
}

impl Names {
    pub(super) fn new(names: &[FieldName]) -> Self {
        let names: Box<[Box<[u8]>]> = names.iter().map(|name| name.as_str().as_bytes().into()).collect();
        Self { lengths: names.iter().fold(0, |lengths, name| lengths | bit(name)), names }
    }

    /// Whether `name`, in any case, is one of them.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.lengths & bit(name) != 0 && self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether `name`, in any case, is one of them or looks like one: another byte than a letter or a digit where it has a
    /// hyphen.
    pub(super) fn has_like(&self, name: &[u8]) -> bool {
        self.lengths & bit(name) != 0 && self.names.iter().any(|known| is_like(known, name))
    }
}

fn bit(name: &[u8]) -> u64 {
    1 << (name.len() % 64)
}

fn is_like(known: &[u8], name: &[u8]) -> bool {
    let is_same = |(known, byte): (&u8, &u8)| {
        *known == byte.to_ascii_lowercase() || (*known == b'-' && !byte.is_ascii_alphanumeric())
    };
    known.len() == name.len() && known.iter().zip(name).all(is_same)
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
}
