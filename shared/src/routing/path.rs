//! The one canonical form of a request path: router, rules, log and upstream see the same text.

use std::borrow::Cow;

use super::plain;
use crate::config::{EncodedSlashes, PathStyle};

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("the path does not start with '/'")]
    NotAbsolute,
    /// A byte that must not stand in a path, not even to be escaped by us.
    #[error("the path holds the byte 0x{byte:02x} at {at}, which must be percent-encoded")]
    ForbiddenByte {
        /// The byte.
        byte: u8,
        /// Its position.
        at: usize,
    },
    /// `%` without two hexadecimal digits after it.
    #[error("the path has a '%' at {at} that two hexadecimal digits do not follow")]
    BadEscape {
        /// The position of the `%`.
        at: usize,
    },
    /// `%00`: no path has a NUL, but much software ends a text there.
    #[error("the path has a %00 at {at}")]
    EncodedNul {
        /// The position of the `%`.
        at: usize,
    },
    /// `%2F` where the listener refuses it.
    #[error("the path has a %2F at {at}, which is refused here")]
    EncodedSlash {
        /// The position of the `%`.
        at: usize,
    },
}

/// What may be done with a raw byte of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Stays: `unreserved`, `sub-delims`, `:` and `@` of RFC 3986 §3.3, but the dot.
    Plain,
    /// Stays, unless it is (part of) a dot segment.
    Dot,
    /// Separates segments.
    Slash,
    /// Begins an escape.
    Percent,
    /// Is percent-encoded: not allowed, but meant as it stands by all who send it.
    Encode,
    /// Is refused.
    Forbidden,
}

static CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Forbidden; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'.' => Class::Dot,
            b'/' => Class::Slash,
            b'%' => Class::Percent,
            b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => Class::Encode,
            b'#' | b'?' | b'\\' => Class::Forbidden,
            b'!'..=b'~' => Class::Plain,
            _ => Class::Forbidden,
        };
        byte += 1;
    }
    classes
}

/// Brings a request path, without query, into its canonical form of the default style. Idempotent; the result is ASCII.
///
/// # Errors
/// Names the first byte that cannot stand.
pub fn canonicalize(raw: &[u8]) -> Result<Cow<'_, str>, PathError> {
    canonicalize_in(raw, PathStyle::default())
}

/// Brings a request path, without query, into its canonical form of `style`. Idempotent; the result is ASCII.
///
/// - Escapes of unreserved characters are decoded (RFC 3986 §6.2.2.2), all others stay, with upper-case digits. So `%2F` is
///   no separator, unless the style says so.
/// - Raw bytes that a path may not hold but that clients send, such as `|`, are percent-encoded. Control bytes, space,
///   non-ASCII, `#`, `?` and backslash are refused: the next reader might take them for something else.
/// - Then empty segments are left out (`//` is `/`), unless the style keeps them, and then dot segments are removed (RFC 3986 §5.2.4), never above
///   the root.
///
/// A path that is canonical already, as almost all are, is borrowed.
///
/// # Errors
/// Names the first byte that cannot stand.
pub fn canonicalize_in(raw: &[u8], style: PathStyle) -> Result<Cow<'_, str>, PathError> {
    if raw.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    // What is canonical when slashes are merged is so when they are not.
    if plain::is_path(raw)
        || is_canonical(raw) && (style.encoded_slashes == EncodedSlashes::Keep || encoded_slash(raw).is_none())
    {
        return Ok(Cow::Borrowed(std::str::from_utf8(raw).expect("only ASCII is canonical")));
    }
    if style.encoded_slashes == EncodedSlashes::Refuse
        && let Some(at) = encoded_slash(raw)
    {
        return Err(PathError::EncodedSlash { at });
    }
    let escaped = unify_escapes(raw, style.encoded_slashes == EncodedSlashes::Decode)?;
    let canonical = remove_dot_segments(&escaped, style.merge_slashes);
    Ok(Cow::Owned(String::from_utf8(canonical).expect("other bytes than ASCII were refused")))
}

/// Whether a path is as most are: ASCII, and [`canonicalize_in`] changes nothing in any style.
pub fn is_plain(raw: &[u8]) -> bool {
    raw.first() == Some(&b'/') && plain::is_path(raw)
}

/// Where the first `%2F` stands.
fn encoded_slash(path: &[u8]) -> Option<usize> {
    path.windows(3).position(|window| matches!(window, b"%2F" | b"%2f"))
}

