//! Query parameters: `application/x-www-form-urlencoded` as the URL standard parses it.

use std::borrow::Cow;

/// The decoded values of the parameter `name` in `query`, in order.
///
/// A parameter without `=` has the empty value; an empty piece between two `&` is no parameter.
pub fn values<'a>(query: &'a str, name: &'a [u8]) -> impl Iterator<Item = Cow<'a, [u8]>> {
    query.as_bytes().split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()).filter_map(move |piece| {
        let equals = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
        let (key, value) = (&piece[..equals], piece.get(equals + 1..).unwrap_or_default());
        (*decode(key) == *name).then(|| decode(value))
    })
}

/// Whether the piece of a query between two `&` is the parameter `name`.
pub fn is_named(piece: &[u8], name: &[u8]) -> bool {
    let equals = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
    !piece.is_empty() && *decode(&piece[..equals]) == *name
}

/// `+` becomes a space, `%xx` its byte; what is no escape stays as it is.
fn decode(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(raw);
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((first, after)) = rest.split_first() {
        (rest, _) = match (first, super::path::escaped_byte(rest)) {
            (b'+', _) => (after, decoded.push(b' ')),
            (_, Some(byte)) => (&rest[3..], decoded.push(byte)),
            (first, None) => (after, decoded.push(*first)),
        };
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        for (query, name, expected) in [
            ("a=1", "a", vec!["1"]),
            ("a=1&b=2&a=3", "a", vec!["1", "3"]),
            ("a", "a", vec![""]),
            ("a=", "a", vec![""]),
            ("=x", "", vec!["x"]),
            ("", "", vec![]),
            ("&&", "", vec![]),
            ("a=b=c", "a", vec!["b=c"]),
            ("%61+b=c%20d+e", "a b", vec!["c d e"]),
            ("a=%zz%4", "a", vec!["%zz%4"]),
            ("A=1", "a", vec![]),
        ] {
            let found: Vec<_> = values(query, name.as_bytes()).collect();
            let expected: Vec<_> = expected.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(found, expected, "{query} {name}");
        }
    }
}
