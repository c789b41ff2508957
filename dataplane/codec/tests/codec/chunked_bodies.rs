//! What a chunked body must be, rule by rule.
use http1::{ChunkHead, ChunkLimits, ChunkedDecoder, Fault, LAST_CHUNK, Part, write};

/// Data, and how many bytes the body took; `None` if it is incomplete.
fn decode_within(bytes: &[u8], limits: ChunkLimits) -> Result<Option<(Vec<u8>, usize)>, Fault> {
    let mut decoder = ChunkedDecoder::new(limits);
    let (mut data, mut at) = (Vec::new(), 0);
    loop {
        match decoder.data(bytes, &mut at)? {
            Part::Bytes(range) => data.extend_from_slice(&bytes[range]),
            Part::More => return Ok(None),
            Part::End => return Ok(Some((data, at))),
        }
    }
}

fn decode(bytes: &str) -> Result<Option<(String, usize)>, Fault> {
    let decoded = decode_within(bytes.as_bytes(), ChunkLimits::default())?;
    Ok(decoded.map(|(data, at)| (String::from_utf8(data).unwrap(), at)))
}

/// What a proxy sends on that passes the bytes as they are.
fn pass_on(slices: &[&[u8]]) -> Result<Vec<u8>, Fault> {
    let mut decoder = ChunkedDecoder::new(ChunkLimits::default());
    let mut out = Vec::new();
    for bytes in slices {
        let mut at = 0;
        loop {
            match decoder.verbatim(bytes, &mut at)? {
                Part::Bytes(range) => out.extend_from_slice(&bytes[range]),
                Part::More => break,
                Part::End => {
                    if let Some(trailers) = decoder.trailers() {
                        write::kept_lines(&mut out, trailers.fields(), trailers.bytes());
                        write::end(&mut out);
                    }
                    return Ok(out);
                }
            }
        }
    }
    Ok(out)
}

#[test]
fn data_is_found_and_the_next_message_left() {
    for (bytes, data) in [
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
        ("A\r\n0123456789\r\n00\r\n\r\n", "0123456789"),
        ("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ("5;a\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5 ;\ta = b\r\nhello\r\n0;x\r\nA: b\r\n\r\n", "hello"),
    ] {
        let with_next = format!("{bytes}GET / HTTP/1.1");
        assert_eq!(decode(&with_next), Ok(Some((data.to_owned(), bytes.len()))), "{}", bytes.escape_debug());
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Ok(None), "{}", bytes[..end].escape_debug());
        }
    }
}

#[test]
fn sizes_are_one_to_sixteen_hexadecimal_digits() {
    for (bytes, fault) in [
        ("\r\n", Fault::BadChunkSize),
        (";a\r\n", Fault::BadChunkSize),
        (" 5\r\n", Fault::BadChunkSize),
        ("\n5\r\n", Fault::BadChunkSize),
        ("+5\r\n", Fault::BadChunkSize),
        ("-1\r\n", Fault::BadChunkSize),
        ("0x5\r\n", Fault::BadChunkSize),
        ("g\r\n", Fault::BadChunkSize),
        ("5h\r\n", Fault::BadChunkSize),
        ("5,\r\n", Fault::BadChunkSize),
        ("5_0\r\n", Fault::BadChunkSize),
        ("00000000000000005\r\n", Fault::BadChunkSize),
        ("10000000000000000\r\n", Fault::BadChunkSize),
        ("8000000000000000\r\n", Fault::BadChunkSize),
        ("ffffffffffffffff\r\n", Fault::BadChunkSize),
        ("5\n", Fault::BareLf),
        ("5\rhello", Fault::BareCr),
        ("5\r\rhello", Fault::BareCr),
        ("\u{ff15}\r\n", Fault::BadChunkSize),
    ] {
        assert_eq!(decode(bytes), Err(fault), "{}", bytes.escape_debug());
    }
    assert_eq!(decode("7fffffffffffffff\r\nx"), Ok(None));
    assert_eq!(decode("1\r\nx\r\n7fffffffffffffff\r\n"), Err(Fault::BodyTooLarge));
}

