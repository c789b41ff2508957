//! What holds for any bytes: nothing panics, where the bytes are cut does not matter, and what was written is read again.

use http1::{
    Asked, ChunkLimits, ChunkedDecoder, Fault, HeadLimits, Method, Part, Progress, RequestHead, ResponseHead, write,
};
use proptest::prelude::*;

use crate::generate;

const LIMITS: HeadLimits = HeadLimits { bytes: 700, fields: 12, target_bytes: 60 };
const ASKED: Asked = Asked { method: Method::Get, upgrade: true };

/// What a parser says of bytes that come in one piece, and in pieces that end at `cuts`.
fn whole_and_cut(
    bytes: &[u8],
    cuts: &[usize],
    mut parse: impl FnMut(&[u8]) -> Result<Progress, Fault>,
) -> (Result<Progress, Fault>, Result<Progress, Fault>) {
    let whole = parse(bytes);
    // Partial leaves a scan behind, which the next call goes on with.
    let mut cut = Ok(Progress::Partial);
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(bytes.len());
    for end in ends {
        cut = parse(&bytes[..end]);
        if cut != Ok(Progress::Partial) {
            break;
        }
    }
    (whole, cut)
}

fn check_cuts(bytes: &[u8], whole: Result<Progress, Fault>, cut: Result<Progress, Fault>) -> Result<(), TestCaseError> {
    match whole {
        // A fault of an incomplete head may be told later; of a complete one it is told.
        Err(_) if cut == Ok(Progress::Partial) => {
            let start = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len());
            prop_assert!(!bytes[start..].windows(4).any(|window| window == b"\r\n\r\n"), "{}", bytes.escape_ascii());
        }
        _ => prop_assert_eq!(whole, cut, "{}", bytes.escape_ascii()),
    }
    Ok(())
}

fn check_request(bytes: &[u8], cuts: &[usize]) -> Result<(), TestCaseError> {
    let mut head = RequestHead::default();
    let (mut first, mut forgotten) = (true, RequestHead::default());
    let (whole, cut) = whole_and_cut(bytes, cuts, |bytes| {
        // The whole is parsed by another head, so that the pieces start anew.
        let head = if std::mem::take(&mut first) { &mut forgotten } else { &mut head };
        head.parse(bytes, &LIMITS)
    });
    check_cuts(bytes, whole, cut)?;
    let Ok(Progress::Complete(length)) = cut else { return Ok(()) };
    prop_assert_eq!(&bytes[length - 4..length], b"\r\n\r\n");
    prop_assert!(!bytes[..length].contains(&0));
    prop_assert!(!has_lone_line_break(&bytes[..length]));

    // Written anew, it says the same, and has no field for this connection only.
    let mut out = Vec::new();
    write::request_line(&mut out, head.method_name.of(bytes), head.target.whole.of(bytes), None);
    write::kept_lines(&mut out, &head.fields, bytes);
    let kept = out.len();
    prop_assert_eq!(head.fields.kept_len() + head.line.len(), kept);
    write::end(&mut out);
    let mut again = RequestHead::default();
    if head.host.is_some() {
        prop_assert_eq!(again.parse(&out, &HeadLimits::default()), Ok(Progress::Complete(out.len())));
        prop_assert_eq!(again.method, head.method);
        prop_assert_eq!(again.target.path.of(&out), head.target.path.of(bytes));
        prop_assert_eq!(again.host.map(|host| host.of(&out)), head.host.map(|host| host.of(bytes)));
        let lines = |head: &RequestHead, bytes: &[u8]| -> Vec<_> {
            let kept = head.fields.lines().iter().filter(|line| !line.removed);
            kept.map(|line| (line.name.of(bytes).to_vec(), line.value.of(bytes).to_vec())).collect()
        };
        prop_assert_eq!(lines(&again, &out), lines(&head, bytes));
        prop_assert!(again.fields.lines().iter().all(|line| !line.field.is_hop_by_hop()));
    }
    Ok(())
}

fn has_lone_line_break(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| match bytes[at] {
        b'\n' => at == 0 || bytes[at - 1] != b'\r',
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    })
}

