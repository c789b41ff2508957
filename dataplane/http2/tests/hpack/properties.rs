//! What goes into an encoder comes out of a decoder, over many blocks: ours, and that of another implementation.

use httlib_hpack::{Decoder as OtherDecoder, Encoder as OtherEncoder};
use http2::hpack::{Decoder, Encoder, Indexing};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{Fields, decode, hex};

/// Field names: of the static table, in some case, and others.
const NAMES: &[&str] = &[
    ":method",
    ":path",
    ":scheme",
    ":authority",
    ":status",
    "accept-encoding",
    "Accept-Encoding",
    "Content-Type",
    "content-length",
    "Date",
    "SERVER",
    "strict-transport-security",
    "access-control-allow-origin",
    "cookie",
    "x",
    "ID",
    "dnt",
    "X-Request-Id",
    "x-a-name-that-is-longer-than-sixteen-bytes",
    "X-A-Name-That-Is-Longer-Than-Sixteen-Bytez",
];

const VALUES: &[&str] = &[
    "",
    "GET",
    "POST",
    "/",
    "/index.html",
    "http",
    "https",
    "gzip, deflate",
    "200",
    "404",
    "0",
    "12",
    "123",
    "1234",
    "text/html; charset=utf-8",
    "text/html; charset=utf-7",
    "Mon, 21 Oct 2013 20:13:21 GMT",
];

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => select(NAMES).prop_map(|name| name.as_bytes().to_vec()),
        1 => "[a-zA-Z0-9_-]{0,40}".prop_map(String::into_bytes),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => select(VALUES).prop_map(|value| value.as_bytes().to_vec()),
        2 => "[ -~]{0,60}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..200),
        1 => (any::<u8>(), 0..5000_usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Field(Vec<u8>, Vec<u8>, Indexing),
    Status(u16),
    /// The block ends, after which the peer may have said how large its table is.
    Block(Vec<u32>),
}

fn step() -> impl Strategy<Value = Step> {
    let indexing = select(&[Indexing::Yes, Indexing::Yes, Indexing::Yes, Indexing::No, Indexing::Never][..]);
    prop_oneof![
        12 => (name(), value(), indexing).prop_map(|(name, value, indexing)| Step::Field(name, value, indexing)),
        1 => (100..1000_u16).prop_map(Step::Status),
        1 => select(&[200_u16, 204, 206, 304, 400, 404, 500][..]).prop_map(Step::Status),
        2 => Just(Step::Block(Vec::new())),
        1 => vec(select(&[0, 40, 100, 1000, 4095, 4096, 65_536][..]), 1..4).prop_map(Step::Block),
    ]
}

/// One block with its fields as they should be read.
type Block = (Vec<u8>, Fields);

/// The blocks that an encoder makes.
fn encoded(steps: &[Step]) -> Vec<Block> {
    let mut encoder = Encoder::new();
    let mut blocks = vec![Block::default()];
    encoder.begin(&mut blocks[0].0);
    for step in steps {
        let (out, fields) = blocks.last_mut().unwrap();
        match step {
            Step::Field(name, value, indexing) => {
                encoder.field(name, value, *indexing, out);
                fields.push((name.to_ascii_lowercase(), value.clone()));
            }
            Step::Status(status) => {
                encoder.status(*status, out);
                fields.push((b":status".to_vec(), status.to_string().into_bytes()));
            }
            Step::Block(sizes) => {
                sizes.iter().for_each(|size| encoder.set_max_size(*size));
                let mut next = Block::default();
                encoder.begin(&mut next.0);
                blocks.push(next);
            }
        }
    }
    blocks
}

/// A piece of a block, more or less a representation.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let string = prop_oneof![
        4 => vec(any::<u8>(), 0..12).prop_map(|mut bytes| {
            bytes.insert(0, bytes.len() as u8);
            bytes
        }),
        // Huffman coded `0` to `t`, which have five bits, and some padding.
        2 => Just(hex("8a 0023 4567 89ab cdef 0123")),
        1 => Just(hex("82 1fff")),
        1 => Just(hex("81 1f")),
    ];
    let name =
        prop_oneof![(1..70_u8).prop_map(|index| vec![index]), string.clone().prop_map(|name| [vec![0], name].concat())];
    let literal = (select(&[0x00_u8, 0x10, 0x40, 0x40][..]), name, string).prop_map(|(first, mut name, value)| {
        name[0] = first | name[0].min(if first == 0x40 { 62 } else { 14 });
        [name, value].concat()
    });
    prop_oneof![
        8 => (1..68_u8).prop_map(|index| vec![0x80 | index]),
        16 => literal,
        1 => vec(any::<u8>(), 1..3),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_encoded_is_decoded(steps in vec(step(), 0..400)) {
        let (mut decoder, mut other) = (Decoder::new(4096), OtherDecoder::default());
        for (block, fields) in encoded(&steps) {
            let own = decode(&mut decoder, &block);
            prop_assert_eq!(own.as_ref(), Ok(&fields));
            let mut read = Vec::new();
            other.decode(&mut block.clone(), &mut read).unwrap();
            prop_assert_eq!(read.into_iter().map(|(name, value, _)| (name, value)).collect::<Fields>(), fields);
        }
    }

    #[test]
    fn what_another_encoder_makes_is_decoded(
        size in select(&[0, 40, 100, 1000, 4096][..]),
        blocks in vec(vec((name(), value(), 0..32_u8), 0..40), 0..20),
    ) {
        let mut encoder = OtherEncoder::with_dynamic_size(size);
        let mut decoder = Decoder::new(size);
        for fields in blocks {
            let mut block = Vec::new();
            for (name, value, flags) in &fields {
                encoder.encode((name.clone(), value.clone(), *flags), &mut block).unwrap();
            }
            let expected = fields.into_iter().map(|(name, value, _)| (name, value)).collect::<Fields>();
            prop_assert_eq!(decode(&mut decoder, &block), Ok(expected));
        }
    }

    #[test]
    fn a_block_of_any_bytes_is_decoded_as_by_another_or_malformed(blocks in vec(vec(fragment(), 0..20), 1..8)) {
        let (mut decoder, mut other) = (Decoder::new(4096), OtherDecoder::default());
        for block in blocks {
            let block = block.concat();
            let Ok(fields) = decode(&mut decoder, &block) else { break };
            let mut read = Vec::new();
            other.decode(&mut block.clone(), &mut read).unwrap();
            prop_assert_eq!(read.into_iter().map(|(name, value, _)| (name, value)).collect::<Fields>(), fields);
        }
    }

    #[test]
    fn random_bytes_do_not_panic(blocks in vec(vec(any::<u8>(), 0..300), 0..8)) {
        let mut decoder = Decoder::new(4096);
        for block in blocks {
            let _ = decode(&mut decoder, &block);
        }
    }

    /// A cut block is malformed or ends between two fields.
    #[test]
    fn a_block_that_is_cut_has_the_first_fields_or_is_malformed(steps in vec(step(), 0..12)) {
        for (block, fields) in encoded(&steps).into_iter().take(1) {
            for length in (0..block.len()).step_by(block.len().div_ceil(300).max(1)) {
                if let Ok(first) = decode(&mut Decoder::new(4096), &block[..length]) {
                    prop_assert!(fields.starts_with(&first) && first.len() < fields.len());
                }
            }
        }
    }
}
