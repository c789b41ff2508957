//! The head of a response, whole and in pieces, and rewritten where it lies.
#![no_main]

use http1::{Asked, HeadLimits, Method, Progress, ResponseHead, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, bool, bool, &[u8])| {
    let (cut, is_head, upgrade, bytes) = input;
    let asked = Asked { method: if is_head { Method::Head } else { Method::Get }, upgrade };
    let limits = HeadLimits::default();
    let mut whole = ResponseHead::default();
    let Ok(Progress::Complete(length)) = whole.parse(bytes, asked, &limits) else { return };
    assert!((100..=599).contains(&whole.status) && whole.len as usize == length);

    let mut pieces = ResponseHead::default();
    assert_eq!(pieces.parse(&bytes[..usize::from(cut) % length], asked, &limits), Ok(Progress::Partial));
    assert_eq!(pieces.parse(bytes, asked, &limits), Ok(Progress::Complete(length)));
    assert_eq!((pieces.status, pieces.body, pieces.fields.lines()), (whole.status, whole.body, whole.fields.lines()));

    // In place and elsewhere give the same head.
    const APPENDED: &[u8] = b"X-Ours: 1\r\n";
    let mut elsewhere = Vec::new();
    write::status_line(&mut elsewhere, whole.status, whole.reason.of(bytes));
    write::kept_lines(&mut elsewhere, &whole.fields, bytes);
    elsewhere.extend_from_slice(APPENDED);
    write::end(&mut elsewhere);
    let mut buffer = vec![b'#'; 64];
    buffer.extend_from_slice(&bytes[..length]);
    if let Some(start) = write::response_in_place(&mut buffer, 64, &whole, APPENDED) {
        assert_eq!(&buffer[start..], elsewhere);
    }
});
