//! How the encoder represents a field.

use http2::hpack::{Decoder, Encoder, Indexing};

use crate::{decode, fields};

/// One block of one field.
fn block(encoder: &mut Encoder, name: &str, value: &str, indexing: Indexing) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.begin(&mut out);
    encoder.field(name.as_bytes(), value.as_bytes(), indexing, &mut out);
    out
}

#[test]
fn a_field_of_the_static_table_is_a_number() {
    for (name, value, expected) in [
        (":method", "GET", 2),
        (":method", "POST", 3),
        (":path", "/", 4),
        (":path", "/index.html", 5),
        (":scheme", "http", 6),
        (":scheme", "https", 7),
        (":status", "404", 13),
        ("Accept-Encoding", "gzip, deflate", 16),
        ("accept", "", 19),
    ] {
        for indexing in [Indexing::Yes, Indexing::No] {
            assert_eq!(block(&mut Encoder::new(), name, value, indexing), [0x80 | expected], "{name}: {value}");
        }
    }
    for (status, expected) in [(200, 8), (204, 9), (206, 10), (304, 11), (400, 12), (404, 13), (500, 14)] {
        let mut out = Vec::new();
        Encoder::new().status(status, &mut out);
        assert_eq!(out, [0x80 | expected]);
    }
}

#[test]
fn a_field_that_comes_again_is_a_number_the_second_time() {
    let mut encoder = Encoder::new();
    assert_eq!(block(&mut encoder, "X-A", "b", Indexing::Yes), b"\x40\x03x-a\x01b");
    assert_eq!(block(&mut encoder, "X-A", "b", Indexing::Yes), [0x80 | 62]);
    assert_eq!(block(&mut encoder, "x-a", "b", Indexing::Yes), [0x80 | 62]);
    assert_eq!(block(&mut encoder, "x-A", "c", Indexing::Yes), b"\x7e\x01c");
    assert_eq!(block(&mut encoder, "X-a", "b", Indexing::Yes), [0x80 | 63]);
    // Huffman coded where that is shorter.
    assert_eq!(block(&mut encoder, "server", "aaaaaaaa", Indexing::Yes), b"\x76\x85\x18\xc6\x31\x8c\x63");
    let mut out = Vec::new();
    for _ in 0..2 {
        encoder.status(302, &mut out);
    }
    assert_eq!(out, b"\x48\x82\x64\x02\xbe");
}

#[test]
fn a_field_that_does_not_come_again_or_is_secret_is_a_literal() {
    let mut encoder = Encoder::new();
    for _ in 0..2 {
        assert_eq!(block(&mut encoder, "Content-Length", "00000000", Indexing::No), b"\x0f\x0d\x0800000000");
        assert_eq!(block(&mut encoder, "X-A", "b", Indexing::No), b"\x00\x03x-a\x01b");
        assert_eq!(block(&mut encoder, "Cookie", "aaaaaaaa", Indexing::Never), b"\x1f\x11\x08aaaaaaaa");
        assert_eq!(block(&mut encoder, ":path", "/", Indexing::Never), b"\x14\x01/");
        assert_eq!(block(&mut encoder, "X-B", "b", Indexing::Never), b"\x10\x03x-b\x01b");
    }
    // The name may be in the dynamic table.
    block(&mut encoder, "x-b", "c", Indexing::Yes);
    assert_eq!(block(&mut encoder, "X-B", "b", Indexing::Never), b"\x1f\x2f\x01b");
    assert_eq!(block(&mut encoder, "X-B", "d", Indexing::No), b"\x0f\x2f\x01d");
}

#[test]
fn a_field_of_more_than_half_the_table_is_not_put_into_it() {
    let mut encoder = Encoder::new();
    block(&mut encoder, "x-a", "b", Indexing::Yes);
    let long = "1".repeat(2048 - 32 - 6);
    assert_eq!(block(&mut encoder, "server", &long, Indexing::Yes)[0], 0x76);
    assert_eq!(block(&mut encoder, "server", &(long + "1"), Indexing::Yes)[..2], [0x0f, 54 - 15]);
    assert_eq!(block(&mut encoder, "x-a", "b", Indexing::Yes), [0x80 | 63]);
}

#[test]
fn a_new_size_is_written_before_the_next_field_with_the_smallest_in_between() {
    for (sizes, expected) in [
        (&[4096][..], &b""[..]),
        (&[65_536], b""),
        (&[0], b"\x20"),
        (&[30], b"\x3e"),
        (&[31], b"\x3f\x00"),
        (&[100], b"\x3f\x45"),
        (&[100, 4096], b"\x3f\x45\x3f\xe1\x1f"),
        (&[0, 100], b"\x20\x3f\x45"),
        (&[100, 0], b"\x20"),
        (&[100, 0, u32::MAX], b"\x20\x3f\xe1\x1f"),
        (&[200, 100, 150], b"\x3f\x45\x3f\x77"),
    ] {
        let mut encoder = Encoder::new();
        sizes.iter().for_each(|size| encoder.set_max_size(*size));
        let mut out = Vec::new();
        encoder.begin(&mut out);
        assert_eq!(out, expected, "{sizes:?}");
        // Once.
        encoder.begin(&mut out);
        assert_eq!(out, expected, "{sizes:?}");
    }
}

#[test]
fn a_smaller_table_forgets() {
    let mut encoder = Encoder::new();
    block(&mut encoder, "x-a", "b", Indexing::Yes);
    encoder.set_max_size(0);
    encoder.set_max_size(4096);
    assert_eq!(block(&mut encoder, "x-a", "b", Indexing::Yes), b"\x20\x3f\xe1\x1f\x40\x03x-a\x01b");
    encoder.set_max_size(0);
    assert_eq!(block(&mut encoder, "x-a", "b", Indexing::Yes), b"\x20\x00\x03x-a\x01b");
    assert_eq!(block(&mut encoder, "x-a", "b", Indexing::Yes), b"\x00\x03x-a\x01b");
}

#[test]
fn each_of_many_fields_is_found_while_it_is_in_the_table() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    // A field counts 32 + 2 + 6 bytes, so that 102 fit. There are more of them in all than there are numbers.
    for turn in 0..700 {
        let values: Vec<String> = (0..102).map(|number| format!("{number:03}{turn:03}")).collect();
        for (name, longest) in [("x1", 11), ("X1", 2)] {
            for value in &values {
                let out = block(&mut encoder, name, value, Indexing::Yes);
                assert!(out.len() <= longest, "{value} in turn {turn}: {out:x?}");
                assert_eq!(decode(&mut decoder, &out).unwrap(), fields(&[("x1", value)]));
            }
        }
    }
}