/// One pass, no writing: whether `canonicalize` would change nothing.
fn is_canonical(path: &[u8]) -> bool {
    let mut after_slash = false;
    for (at, byte) in path.iter().enumerate() {
        let is_slash = match CLASSES[usize::from(*byte)] {
            Class::Plain => false,
            Class::Slash if !after_slash => true,
            Class::Dot if !(after_slash && starts_dot_segment(&path[at..])) => false,
            Class::Percent if is_canonical_escape(&path[at..]) => false,
            _ => return false,
        };
        after_slash = is_slash;
    }
    true
}

fn starts_dot_segment(rest: &[u8]) -> bool {
    matches!(rest, [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..])
}

fn is_canonical_escape(rest: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
    rest.iter().skip(1).take(2).all(is_digit)
        && escaped_byte(rest).is_some_and(|byte| byte != 0 && !is_unreserved(byte))
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The byte of the escape with which `rest` begins.
pub(super) fn escaped_byte(rest: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = *rest else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Decodes and encodes, so that every character has one spelling.
fn unify_escapes(raw: &[u8], decodes_slashes: bool) -> Result<Vec<u8>, PathError> {
    let mut out = Vec::with_capacity(raw.len() + 16);
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        match CLASSES[usize::from(byte)] {
            Class::Plain | Class::Dot | Class::Slash => out.push(byte),
            Class::Encode => push_escape(&mut out, byte),
            Class::Forbidden => return Err(PathError::ForbiddenByte { byte, at }),
            Class::Percent => {
                match escaped_byte(&raw[at..]).ok_or(PathError::BadEscape { at })? {
                    0 => return Err(PathError::EncodedNul { at }),
                    byte if is_unreserved(byte) || (decodes_slashes && byte == b'/') => out.push(byte),
                    byte => push_escape(&mut out, byte),
                }
                at += 2;
            }
        }
        at += 1;
    }
    Ok(out)
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// Leaves out empty segments, if they are to be merged, then `.` and `..` with what they stand for.
fn remove_dot_segments(path: &[u8], merge_slashes: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut ends_with_slash = false;
    // The first `/` has nothing in front of it.
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        ends_with_slash = true;
        match segment {
            b"" if !merge_slashes && segments.peek().is_some() => out.push(b'/'),
            b"" | b"." => {}
            b".." => out.truncate(out.iter().rposition(|byte| *byte == b'/').unwrap_or(0)),
            segment => {
                out.push(b'/');
                out.extend_from_slice(segment);
                ends_with_slash = false;
            }
        }
    }
    if ends_with_slash {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_styles_of_slashes() {
        let style = |merge_slashes, encoded_slashes| PathStyle { merge_slashes, encoded_slashes };
        let kept = style(false, EncodedSlashes::Keep);
        let decoded = style(true, EncodedSlashes::Decode);
        let both = style(false, EncodedSlashes::Decode);
        let refused = style(true, EncodedSlashes::Refuse);
        for (style, raw, canonical) in [
            (kept, "//", Ok("//")),
            (kept, "/a//b", Ok("/a//b")),
            (kept, "/a//", Ok("/a//")),
            (kept, "/a//../b", Ok("/a/b")),
            (kept, "/a/./b%2fc", Ok("/a/b%2Fc")),
            (kept, "/../../b", Ok("/b")),
            (kept, "/a/b/..", Ok("/a/")),
            (decoded, "/a%2fb", Ok("/a/b")),
            (decoded, "/a%2F%2e%2e%2Fb", Ok("/b")),
            (decoded, "/a/%2Fb", Ok("/a/b")),
            (decoded, "/a%252Fb", Ok("/a%252Fb")),
            (both, "/a%2F%2Fb", Ok("/a//b")),
            (refused, "/a/b", Ok("/a/b")),
            (refused, "/a%2Fb", Err(PathError::EncodedSlash { at: 2 })),
            (refused, "/a/../%2f", Err(PathError::EncodedSlash { at: 6 })),
        ] {
            assert_eq!(
                canonicalize_in(raw.as_bytes(), style).as_deref(),
                canonical.as_ref().map(|text| *text),
                "{raw}"
            );
        }
    }

    #[test]
    fn canonical_forms() {
        for (raw, canonical) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/", "/a/"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/a..", "/a.."),
            ("//", "/"),
            ("//a///b//", "/a/b/"),
            ("/a/./b", "/a/b"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/../b", "/b"),
            ("/..", "/"),
            ("/../../etc/passwd", "/etc/passwd"),
            ("/a//../b", "/b"),
            ("/%2e%2E/a", "/a"),
            ("/a/.%2e/b", "/b"),
            ("/%61%7Eb", "/a~b"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%2F..%2fb", "/a%2F..%2Fb"),
            ("/%252e", "/%252e"),
            ("/%3a", "/%3A"),
            ("/:@!$&'()*+,;=-._~", "/:@!$&'()*+,;=-._~"),
            ("/\"<>[]^`{|}", "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D"),
            ("/%5C%20%c3%A9", "/%5C%20%C3%A9"),
        ] {
            assert_eq!(canonicalize(raw.as_bytes()).as_deref(), Ok(canonical), "{raw}");
        }
    }

    #[test]
    fn refused_paths() {
        for (raw, error) in [
            (&b""[..], PathError::NotAbsolute),
            (b"a", PathError::NotAbsolute),
            (b"*", PathError::NotAbsolute),
            (b"/a b", PathError::ForbiddenByte { byte: b' ', at: 2 }),
            (b"/a?b", PathError::ForbiddenByte { byte: b'?', at: 2 }),
            (b"/#", PathError::ForbiddenByte { byte: b'#', at: 1 }),
            (b"/a\\..\\b", PathError::ForbiddenByte { byte: b'\\', at: 2 }),
            (b"/\r\n", PathError::ForbiddenByte { byte: b'\r', at: 1 }),
            (b"/\0", PathError::ForbiddenByte { byte: 0, at: 1 }),
            (b"/\x7f", PathError::ForbiddenByte { byte: 0x7f, at: 1 }),
            ("/é".as_bytes(), PathError::ForbiddenByte { byte: 0xc3, at: 1 }),
            (b"/%00", PathError::EncodedNul { at: 1 }),
            (b"/%", PathError::BadEscape { at: 1 }),
            (b"/%4", PathError::BadEscape { at: 1 }),
            (b"/a%zz", PathError::BadEscape { at: 2 }),
            (b"/%+1", PathError::BadEscape { at: 1 }),
            (b"/%%41", PathError::BadEscape { at: 1 }),
        ] {
            assert_eq!(canonicalize(raw), Err(error), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn canonical_paths_are_borrowed() {
        for path in ["/", "/index.html", "/a/b.c/..d/%2F", "/.a/"] {
            assert!(matches!(canonicalize(path.as_bytes()), Ok(Cow::Borrowed(_))), "{path}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_bytes_are_canonical_or_refused(raw in proptest::collection::vec(any::<u8>(), 0..40)) {
            check(&raw)?;
        }

        #[test]
        fn any_path_is_canonical_or_refused(raw in "/(/|\\.|%2[eEfF]|%[0-9a-fA-F]{2}|[a-c]|[!-~]){0,20}") {
            check(raw.as_bytes())?;
        }
    }

    fn check(raw: &[u8]) -> Result<(), TestCaseError> {
        for style in [true, false].into_iter().flat_map(|merge_slashes| {
            [EncodedSlashes::Keep, EncodedSlashes::Decode, EncodedSlashes::Refuse]
                .map(|encoded_slashes| PathStyle { merge_slashes, encoded_slashes })
        }) {
            check_in(raw, style)?;
        }
        Ok(())
    }

    fn check_in(raw: &[u8], style: PathStyle) -> Result<(), TestCaseError> {
        if is_plain(raw) {
            prop_assert!(is_canonical(raw) && encoded_slash(raw).is_none());
        }
        let Ok(path) = canonicalize_in(raw, style) else { return Ok(()) };
        prop_assert!(path.starts_with('/') && (!style.merge_slashes || !path.contains("//")));
        prop_assert!(style.encoded_slashes == EncodedSlashes::Keep || !path.contains("%2F"));
        prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
        prop_assert!(path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/%-._~!$&'()*+,;=:@".contains(&b)));
        for (at, _) in path.match_indices('%') {
            let byte = escaped_byte(&path.as_bytes()[at..]);
            prop_assert!(byte.is_some_and(|byte| byte != 0 && !is_unreserved(byte)));
        }
        let again = canonicalize_in(path.as_bytes(), style);
        prop_assert_eq!(again.as_deref(), Ok(&*path));
        prop_assert!(!style.merge_slashes || matches!(again, Ok(Cow::Borrowed(_))));
        Ok(())
    }
}
