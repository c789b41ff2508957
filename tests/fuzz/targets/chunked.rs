//! A chunked body: whole, in pieces, without its framing, and passed on as it is.
#![no_main]

use http1::{ChunkLimits, ChunkedDecoder, Fault, Part};
use libfuzzer_sys::fuzz_target;

/// The stretches that `read` yields, joined, and how much of `bytes` was read; fed in pieces of `size`.
fn decoded(bytes: &[u8], size: usize, verbatim: bool) -> Result<(Vec<u8>, usize, bool), Fault> {
    let mut decoder = ChunkedDecoder::new(ChunkLimits::default());
    let (mut out, mut total) = (Vec::new(), 0);
    for piece in bytes.chunks(size.max(1)) {
        let mut at = 0;
        loop {
            let part = if verbatim { decoder.verbatim(piece, &mut at) } else { decoder.data(piece, &mut at) };
            match part? {
                Part::Bytes(range) => out.extend_from_slice(&piece[range]),
                Part::More => break,
                Part::End => return Ok((out, total + at, decoder.trailers().is_some())),
            }
        }
        total += piece.len();
    }
    Ok((out, usize::MAX, false))
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = decoded(bytes, bytes.len(), false);
    assert_eq!(decoded(bytes, usize::from(size), false), whole);
    let (Ok((data, read, _)), Ok((passed_on, also_read, has_trailers))) = (whole, decoded(bytes, bytes.len(), true))
    else {
        return;
    };
    assert_eq!(read, also_read);
    if read != usize::MAX && !has_trailers {
        // The next hop reads the same body.
        assert_eq!(decoded(&passed_on, passed_on.len(), false), Ok((data, passed_on.len(), false)));
    }
});
