//! Trailers between HTTP/2 and chunked bodies.

use http::HeaderMap;
use http1::{ChunkLimits, ChunkedDecoder, write};

use super::{arena::Arena, response_head};
use crate::error::Reason;

/// The trailers of a chunked body that has ended, as `h2` sends them; none if all are left out.
///
/// # Errors
/// A line cannot stand in HTTP/2.
pub(super) fn of_chunked(decoder: &ChunkedDecoder, arena: &Arena) -> Result<Option<HeaderMap>, Reason> {
    let Some(trailers) = decoder.trailers() else { return Ok(None) };
    let mut map = HeaderMap::new();
    response_head::append(&mut map, trailers.fields(), trailers.bytes(), arena)?;
    Ok((!map.is_empty()).then_some(map))
}

/// Writes the end of a chunked body with `trailers` behind what is in `out`. They pass the reader of chunked bodies, so that
/// what it refuses or leaves out is the same for both versions.
///
/// # Errors
/// The trailers are too large, or one of them lies about the message.
pub(super) fn write_chunked(out: &mut Vec<u8>, trailers: &HeaderMap) -> Result<(), Reason> {
    let mut section = b"0\r\n".to_vec();
    for (name, value) in trailers {
        write::line(&mut section, name.as_str().as_bytes(), value.as_bytes());
    }
    write::end(&mut section);
    let mut decoder = ChunkedDecoder::new(ChunkLimits::default());
    decoder.data(&section, &mut 0).map_err(Reason::of_request)?;
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = decoder.trailers() {
        write::kept_lines(out, trailers.fields(), trailers.bytes());
    }
    write::end(out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_survive_both_ways_and_those_that_lie_do_not() {
        let mut map = HeaderMap::new();
        for (name, value) in [("grpc-status", "0"), ("x-forwarded-for", "6.6.6.6"), ("x", "a b")] {
            map.append(name, value.parse().unwrap());
        }
        let mut out = Vec::new();
        write_chunked(&mut out, &map).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), "0\r\ngrpc-status: 0\r\nx: a b\r\n\r\n");
        let mut decoder = ChunkedDecoder::new(ChunkLimits::default());
        decoder.data(&out, &mut 0).unwrap();
        let back = of_chunked(&decoder, &Arena::default()).unwrap().unwrap();
        assert_eq!((back.len(), &back["grpc-status"], &back["x"]), (2, &"0".parse().unwrap(), &"a b".parse().unwrap()));
        map.insert("content-length", "5".parse().unwrap());
        assert_eq!(write_chunked(&mut out, &map), Err(Reason::BadRequest));
        out.clear();
        write_chunked(&mut out, &HeaderMap::new()).unwrap();
        assert_eq!(out, b"0\r\n\r\n");
    }
}
