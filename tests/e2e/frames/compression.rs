//! §4.3 and RFC 7541: header blocks.

use anyhow::ensure;
use harness::h2::{Frame, H2Client, code::*, encode_fields, encode_integer, flag, kind};

use super::{
    case::{
        Case,
        Outcome::{Answered, Ended, Reset, Told},
        case,
    },
    message::{EVIL, block, get, get_with, pseudo},
    table,
};

const BROKEN: &[u32] = &[COMPRESSION_ERROR];

/// `:method: GET`, `:scheme: http`, `:path: /` from the static table, and `:authority: h`.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x01, 1, b'h'];

/// The first entry of the dynamic table.
const NEWEST: u8 = 0x80 | 62;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let all_of = |tail: &[u8]| block(1, [&encode_fields(&pseudo("GET", EVIL)), tail].concat());
    for (section, what, tail) in [
        ("RFC 7541 §6.1", "index 0", &[0x80][..]),
        ("RFC 7541 §2.3.3", "an index of nothing", &[NEWEST]),
        ("RFC 7541 §2.3.3", "a huge index", &[0xff, 0xff, 0xff, 0xff, 0x07]),
        ("RFC 7541 §2.3.3", "a name that is indexed and is not there", &[0x40 | 63, 1, b'x']),
        (
            "RFC 7541 §5.1",
            "an index that never ends",
            &[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        ),
        ("RFC 7541 §5.1", "an index that is cut off", &[0xff, 0x80]),
        ("RFC 7541 §5.2", "a name that is cut off", &[0x00, 5, b'a']),
        ("RFC 7541 §5.2", "a literal without a value", &[0x00, 1, b'a']),
        ("RFC 7541 §5.2", "a value that is cut off", &[0x00, 1, b'a', 5, b'b']),
        ("RFC 7541 §5.2", "Huffman padding of more than 7 bits", &[0x00, 1, b'a', 0x82, 0x1f, 0xff]),
        ("RFC 7541 §5.2", "Huffman padding that is not the most significant bits of EOS", &[0x00, 1, b'a', 0x81, 0x18]),
        ("RFC 7541 §5.2", "Huffman text with EOS", &[0x00, 1, b'a', 0x84, 0xff, 0xff, 0xff, 0xff]),
        ("RFC 7541 §4.2", "a change of the table's size behind fields", &[0x20]),
    ] {
        cases.push(case(section, what, &[all_of(tail)], Ended(BROKEN)));
    }
    let mut too_large = Vec::new();
    encode_integer(&mut too_large, 5, 0x20, 4097);
    let mut largest = Vec::new();
    encode_integer(&mut largest, 5, 0x20, 4096);
    // Literals with incremental indexing of `x-a: 1`.
    let indexed: &[u8] = &[0x40, 3, b'x', b'-', b'a', 1, b'1'];
    let first = block(1, [GET, indexed].concat());
    let second = block(3, [GET, &[NEWEST]].concat());
    let second_without = Frame { payload: [&[0x20], &second.payload[..]].concat(), ..second.clone() };
    cases.extend([
        case(
            "RFC 7541 §4.2",
            "a table that is larger than allowed",
            &[block(1, [&too_large, GET].concat())],
            Ended(BROKEN),
        ),
        case(
            "RFC 7541 §4.2",
            "two changes of the table's size",
            &[block(1, [&[0x20], &largest[..], GET].concat())],
            Answered(200),
        )
        .forwards(&["GET / HTTP/1.1", "host: h"]),
        case("RFC 7541 §6.1", "fields of the static table", &[block(1, GET)], Answered(200))
            .forwards(&["GET / HTTP/1.1"]),
        case("RFC 7541 §6.2.1", "a field of an earlier request", &[first.clone(), second.clone()], Answered(200))
            .on(3)
            .forwards(&["GET / HTTP/1.1", "x-a: 1"]),
        case("RFC 7541 §4.3", "a field that the change of the size has evicted", &[first], Ended(BROKEN))
            .after(1)
            .then(&[second_without]),
        case(
            "RFC 7541 §4.4",
            "an entry that is larger than the table empties it",
            &[large_entry(), second.clone()],
            Ended(BROKEN),
        ),
        case(
            "RFC 7541 §6.2.3",
            "a field that is never indexed",
            &[block(1, [GET, &[0x10, 3, b'x', b'-', b'a', 1, b'1']].concat())],
            Answered(200),
        )
        .forwards(&["GET / HTTP/1.1", "x-a: 1"]),
        case(
            "RFC 7541 §5.2",
            "Huffman text",
            &[block(1, [GET, &[0x00, 3, b'x', b'-', b'a', 0x81, 0x1f]].concat())],
            Answered(200),
        )
        .forwards(&["GET / HTTP/1.1", "x-a: a"]),
        // What is refused is decoded all the same: the table is that of the connection.
        case(
            "§4.3",
            "a field of a request that was malformed",
            &[block(1, [&[0x82, 0x84][..], indexed].concat()), second.clone()],
            Answered(200),
        )
        .on(3)
        .forwards(&["GET / HTTP/1.1", "x-a: 1"]),
        case(
            "§4.3",
            "a field of a head that is too large",
            &[
                Frame { flags: flag::END_STREAM, ..block(1, [GET, indexed, &filler(15_000)].concat()) },
                Frame::new(kind::CONTINUATION, flag::NONE, 1, filler(16_000)),
                Frame::new(kind::CONTINUATION, flag::END_HEADERS, 1, filler(16_000)),
            ],
            Answered(431),
        )
        .unprobed(),
        case(
            "§4.3",
            "a field of trailers of a stream that was reset",
            &[get_with(1, EVIL, &[("connection", "close")])],
            Answered(200),
        )
        .after_reset(1)
        .then(&[block(1, indexed), second.clone()])
        .on(3)
        .forwards(&["GET / HTTP/1.1", "x-a: 1"]),
        case("§8.1.1", "a block without any field", &[block(1, [])], Reset(&[PROTOCOL_ERROR])),
        case("RFC 7541 §4.2", "a client without a table for our fields", &[get(1, "/abc")], Told(without_table))
            .settings(&[(1, 0)]),
    ]);
    cases
}

/// A request with a field that no table takes, and that is indexed behind `x-a`.
fn large_entry() -> Frame {
    let mut payload = [GET, &[0x40, 3, b'x', b'-', b'a', 1, b'1', 0x40, 1, b'y']].concat();
    encode_integer(&mut payload, 7, 0, 5000);
    payload.extend([b'y'; 5000]);
    block(1, payload)
}

/// A literal with a value of so many bytes.
fn filler(length: usize) -> Vec<u8> {
    encode_fields(&[("x-fill", &"f".repeat(length))])
}

/// Our blocks say that the table is empty, and use none.
fn without_table(client: &mut H2Client) -> anyhow::Result<()> {
    for stream in [1, 3] {
        let head = loop {
            let frame = client.read_frame()?.ok_or_else(|| anyhow::anyhow!("the connection ends"))?;
            if frame.kind == kind::HEADERS {
                break frame;
            }
        };
        ensure!(stream != 1 || head.payload[0] == 0x20, "no change of the size: {:?}", head.payload);
        let fields = client.fields(&head)?;
        ensure!(fields[0] == (":status".into(), "200".into()), "{fields:?}");
        if stream == 1 {
            client.send_frame(&get(3, "/abc"))?;
        }
    }
    Ok(())
}

#[test]
fn header_blocks() {
    table::run(&cases());
}
