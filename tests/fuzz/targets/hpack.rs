//! Header blocks, one after the other, and blocks that are written and read back.
#![no_main]

use http2::hpack::{Decoder, Encoder, Indexing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new(4096);
    let mut blocks = bytes;
    while let Some(block) = piece(&mut blocks) {
        if decoder.decode(block, |_, _| ()).is_err() {
            break;
        }
    }
    write_and_read(bytes);
});

/// The front of `bytes`, as long as the first one says.
fn piece<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first()?;
    let (piece, rest) = rest.split_at(rest.len().min(usize::from(*length)));
    *bytes = rest;
    Some(piece)
}

/// What `bytes` say is written by an encoder, and read back.
fn write_and_read(mut bytes: &[u8]) {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    let (mut out, mut written) = (Vec::new(), Vec::new());
    encoder.begin(&mut out);
    while let Some((&what, rest)) = bytes.split_first() {
        bytes = rest;
        let indexing = match what % 8 {
            0..=3 => Indexing::Yes,
            4 => Indexing::No,
            5 => Indexing::Never,
            6 => {
                let status = 100 + u16::from(what) * 3;
                encoder.status(status, &mut out);
                written.push((b":status".to_vec(), status.to_string().into_bytes()));
                continue;
            }
            _ => {
                // The block ends; the peer may have changed its mind about the size.
                let mut fields = written.drain(..);
                let read = decoder.decode(&out, |name, value| {
                    assert_eq!(fields.next(), Some((name.to_vec(), value.to_vec())));
                });
                assert_eq!((read, fields.next()), (Ok(()), None));
                drop(fields);
                for _ in 0..what / 64 {
                    encoder.set_max_size(u32::from(what) * 20);
                    encoder.set_max_size(4096);
                }
                out.clear();
                encoder.begin(&mut out);
                continue;
            }
        };
        let (Some(name), Some(value)) = (piece(&mut bytes), piece(&mut bytes)) else { return };
        // Some names are in the static table, and some values are long.
        let name = match what / 8 % 4 {
            0 => b"Content-Type",
            1 => &b"strict-transport-security"[..],
            _ => name,
        };
        let value = if what >= 0xe0 { value.repeat(usize::from(what)) } else { value.to_vec() };
        encoder.field(name, &value, indexing, &mut out);
        written.push((name.to_ascii_lowercase(), value));
    }
}