#[test]
fn data_ends_with_crlf() {
    for bytes in ["1\r\nab", "1\r\na\n", "1\r\na\rb", "1\r\na0\r\n\r\n", "1\r\na\r\r\n", "2\r\na\r\nx"] {
        assert_eq!(decode(bytes), Err(Fault::BadChunkEnd), "{}", bytes.escape_debug());
    }
}

#[test]
fn extensions_follow_their_grammar_and_are_bounded() {
    for extension in [
        ";a",
        ";a=b",
        ";a;b",
        ";a = b ; c",
        " ;a",
        "\t; a",
        ";a=\"\"",
        ";a=\"b;\u{e9}\t\"",
        ";a=\"\\\"\\\\\"",
        ";a=\"b\" ;c",
    ] {
        let bytes = format!("1{extension}\r\nx\r\n0{extension}\r\n\r\n");
        assert_eq!(decode(&bytes), Ok(Some(("x".to_owned(), bytes.len()))), "{extension}");
    }
    for extension in [
        " ",
        " 5",
        ";",
        ";;a",
        ";=b",
        ";a=",
        ";a b",
        ";a=b c",
        ";a=\"b",
        ";a=\"b\"c",
        ";a=b ",
        ";a ",
        ";\u{e9}",
        ";a=\"\\",
        ";a=\"\u{1}\"",
        ";\0",
        ";a\u{7f}",
    ] {
        let bytes = format!("1{extension}\r\nx\r\n");
        assert_eq!(decode(&bytes), Err(Fault::BadChunkExtension), "{extension}");
    }
    for bytes in ["1;a\nx", "1;a=\"\nx", "1;\n"] {
        assert_eq!(decode(bytes), Err(Fault::BareLf), "{}", bytes.escape_debug());
    }
    assert_eq!(decode("1;a\rx"), Err(Fault::BareCr));

    let limits = ChunkLimits { extension_bytes: 10, ..ChunkLimits::default() };
    assert!(decode_within(b"1;abcd\r\nx\r\n1;abcd\r\nx\r\n0\r\n\r\n", limits).is_ok());
    let over = b"1;abcd\r\nx\r\n1;abcde\r\nx\r\n0\r\n\r\n";
    assert_eq!(decode_within(over, limits), Err(Fault::ChunkExtensionsTooLong));
}

