//! Which bytes may stand where, and comma-separated lists.

const TOKEN: u8 = 1;
const VALUE: u8 = 2;
const TARGET: u8 = 4;
const HOST: u8 = 8;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() || is_any_of(b, b"!#$%&'*+-.^_`|~") {
            classes[byte] |= TOKEN;
        }
        if b == b'\t' || (b >= b' ' && b != 0x7f) {
            classes[byte] |= VALUE;
        }
        if b.is_ascii_graphic() && b != b'#' {
            classes[byte] |= TARGET;
        }
        if b.is_ascii_alphanumeric() || is_any_of(b, b"-._~!$&'()*+;=%:[]") {
            classes[byte] |= HOST;
        }
        byte += 1;
    }
    classes
}

const fn is_any_of(byte: u8, set: &[u8]) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

/// `tchar` of RFC 9110 §5.6.2: methods, field names, list members.
#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// A byte of a field value, reason phrase or quoted string: HTAB, SP, VCHAR and obs-text.
#[inline]
pub(crate) fn is_value_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & VALUE != 0
}

/// A byte of a request target: visible ASCII but `#`, since a target has no fragment. What of it a path may hold is the
/// canonical path's decision.
#[inline]
pub(crate) fn is_target_byte(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TARGET != 0
}

/// Whether all bytes may stand in `host[:port]`. Without the comma, which RFC 3986 has: two hosts in one field must not pass
/// for one.
#[inline]
pub(crate) fn is_host(text: &[u8]) -> bool {
    // Almost always so; not to stop at a byte that is not makes the loop cheaper.
    text.iter().fold(HOST, |class, byte| class & CLASSES[usize::from(*byte)]) != 0
}

/// Whether all of `text` is a token.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

/// A number of digits only, below 2^64. More than 20 digits are no number that anyone means.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    // Nineteen digits fit in any case.
    let (first, last) = digits.split_at(digits.len().min(19));
    let mut number = 0;
    for byte in first {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    match last {
        [] => Some(number),
        [byte @ b'0'..=b'9'] => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    }
}

/// The members of a comma-separated list without quoted strings; empty ones are left out (RFC 9110 §5.6.1.2).
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|member| !member.is_empty())
}

/// Without the spaces and tabs at both ends.
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_that_fit() {
        for text in [
            "0",
            "7",
            "0042",
            "1024",
            "9999999999999999999",
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999",
            "09999999999999999999",
        ] {
            assert_eq!(number(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for text in ["", "+1", "-1", "1 ", " 1", "1a", "/", ":", "1999999999999999999x", "000000000000000000001"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }
}
