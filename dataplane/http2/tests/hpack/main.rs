//! Tests of HPACK by its public interface: the examples of RFC 7541, rule tables, properties, and another implementation on the
//! same bytes. One module per subject.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod decoding;
mod encoding;
mod examples;
mod properties;

use http2::hpack::{Decoder, Malformed};

/// Names and values in order.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The fields of a block.
fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, Malformed> {
    let mut fields = Fields::new();
    decoder.decode(block, |name, value| fields.push((name.to_vec(), value.to_vec())))?;
    Ok(fields)
}

/// The bytes that `text` has in hexadecimal digits, with spaces among them.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Fields of text.
fn fields(text: &[(&str, &str)]) -> Fields {
    text.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}