fn check_response(bytes: &[u8], cuts: &[usize]) -> Result<(), TestCaseError> {
    let mut head = ResponseHead::default();
    let (mut first, mut forgotten) = (true, ResponseHead::default());
    let (whole, cut) = whole_and_cut(bytes, cuts, |bytes| {
        let head = if std::mem::take(&mut first) { &mut forgotten } else { &mut head };
        head.parse(bytes, ASKED, &LIMITS)
    });
    check_cuts(bytes, whole, cut)?;
    let Ok(Progress::Complete(length)) = cut else { return Ok(()) };
    prop_assert!(!has_lone_line_break(&bytes[..length]));

    let mut out = Vec::new();
    write::status_line(&mut out, head.status, head.reason.of(bytes));
    write::kept_lines(&mut out, &head.fields, bytes);
    write::end(&mut out);
    let mut buffer = [&[0; 8][..], &bytes[..length]].concat();
    if let Some(start) = write::response_in_place(&mut buffer, 8, &head, b"") {
        prop_assert_eq!(&buffer[start..], &out[..]);
    }
    if head.status != 101 {
        let mut again = ResponseHead::default();
        prop_assert_eq!(again.parse(&out, ASKED, &HeadLimits::default()), Ok(Progress::Complete(out.len())));
        prop_assert_eq!((again.status, again.reason.of(&out)), (head.status, head.reason.of(bytes)));
    }
    Ok(())
}

/// What comes out of slices: data, bytes to pass on, trailers, and how it ended.
#[derive(Debug, PartialEq)]
struct Decoded {
    out: Vec<u8>,
    read: usize,
    end: Result<bool, Fault>,
    trailers: Option<Vec<u8>>,
}

fn decode(bytes: &[u8], cuts: &[usize], verbatim: bool) -> Decoded {
    let limits = ChunkLimits { body_bytes: 10_000, extension_bytes: 40, trailer_bytes: 100, trailer_fields: 4 };
    let mut decoder = ChunkedDecoder::new(limits);
    let mut decoded = Decoded { out: Vec::new(), read: 0, end: Ok(false), trailers: None };
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(bytes.len());
    let mut start = 0;
    for end in ends {
        let slice = &bytes[start..end];
        let mut at = 0;
        loop {
            let part = if verbatim { decoder.verbatim(slice, &mut at) } else { decoder.data(slice, &mut at) };
            match part {
                Ok(Part::Bytes(range)) => decoded.out.extend_from_slice(&slice[range]),
                Ok(Part::More) => break,
                Ok(Part::End) => {
                    decoded.end = Ok(true);
                    decoded.read = start + at;
                    decoded.trailers = decoder.trailers().map(|trailers| trailers.bytes().to_vec());
                    return decoded;
                }
                Err(fault) => {
                    decoded.end = Err(fault);
                    return decoded;
                }
            }
        }
        start = end;
    }
    decoded
}

fn check_chunked(bytes: &[u8], cuts: &[usize]) -> Result<(), TestCaseError> {
    let whole = decode(bytes, &[], false);
    prop_assert_eq!(&whole, &decode(bytes, cuts, false));
    let passed = decode(bytes, cuts, true);
    prop_assert_eq!((&whole.end, whole.read), (&passed.end, passed.read));
    if whole.end == Ok(true) {
        prop_assert_eq!(&decode(bytes, &[], true).out, &passed.out);
        // What is passed on is a chunked body with the same data, and nothing can be left out of it any more.
        let mut sent = passed.out;
        if passed.trailers.is_some() {
            sent.extend_from_slice(b"\r\n");
        }
        let again = decode(&sent, &[], true);
        prop_assert_eq!((&again.out, again.read), (&sent, sent.len()));
        prop_assert_eq!(decode(&sent, &[], false).out, whole.out);
    }
    Ok(())
}

/// More cases than usual; `PROPTEST_CASES` asks for more still.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(3000), failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_are_a_request_or_not(bytes in generate::noise(), cuts in generate::cuts()) {
        check_request(&bytes, &cuts)?;
    }

    #[test]
    fn any_bytes_are_a_response_or_not(bytes in generate::noise(), cuts in generate::cuts()) {
        check_response(&bytes, &cuts)?;
    }

    #[test]
    fn any_bytes_are_a_chunked_body_or_not(bytes in generate::noise(), cuts in generate::cuts()) {
        check_chunked(&bytes, &cuts)?;
    }

    #[test]
    fn requests_with_a_change_are_requests_or_not(bytes in generate::request(), cuts in generate::cuts()) {
        check_request(&bytes, &cuts)?;
    }

    #[test]
    fn responses_with_a_change_are_responses_or_not(bytes in generate::response(), cuts in generate::cuts()) {
        check_response(&bytes, &cuts)?;
    }

    #[test]
    fn chunked_bodies_with_a_change_are_bodies_or_not(bytes in generate::chunked(), cuts in generate::cuts()) {
        check_chunked(&bytes, &cuts)?;
    }

    #[test]
    fn every_cut_of_a_request_is_the_same(bytes in generate::request()) {
        let cuts: Vec<_> = (0..bytes.len()).collect();
        check_request(&bytes, &cuts)?;
    }
}
