//! Header lines as bytes: a name, a colon, a value, and a line break each.

pub(super) use http2::lines as of;

/// The first line of `head`, with its line break, and what stands behind it.
pub(super) fn split(head: &[u8]) -> (&[u8], &[u8]) {
    head.split_at(head.iter().position(|byte| *byte == b'\n').map_or(head.len(), |at| at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_the_block_or_an_empty_one() {
        let expected: [(&[u8], &[u8]); 3] = [(b"A", b"1 2"), (b"b", b""), (b"c", b"x:y")];
        for rest in ["", "\r\n", "\r\nd: 1\r\n"] {
            let block = format!("A:  1 2\t\r\nb: \r\nc: x:y\r\n{rest}");
            assert_eq!(of(block.as_bytes()).collect::<Vec<_>>(), expected, "{rest:?}");
        }
        assert_eq!(of(b"").count(), 0);
        let (line, rest) = split(b"GET /a:b HTTP/1.1\r\nx: 1\r\n\r\n");
        assert_eq!((line, of(rest).count()), (&b"GET /a:b HTTP/1.1\r\n"[..], 1));
        assert_eq!(split(b"GET"), (&b"GET"[..], &b""[..]));
    }
}
