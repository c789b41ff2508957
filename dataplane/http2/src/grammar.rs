//! What names and values may be (RFC 9113 §8.2.1, RFC 9110 §5, RFC 3986 §3.1).

/// The number of a `Content-Length` or of a status. None that is negative, or something else, to who reads it into a signed number of 64 bits.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0_i64, |number, digit| {
        let digit = digit.is_ascii_digit().then_some(i64::from(digit.wrapping_sub(b'0')))?;
        number.checked_mul(10)?.checked_add(digit)
    });
    number.map(i64::unsigned_abs)
}

/// Whether a name has no byte but those of tokens, without upper-case letters (RFC 9113 §8.2.1).
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| NAME[usize::from(*byte)])
}

const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let allowed = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
    let mut index = 0;
    while index < allowed.len() {
        table[allowed[index] as usize] = true;
        index += 1;
    }
    table
};

/// Whether a value can stand in a line, and does not begin or end with white space (RFC 9113 §8.2.1), which HTTP/1.1 would trim in
/// silence.
pub(crate) fn is_value(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    // Without an early end, so that many bytes are looked at in one step.
    let has_control =
        value.iter().fold(false, |found, byte| found | ((*byte < b' ' && *byte != b'\t') | (*byte == 0x7f)));
    !has_control && !is_blank(value.first()) && !is_blank(value.last())
}

/// Whether the value of a pseudo-field can stand in the first line or as a host.
pub(crate) fn is_word(value: &[u8]) -> bool {
    !value.iter().fold(false, |found, byte| found | ((*byte <= b' ') | (*byte == 0x7f)))
}

/// RFC 3986 §3.1.
pub(crate) fn is_scheme(scheme: &[u8]) -> bool {
    matches!(scheme, b"http" | b"https")
        || (scheme.first().is_some_and(u8::is_ascii_alphabetic)
            && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')))
}
