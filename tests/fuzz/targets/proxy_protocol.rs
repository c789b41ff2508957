//! The first bytes of a connection, in pieces, and the header that is written for the next hop.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_protocol::{MAX_V2, Start, Tlvs, Version, kind, read, write};

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let whole = read(bytes);
    let needed = match whole {
        Ok(Start::Header(_, length)) => length,
        _ => bytes.len(),
    };
    assert!(needed <= bytes.len());

    // How the bytes arrive makes no difference.
    let cut = usize::from(cut) % (bytes.len() + 1);
    match read(&bytes[..cut]) {
        Ok(Start::Partial) => assert!(cut < needed || whole == Ok(Start::Partial)),
        decided => assert_eq!(decided, whole),
    }

    let Ok(Start::Header(header, length)) = whole else { return };
    assert!(length <= MAX_V2);
    let _ = (header.tlvs.ssl(), header.tlvs.find(kind::AUTHORITY));
    let Some(endpoints) = header.endpoints else { return };
    // What is written is read back, with the same client and the same fields.
    for version in [Version::V1, Version::V2] {
        let mut out = Vec::new();
        write(&mut out, version, &endpoints, header.tlvs);
        let Ok(Start::Header(again, length)) = read(&out) else { panic!("{out:?}") };
        assert_eq!(length, out.len());
        let source = again.endpoints.expect("it was written").source;
        assert_eq!(
            (source.ip().to_canonical(), source.port()),
            (endpoints.source.ip().to_canonical(), endpoints.source.port())
        );
        let passed_on = |tlvs: Tlvs<'_>| -> Vec<(u8, Vec<u8>)> {
            let kept = tlvs.iter().filter(|tlv| !matches!(tlv.kind, kind::CRC32C | kind::NOOP));
            kept.map(|tlv| (tlv.kind, tlv.value.to_vec())).collect()
        };
        let expected = if version == Version::V2 { passed_on(header.tlvs) } else { Vec::new() };
        assert_eq!(passed_on(again.tlvs), expected);
    }
});