#[test]
fn body_limit_is_known_from_the_size() {
    let limits = ChunkLimits { body_bytes: 5, ..ChunkLimits::default() };
    assert!(decode_within(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", limits).is_ok());
    assert_eq!(decode_within(b"3\r\nabc\r\n3\r\n", limits), Err(Fault::BodyTooLarge));
    assert_eq!(decode_within(b"7fffffffffffffff\r\n", limits), Err(Fault::BodyTooLarge));
}

#[test]
fn trailers_are_lines_as_in_a_head() {
    for (trailers, fault) in [
        ("A: b\nB: c\r\n", Fault::BareLf),
        ("A: b\rB: c\r\n", Fault::BareCr),
        ("A : b\r\n", Fault::SpaceBeforeColon),
        ("A\r\n", Fault::BadFieldName),
        (": b\r\n", Fault::BadFieldName),
        (" A: b\r\n", Fault::LeadingSpace),
        ("A: b\r\n c\r\n", Fault::ObsFold),
        ("A: \0\r\n", Fault::ControlByte),
        ("\n", Fault::BareLf),
        ("Content-Length: 5\r\n", Fault::ForbiddenTrailer),
        ("transfer-encoding: chunked\r\n", Fault::ForbiddenTrailer),
        ("A: b\r\nHost: h\r\n", Fault::ForbiddenTrailer),
    ] {
        assert_eq!(decode(&format!("0\r\n{trailers}\r\n")), Err(fault), "{}", trailers.escape_debug());
    }
    assert_eq!(decode("0\r\n\rA: b\r\n\r\n"), Err(Fault::BareCr));
}

#[test]
fn trailers_are_bounded() {
    let limits = ChunkLimits { trailer_bytes: 20, trailer_fields: 2, ..ChunkLimits::default() };
    assert!(decode_within(b"0\r\nA: b\r\nC: ddddddd\r\n\r\n", limits).is_ok());
    assert_eq!(decode_within(b"0\r\nA: b\r\nC: dddddddd\r\n\r\n", limits), Err(Fault::TrailersTooLarge));
    assert_eq!(decode_within(b"0\r\nA:\r\nB:\r\nC:\r\n\r\n", limits), Err(Fault::TrailersTooLarge));
}

#[test]
fn trailers_that_must_not_be_are_dropped() {
    let body = b"0\r\ngrpc-status: 0\r\nAuthorization: x\r\nSet-Cookie: x\r\nConnection: x\r\nX_Forwarded_For: x\r\n\
        Content-Type: x\r\nTrailer: x\r\nContent_Length: 5\r\nX-Last: \xff\r\n\r\n";
    assert_eq!(pass_on(&[body]).unwrap(), b"0\r\ngrpc-status: 0\r\nX-Last: \xff\r\n\r\n");
    assert_eq!(pass_on(&[b"0\r\nAuthorization: x\r\n\r\n"]).unwrap(), b"0\r\n\r\n");
}

#[test]
fn bytes_pass_as_they_are_without_extensions() {
    for (body, passed) in [
        ("5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("5;a=b\r\nhello\r\nA ;c\r\n0123456789\r\n0;d\r\n\r\n", "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"),
        ("1\r\nx\r\n0;e\r\nA: b\r\n\r\n", "1\r\nx\r\n0\r\nA: b\r\n\r\n"),
    ] {
        assert_eq!(pass_on(&[body.as_bytes()]).unwrap(), passed.as_bytes());
        let single: Vec<_> = body.as_bytes().chunks(1).collect();
        assert_eq!(pass_on(&single).unwrap(), passed.as_bytes());
    }
}

#[test]
fn a_chunk_that_is_announced_counts_as_it_comes() {
    for (bytes, length) in [("FFFFFFFF\r\n", 0), ("FFFFFFFF\r\nabc", 3), ("2\r\nab\r\n9", 2), ("2\r\nab\r\n9\r\ncd", 4)]
    {
        let mut decoder = ChunkedDecoder::new(ChunkLimits::default());
        let mut at = 0;
        while decoder.verbatim(bytes.as_bytes(), &mut at).unwrap() != Part::More {}
        assert_eq!(decoder.body_len(), length, "{bytes:?}");
    }
}

#[test]
fn a_decoder_is_used_again() {
    let mut decoder = ChunkedDecoder::new(ChunkLimits::default());
    for body in [&b"3\r\nabc\r\n0\r\nA: b\r\n\r\n"[..], b"2\r\nde\r\n0\r\n\r\n"] {
        let (mut at, mut length) = (0, 0);
        while let Part::Bytes(range) = decoder.data(body, &mut at).unwrap() {
            length += range.len() as u64;
        }
        assert!(decoder.is_done() && decoder.body_len() == length);
        assert_eq!(decoder.trailers().is_some(), length == 3);
        decoder.reset(ChunkLimits::default());
        assert!(!decoder.is_done() && decoder.body_len() == 0 && decoder.trailers().is_none());
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    let mut body = Vec::new();
    for part in [&b"hello "[..], &[b'x'; 300], b"\r\n"] {
        body.extend_from_slice(ChunkHead::new(part.len() as u64).as_bytes());
        body.extend_from_slice(part);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(LAST_CHUNK);
    let expected = [&b"hello "[..], &[b'x'; 300], b"\r\n"].concat();
    assert_eq!(decode_within(&body, ChunkLimits::default()), Ok(Some((expected, body.len()))));
}
