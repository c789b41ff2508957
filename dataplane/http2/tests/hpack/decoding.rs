//! What a block may be, and what is malformed.

use http2::hpack::{Decoder, Malformed};

use crate::{decode, fields, hex};

/// What a decoder with a table of 4096 bytes makes of `block`, given the field `a: b` before.
fn check(block: &[u8], expected: Result<&[(&str, &str)], Malformed>) {
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, b"\x40\x01a\x01b").unwrap();
    assert_eq!(decode(&mut decoder, block), expected.map(fields), "{block:x?}");
}

#[test]
fn an_index_names_a_field_of_either_table_or_is_malformed() {
    check(&[0x80], Err(Malformed));
    check(&[0x81], Ok(&[(":authority", "")]));
    check(&[0x80 | 61], Ok(&[("www-authenticate", "")]));
    check(&[0x80 | 62], Ok(&[("a", "b")]));
    check(&[0x80 | 63], Err(Malformed));
    check(&hex("ff00"), Err(Malformed));
    check(&hex("ff80 8080 00"), Err(Malformed));
    check(&hex("ff80 ffff ff0f"), Err(Malformed));
    check(&hex("ffff ffff ffff ffff ffff 7f"), Err(Malformed));
    check(&[0x82, 0xff], Err(Malformed));
    // The name of a literal.
    check(b"\x7e\x01c", Ok(&[("a", "c")]));
    check(b"\x7f\x00\x01c", Err(Malformed));
    check(b"\x0f\x2f\x01c", Ok(&[("a", "c")]));
    check(b"\x1f\x2f\x01c", Ok(&[("a", "c")]));
    check(b"\x0f\x30\x01c", Err(Malformed));
    check(b"\x0f\xff\xff\xff\xff\xff\xff\x01c", Err(Malformed));
}

#[test]
fn empty_blocks_names_and_values_are_no_fault() {
    check(b"", Ok(&[]));
    check(b"\x00\x00\x00", Ok(&[("", "")]));
    check(b"\x40\x80\x80\xbe", Ok(&[("", ""), ("", "")]));
}

#[test]
fn size_updates_are_at_the_start_and_at_most_what_was_announced() {
    // 4096 is 31 + 4065, and that is 0xe1 0x1f.
    check(&hex("3fe1 1f be"), Ok(&[("a", "b")]));
    check(&hex("3fe2 1f be"), Err(Malformed));
    check(&hex("3fe1 1f"), Ok(&[]));
    check(&hex("22 be"), Err(Malformed));
    check(&hex("20 3fe1 1f be"), Err(Malformed));
    check(&hex("20 3fe1 1f 82"), Ok(&[(":method", "GET")]));
    check(&hex("20 21 22 3fe1 1f 82"), Ok(&[(":method", "GET")]));
    check(&hex("82 20"), Err(Malformed));
    check(&hex("82 3fe1 1f 82"), Err(Malformed));
    check(&hex("3f"), Err(Malformed));
    check(&hex("3fff ffff ffff ff"), Err(Malformed));
    // The entry is as large as the table, and larger by one byte.
    check(&hex("3f03 be"), Ok(&[("a", "b")]));
    check(&hex("3f02 be"), Err(Malformed));
}

#[test]
fn a_field_that_is_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::new(40);
    decode(&mut decoder, b"\x40\x01a\x01b").unwrap();
    assert!(decode(&mut decoder, &[0xbe]).is_ok());
    decode(&mut decoder, b"\x40\x01a\x08bbbbbbbb").unwrap();
    assert_eq!(decode(&mut decoder, &[0xbe]), Err(Malformed));
    // One that has the name of the field that is evicted for it.
    let mut decoder = Decoder::new(40);
    assert_eq!(
        decode(&mut decoder, b"\x40\x01a\x01b\x7e\x02cc\xbe").unwrap(),
        fields(&[("a", "b"), ("a", "cc"), ("a", "cc")])
    );
}

#[test]
fn a_table_of_no_bytes_keeps_nothing() {
    let mut decoder = Decoder::new(0);
    assert_eq!(decode(&mut decoder, b"\x40\x01a\x01b\x20").unwrap_err(), Malformed);
    assert_eq!(decode(&mut decoder, b"\x20\x40\x01a\x01b").unwrap(), fields(&[("a", "b")]));
    assert_eq!(decode(&mut decoder, &[0xbe]), Err(Malformed));
}

#[test]
fn a_string_that_is_cut_is_malformed_wherever_that_is() {
    for block in [
        &b"\x40\x0acustom-key\x0dcustom-header"[..],
        &hex("0088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"),
        &hex("1f2f 8925 a849 e95b b8e8 b4bf"),
        &[b"\x41\x7f\x81\x01".to_vec(), vec![b'x'; 256]].concat(),
    ] {
        for length in 1..block.len() {
            check(&block[..length], Err(Malformed));
        }
        let mut decoder = Decoder::new(4096);
        decode(&mut decoder, b"\x40\x01a\x01b").unwrap();
        assert_eq!(decode(&mut decoder, block).unwrap().len(), 1);
    }
    check(b"\x00\x7f\xff\xff\xff\xff\x0f", Err(Malformed));
    check(b"\x00\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Err(Malformed));
}

#[test]
fn padding_is_less_than_a_byte_of_ones() {
    // `0` is 00000 and `&` is 11111000 (RFC 7541 §5.2).
    check(&hex("04 81 07"), Ok(&[(":path", "0")]));
    check(&hex("04 81 06"), Err(Malformed));
    check(&hex("04 82 07 ff"), Err(Malformed));
    check(&hex("04 81 f8"), Ok(&[(":path", "&")]));
    check(&hex("04 82 f8 ff"), Err(Malformed));
    check(&hex("04 84 ff ff ff ff"), Err(Malformed));
    check(&hex("00 81 06 00"), Err(Malformed));
}

#[test]
fn every_field_is_decoded_in_order_and_the_table_stays_in_step() {
    let mut decoder = Decoder::new(4096);
    let mut ignored = 0;
    decoder.decode(b"\x40\x01a\x01b\x40\x01c\x01d", |_, _| ignored += 1).unwrap();
    assert_eq!(ignored, 2);
    assert_eq!(decode(&mut decoder, &[0xbe, 0xbf, 0xbe]).unwrap(), fields(&[("c", "d"), ("a", "b"), ("c", "d")]));
}
