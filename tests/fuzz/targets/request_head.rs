//! The head of a request, whole and in pieces, and what is made of it for a backend.
#![no_main]

use http1::{HeadLimits, Progress, RequestHead, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let limits = HeadLimits::default();
    let mut whole = RequestHead::default();
    let Ok(Progress::Complete(length)) = whole.parse(bytes, &limits) else { return };
    assert!(length <= bytes.len() && whole.len as usize == length);

    // How the bytes arrive makes no difference.
    let mut pieces = RequestHead::default();
    let cut = usize::from(cut) % length;
    assert_eq!(pieces.parse(&bytes[..cut], &limits), Ok(Progress::Partial));
    assert_eq!(pieces.parse(bytes, &limits), Ok(Progress::Complete(length)));
    assert_eq!(pieces.fields.lines(), whole.fields.lines());
    assert_eq!((pieces.body, pieces.keep_alive), (whole.body, whole.keep_alive));

    // What is sent on is read back, with the same target and no hop-by-hop field.
    let mut out = whole.line.of(bytes).to_vec();
    write::kept_lines(&mut out, &whole.fields, bytes);
    write::end(&mut out);
    let mut again = RequestHead::default();
    assert_eq!(again.parse(&out, &limits), Ok(Progress::Complete(out.len())));
    assert_eq!(again.target.whole.of(&out), whole.target.whole.of(bytes));
    assert!(again.fields.lines().iter().all(|line| !line.field.is_hop_by_hop()));
});
